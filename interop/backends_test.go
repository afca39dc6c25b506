package interop

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"baro.dev/internal/auth"
	"baro.dev/internal/clients"
	"baro.dev/internal/webhook"
)

// TestBackends has the backends of examples/backends publish, be told what happens, and answer what they are asked; and refuse
// whoever is not the server.
func TestBackends(t *testing.T) {
	for _, b := range []struct{ name, command, args string }{
		{"Python", "/usr/bin/python3", "backend.py"},
		{"PHP", "php", "-S 127.0.0.1:PORT backend.php"},
		{"Ruby", "ruby", "backend.rb"},
		{"Java", "java", "Backend.java"},
	} {
		t.Run(b.name, func(t *testing.T) {
			if _, err := exec.LookPath(b.command); err != nil {
				lacks(t, b.command)
			}
			secret := webhook.NewSecret()
			key, entry, err := auth.NewKey("shop", []auth.Scope{auth.ScopePublish}, nil)
			if err != nil {
				t.Fatal(err)
			}
			port := freePort(t)
			file := filepath.Join(t.TempDir(), "baro.yml")
			if err := os.WriteFile(file, fmt.Appendf(nil, `
api_keys: [{id: shop, hash: %q, scopes: [publish]}]
webhooks:
  endpoints: [{url: "http://127.0.0.1:%s/", secret: %s, events: [occupied], channels: [greetings]}]
`, entry.Hash, port, secret), 0o600); err != nil {
				t.Fatal(err)
			}
			url := baroServe(t, "--config", file)
			said := runBackend(t, port, b.command, strings.Fields(strings.ReplaceAll(b.args, "PORT", port)),
				"BARO_URL="+strings.TrimSuffix(url, "/"), "BARO_KEY="+key, "BARO_WEBHOOK_SECRET="+secret, "PORT="+port)

			stream := openStream(t, url+"c/greetings")
			said.wait(t, "occupied")

			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			ask := func(secret, method string) (clients.RPCAnswer, error) {
				asker, err := webhook.NewAsker(webhook.AskerConfig{URL: "http://127.0.0.1:" + port + "/", Secrets: []string{secret}, Timeout: patience})
				if err != nil {
					t.Fatal(err)
				}
				defer asker.Close()
				var answer clients.RPCAnswer
				err = asker.Ask(ctx, clients.KindRPC, clients.RPCQuestion{Client: "c", User: "kim", Method: method, Data: json.RawMessage(`"김 \"Kim\""`)}, &answer)
				return answer, err
			}
			answer, err := ask(secret, "greet")
			if err != nil || !strings.Contains(string(answer.Data), `"offset":1`) && !strings.Contains(string(answer.Data), `"offset": 1`) {
				t.Errorf("greet is answered with %s, %v", answer.Data, err)
			}
			stream.wait(t, `Hello, 김 \"Kim\"`)
			if refused, ok := errors.AsType[*webhook.RefusedError](second(ask(secret, "dance"))); !ok || refused.Code != "unknown_method" {
				t.Errorf("another method is answered with %v", refused)
			}
			if _, err := ask(webhook.NewSecret(), "greet"); !errors.Is(err, webhook.ErrUnavailable) {
				t.Errorf("a stranger is answered with %v", err)
			}
		})
	}
}

func second[T any](_ T, err error) error { return err }

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// transcript is what somebody says.
type transcript struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *transcript) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *transcript) wait(t *testing.T, text string) {
	t.Helper()
	said := ""
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		s.mu.Lock()
		said = s.text.String()
		s.mu.Unlock()
		if strings.Contains(said, text) {
			return
		}
	}
	t.Fatalf("%q was not said, but %s", text, said)
}

// runBackend runs a backend until the end of the test. It returns when that listens.
func runBackend(t *testing.T, port, command string, args []string, env ...string) *transcript {
	t.Helper()
	said := &transcript{}
	c := exec.Command(command, args...)
	c.Dir = "../examples/backends"
	c.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "LANG=C.UTF-8"}, env...)
	c.Stdout, c.Stderr = said, said
	c.WaitDelay = patience
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	t.Cleanup(func() {
		_ = c.Process.Kill()
		<-ended
	})
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			conn.Close()
			return said
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("%s: %v: %s", command, err, &said.text)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not listen", command)
		}
	}
}

// openStream reads a channel as JSON lines until the end of the test.
func openStream(t *testing.T, url string) *transcript {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "application/x-ndjson")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	said, ended := &transcript{}, make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(said, response.Body)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
		response.Body.Close()
	})
	return said
}
