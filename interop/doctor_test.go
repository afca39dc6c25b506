package interop

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// diagnosis is what of the report of baro doctor --json is looked at (docs/cli.md).
type diagnosis struct {
	Schema   int      `json:"schema"`
	Kind     string   `json:"kind"`
	Exit     int      `json:"exit"`
	Problems []string `json:"problems"`
	Results  []struct {
		Name, Status, Detail, Advice string
	} `json:"results"`
}

// TestDoctor has baro doctor find what is wrong with an nginx in front of baro serve. The idle timeout of its proof is 5 s; 3 s do where time is short.
func TestDoctor(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--trusted-proxy", "127.0.0.1")
	cut, hold := "3s", "4s"
	if os.Getenv("BARO_PROOF") != "" {
		cut, hold = "5s", "7s"
	}
	const version, upgrade, connection = "proxy_http_version 1.1;", "proxy_set_header Upgrade $http_upgrade;", "proxy_set_header Connection $baro_connection;"
	var all sync.WaitGroup
	defer all.Wait()
	for _, test := range []struct {
		name    string
		changes []string // of nginx.conf
		args    []string
		exit    int
		first   string            // the problem that weighs most
		said    map[string]string // by the name of a check: what its detail and advice have, if it found something
		right   []string          // checks that found nothing
	}{
		{
			name: "as documented", args: []string{"--publish"},
			right: []string{"handshake", "websocket", "long-poll", "event-stream", "ndjson", "delivery", "socketio-polling", "socketio-upgrade", "proxies"},
		},
		{
			name: "buffering, HTTP/1.0", changes: []string{version, "proxy_buffering on; proxy_ignore_headers X-Accel-Buffering;"}, args: []string{"--publish"},
			exit: 4, first: "handshake", // HTTP/1.0 knows no upgrade
			said: map[string]string{
				"event-stream": "the head of the stream does not come within 2 s | nginx in front holds answers back: add `proxy_buffering off;`",
				"delivery":     "over event-stream, ndjson | proxy_buffering off",
			},
			right: []string{"long-poll"},
		},
		{
			name: "buffering", changes: []string{version, version + " proxy_buffering on; proxy_ignore_headers X-Accel-Buffering;"},
			exit: 1, first: "ndjson",
			said:  map[string]string{"ndjson": "the head of the stream does not come within 2 s | proxy_buffering off"},
			right: []string{"handshake", "socketio-upgrade"},
		},
		{
			name: "idle timeout", changes: []string{"4s", cut}, args: []string{"--idle", hold},
			exit: 5, first: "idle",
			said: map[string]string{"idle": "websocket after " + cut[:1] + " | event-stream after | long-poll after " + cut[:1] + " | by 504 Gateway Timeout | (FIN) | websocket-pinging lived | proxy_read_timeout"},
		},
		{
			name: "no upgrade", changes: []string{upgrade, "", connection, ""},
			exit: 4, first: "handshake",
			said: map[string]string{
				"handshake":          "200 OK instead of 101 | the server has not seen Upgrade and Connection | proxy_set_header Upgrade $http_upgrade",
				"socketio-websocket": "clients stay with polling",
			},
			right: []string{"poll", "long-poll", "event-stream", "socketio-polling"},
		},
	} {
		all.Go(func() {
			t.Run(test.name, func(t *testing.T) {
				address := proxies[0].start(t, test.changes, s.address)
				d := diagnose(t, append([]string{"http://" + address + "/c/" + strings.Fields(test.name)[0]}, test.args...)...)
				if d.Schema != 1 || d.Kind != "channel" || d.Exit != test.exit {
					t.Errorf("schema %d, kind %s, exit code %d, want %d; problems %q", d.Schema, d.Kind, d.Exit, test.exit, d.Problems)
				}
				if (len(d.Problems) > 0) != (test.first != "") || test.first != "" && d.Problems[0] != test.first {
					t.Errorf("the problems are %q", d.Problems)
				}
				found := 0
				for _, r := range d.Results {
					for part := range strings.SplitSeq(test.said[r.Name], " | ") {
						if text := r.Detail + " " + r.Advice; !strings.Contains(text, part) {
							t.Errorf("%s: %q does not have %q", r.Name, text, part)
						}
					}
					for _, name := range test.right {
						if name == r.Name {
							found++
							if r.Status != "ok" {
								t.Errorf("%s: %s: %s", r.Name, r.Status, r.Detail)
							}
						}
					}
				}
				if found != len(test.right) {
					t.Errorf("%d of %q are there", found, test.right)
				}
			})
		})
	}
}

// diagnose runs baro doctor.
func diagnose(t *testing.T, args ...string) *diagnosis {
	t.Helper()
	path, err := buildBaro()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), path, append([]string{"doctor", "--json", "--proxy", "none"}, args...)...)
	var errs bytes.Buffer
	c.Stderr = &errs
	out, err := c.Output()
	if _, isExit := errors.AsType[*exec.ExitError](err); err != nil && !isExit {
		t.Fatal(err)
	}
	d := new(diagnosis)
	if err := json.Unmarshal(out, d); err != nil {
		t.Fatalf("%v: %q, %q", err, out, errs.String())
	}
	if code := c.ProcessState.ExitCode(); code != d.Exit {
		t.Errorf("the exit code is %d, the report says %d", code, d.Exit)
	}
	return d
}
