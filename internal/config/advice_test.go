package config_test

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"baro.dev/internal/testkit"
)

func TestAdvice(t *testing.T) {
	webhooks := "\nwebhooks: {endpoints: [{url: 'http://x.example/', secret: " + whsec + "}, {url: 'http://127.0.0.1/', secret: " + whsec + "}, {url: 'https://x.example/', secret: " + whsec + "}]}"
	for name, test := range map[string]struct {
		text string
		args []string
		want []string
	}{
		"nothing":                     {"", nil, nil},
		"a page of one's own machine": {"dev: true\nlisten: 127.0.0.1:8000", nil, nil},
		"dev": {"dev: true", nil,
			[]string{"baro.yml:1: dev: whoever reaches :8000 may do everything, without a token; on one's own machine listen on 127.0.0.1"}},
		"dev by a flag": {"", []string{"--dev", "--listen", "[::]:1"},
			[]string{"--dev: whoever reaches [::]:1 may do everything, without a token; on one's own machine listen on 127.0.0.1"}},
		"proxies": {"", []string{"--trusted-proxy", "10.0.0.0/8,0.0.0.0/0,loopback"},
			[]string{"--trusted-proxy: 0.0.0.0/0 is everybody: whoever comes may say which address they have"}},
		"profiles": {"", []string{"--admin-listen", ":8001"},
			[]string{"--admin-listen: whoever reaches :8001 sees metrics and profiles; listen on 127.0.0.1, or keep others out"}},
		"anyone": {"anonymous: true\nchannels:\n- pattern: a\n  access: {publish: anyone}\n- pattern: b\n  publish_rate: 1\n  access: {publish: anyone}\n- pattern: c\n  access: {subscribe: anyone, publish: users}", nil,
			[]string{
				"baro.yml:4: channels[0].access.publish: anyone may publish to a, without a token, as fast as they like (publish_rate)",
				"baro.yml:7: channels[1].access.publish: anyone may publish to b, without a token",
			}},
		"anyone with a token": {"channels: [{pattern: a, access: {publish: anyone}}]", nil, nil},
		"rules that never hold": {"channels: [{pattern: a}, {pattern: a}, {pattern: '**'}, {pattern: b}, {pattern: '@*'}]", nil,
			[]string{
				"baro.yml:1: channels[1].pattern: the rule never holds: channels[0] comes first, and matches all that it does",
				"baro.yml:1: channels[3].pattern: the rule never holds: channels[2] comes first, and matches all that it does",
			}},
		"for ever": {"auth: {allow_no_expiry: true, keys: [{secret_file: secret}]}", nil,
			[]string{"baro.yml:1: auth.allow_no_expiry: a token without exp that is stolen is good for ever"}},
		"power": {"data: x\nno_sync: true", nil, []string{"baro.yml:2: no_sync: a power loss loses what was acknowledged last"}},
		"two nodes": {"data: x\ncluster: true\ncluster_listen: 127.0.0.1:0\ncluster_peers: ['127.0.0.1:1', '127.0.0.1:2']", nil,
			[]string{
				"baro.yml:4: cluster_peers: a cluster of two stands still when either of them is gone; take three, or one",
				"cluster_replicas: each message is on one node, and cannot be had while that is gone",
			}},
		"nodes in the clear": {"data: x\ncluster: true\ncluster_peers: [a, b, 'c:1']", nil,
			[]string{"baro.yml:3: cluster_peers: whoever is between the nodes can read what they tell each other; cluster_cert has them encrypt it"}},
		"nodes on one machine": {"data: x\ncluster: true\ncluster_peers: ['127.0.0.1:1', localhost, '[::1]:3']", nil, nil},
		"passwords": {"redis: redis://me:secret@redis", []string{"--nats", "nats://me:secret@nats"},
			[]string{"--nats: others on this machine can read the password on the command line; nats_password_file names a file"}},
		"http": {webhooks, nil, []string{"baro.yml:2: webhooks.endpoints[0].url: what is sent over http can be read on its way; take https"}},
	} {
		r, err := tell(t, test.text, nil, test.args...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []string
		for _, a := range r.Advice(r.flags) {
			got = append(got, strings.ReplaceAll(a, r.dir+"/", ""))
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %q\nwant %q", name, got, test.want)
		}
	}
}

// Files with secrets are for their owner, and perhaps a group. Each is told once.
func TestAdviceReadable(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("files have other rights there")
	}
	env := map[string]string{"BARO_WEBHOOK_SECRET_FILE": "DIR/webhook"}
	r, err := tell(t, "auth: {keys: [{secret_file: secret}, {secret_file: secret}, {secret: "+strings.Repeat("x", 32)+"}]}", env)
	if err != nil {
		t.Fatal(err)
	}
	if a := r.Advice(r.flags); len(a) != 0 {
		t.Errorf("all is right, but %q", a)
	}
	for _, name := range []string{"secret", "webhook", "baro.yml"} {
		if err := os.Chmod(filepath.Join(r.dir, name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{
		"baro.yml:1: auth.keys[0].secret_file: everybody on this machine can read secret: chmod 600",
		"baro.yml:1: auth.keys[2].secret: everybody on this machine can read baro.yml: chmod 600",
		"BARO_WEBHOOK_SECRET_FILE in the environment: everybody on this machine can read webhook: chmod 600",
	}
	var got []string
	for _, a := range r.Advice(r.flags) {
		got = append(got, strings.ReplaceAll(a, r.dir+"/", ""))
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
}

func TestAdviceCertificate(t *testing.T) {
	cert, key, _ := testkit.Certificate(t)
	r, err := tell(t, "", nil, "--tls-cert", cert, "--tls-key", key)
	if err != nil {
		t.Fatal(err)
	}
	if a := r.Advice(r.flags); len(a) != 1 || !strings.HasPrefix(a[0], "--tls-cert: the certificate expires on ") {
		t.Errorf("of a certificate for a day it says %q", a)
	}
}
