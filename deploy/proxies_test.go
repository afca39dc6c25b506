package deploy_test

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"baro.dev/internal/config"
)

// docs/reverse-proxies.md shows the configurations as they are, but for what they say of themselves.
func TestProxiesInDocs(t *testing.T) {
	page := read(t, "../docs/reverse-proxies.md")
	files, err := filepath.Glob("proxies/*")
	if err != nil || len(files) != 5 {
		t.Fatalf("%q, %v", files, err)
	}
	for _, file := range files {
		text := regexp.MustCompile(`\A(#.*\n)+`).ReplaceAllString(read(t, file), "")
		if !strings.Contains(page, "\n"+text+"```\n") {
			t.Errorf("docs/reverse-proxies.md does not show %s as it is", file)
		}
	}
}

// Nobody cuts who is silent before the server has had its say, by default.
func TestProxiesWait(t *testing.T) {
	var c config.Config
	c.Flags(pflag.NewFlagSet("serve", pflag.ContinueOnError))
	silence := max(c.Server.Heartbeat+c.Server.WriteTimeout, c.Server.MaxWait)
	for file, timeouts := range map[string]*regexp.Regexp{
		"nginx.conf":          regexp.MustCompile(`proxy_(?:read|send)_timeout (\S+);`),
		"haproxy.cfg":         regexp.MustCompile(`timeout (?:client|server|tunnel) (\S+)`),
		"haproxy-cluster.cfg": regexp.MustCompile(`timeout (?:client|server|tunnel) (\S+)`),
		"apache.conf":         regexp.MustCompile(` timeout=(\d+)`),
	} {
		all := timeouts.FindAllStringSubmatch(read(t, "proxies/"+file), -1)
		if len(all) < 2 {
			t.Errorf("%s: %q", file, all)
		}
		for _, m := range all {
			if d, err := time.ParseDuration(strings.TrimSuffix(m[1], "s") + "s"); err != nil || d < silence+20*time.Second {
				t.Errorf("%s: %s, the server may be silent for %v", file, m[0], silence)
			}
		}
	}
}
