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
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"baro.dev/internal/auth"
	"baro.dev/internal/clients"
	"baro.dev/internal/testkit"
	"baro.dev/internal/webhook"
	"baro.dev/ws"
)

// backends are the programs of examples/backends: what publishes and calls, and what webhooks are sent to.
var backends = []struct {
	name, command, publish, webhook string
	lines                           int
}{
	{"Python", "/usr/bin/python3", "publish.py", "webhook.py", 20},
	{"PHP", "php", "publish.php", "-S 127.0.0.1:PORT webhook.php", 20},
	{"Ruby", "ruby", "publish.rb", "webhook.rb", 20},
	{"Java", "java", "Publish.java", "Webhook.java", 25}, // which has more to say
}

// TestBackendsPublish has each of them publish a message and ask a device.
func TestBackendsPublish(t *testing.T) {
	secret := auth.NewSecret()
	key, entry, err := auth.NewKey("shop", []auth.Scope{auth.ScopePublish, auth.ScopeCall}, nil)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "baro.yml")
	if err := os.WriteFile(file, fmt.Appendf(nil, `
auth: {keys: [{secret: %s}]}
api_keys: [{id: shop, hash: %q, scopes: [publish, call]}]
`, secret, entry.Hash), 0o600); err != nil {
		t.Fatal(err)
	}
	url := baroServe(t, "--config", file)
	asked := door(t, url, secret)
	for _, b := range backends {
		t.Run(b.name, func(t *testing.T) {
			if _, err := exec.LookPath(b.command); err != nil {
				lacks(t, b.command)
			}
			stream := openStream(t, url+"c/greetings")
			c := backend(t.Context(), b.command, b.publish, "BARO_URL="+strings.TrimSuffix(url, "/"), "BARO_KEY="+key)
			said, err := c.CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, said)
			}
			stream.wait(t, `Hello, 김 \"Kim\"`)
			if got := <-asked; got != `open {"for":"5s"}` {
				t.Errorf("the door is asked %s", got)
			}
			if !strings.Contains(string(said), "opened") || !strings.Contains(string(said), "answered") {
				t.Errorf("the backend says %s", said)
			}
			c = backend(t.Context(), b.command, b.publish, "BARO_URL="+strings.TrimSuffix(url, "/"), "BARO_KEY=baro_shop_1")
			if said, err := c.CombinedOutput(); err != nil || !strings.Contains(string(said), "unauthorized") {
				t.Errorf("with a wrong key the backend says %s, %v", said, err)
			}
		})
	}
}

// door is a device, door-7, that opens whenever it is asked to, and tells what it was asked.
func door(t *testing.T, url, secret string) <-chan string {
	t.Helper()
	signing, err := auth.ParseSigningKey([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	token, err := auth.Mint(signing, auth.Claims{User: "door-7", Expires: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	c, _, err := ws.Dial(t.Context(), "ws"+strings.TrimPrefix(url, "http")+"ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Write(t.Context(), ws.Text, fmt.Appendf(nil, `{"id":1,"connect":{"token":%q}}`, token)); err != nil {
		t.Fatal(err)
	}
	in, ended := make(chan bool), make(chan bool)
	asked := make(chan string, 10)
	go func() {
		defer close(ended)
		for m, err := range c.Messages(context.WithoutCancel(t.Context())) {
			var said struct {
				ID   int
				Call *struct {
					ID, Method string
					Data       json.RawMessage
				}
			}
			if err != nil || json.Unmarshal(m.Data, &said) != nil {
				return
			}
			if said.ID == 1 {
				close(in)
			}
			if k := said.Call; k != nil {
				asked <- k.Method + " " + string(k.Data)
				if c.Write(t.Context(), ws.Text, fmt.Appendf(nil, `{"answer":{"call":%q,"data":{"opened":true}}}`, k.ID)) != nil {
					return
				}
			}
		}
	}()
	t.Cleanup(func() {
		_ = c.CloseNow()
		<-ended
	})
	select {
	case <-in:
	case <-ended:
		t.Fatal("the door is not let in")
	}
	return asked
}

// TestBackendsWebhook has each of them be told what happens, answer what it is asked, and refuse whoever is not the server.
func TestBackendsWebhook(t *testing.T) {
	for _, b := range backends {
		t.Run(b.name, func(t *testing.T) {
			if _, err := exec.LookPath(b.command); err != nil {
				lacks(t, b.command)
			}
			secret := webhook.NewSecret()
			port := testkit.FreePort(t)
			file := filepath.Join(t.TempDir(), "baro.yml")
			if err := os.WriteFile(file, fmt.Appendf(nil, `
webhooks:
  endpoints: [{url: "http://127.0.0.1:%s/", secret: %s, events: [occupied], channels: [greetings]}]
`, port, secret), 0o600); err != nil {
				t.Fatal(err)
			}
			url := baroServe(t, "--config", file)
			said := runBackend(t, port, b.command, strings.ReplaceAll(b.webhook, "PORT", port), "BARO_WEBHOOK_SECRET="+secret, "PORT="+port)

			openStream(t, url+"c/greetings")
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
			var greeting string
			if err != nil || json.Unmarshal(answer.Data, &greeting) != nil || greeting != `Hello, 김 "Kim"` {
				t.Errorf("greet is answered with %s, %v", answer.Data, err)
			}
			if refused, ok := errors.AsType[*webhook.RefusedError](second(ask(secret, "dance"))); !ok || refused.Code != "unknown_method" {
				t.Errorf("another method is answered with %v", refused)
			}
			if _, err := ask(webhook.NewSecret(), "greet"); !errors.Is(err, webhook.ErrUnavailable) {
				t.Errorf("a stranger is answered with %v", err)
			}
		})
	}
}

// TestBackendsAreShort keeps them of twenty lines: what is empty, a comment, an import, the head of the class or the end of a block aside.
func TestBackendsAreShort(t *testing.T) {
	aside := regexp.MustCompile(`^\s*((//|#|"""|<\?php|import |from |require |class ).*|[\[\](){};]*|end)$`)
	for _, b := range backends {
		for _, name := range []string{b.publish, b.webhook[strings.LastIndex(b.webhook, " ")+1:]} {
			text, err := os.ReadFile(filepath.Join("../examples/backends", name))
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for line := range strings.Lines(string(text)) {
				if !aside.MatchString(strings.TrimSpace(line)) {
					n++
				}
			}
			if n > b.lines {
				t.Errorf("%s has %d lines", name, n)
			}
		}
	}
}

func second[T any](_ T, err error) error { return err }

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

// backend is a program of examples/backends.
func backend(ctx context.Context, command, args string, env ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, command, strings.Fields(args)...)
	c.Dir = "../examples/backends"
	c.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "LANG=C.UTF-8"}, env...)
	c.WaitDelay = patience
	return c
}

// runBackend runs one until the end of the test. It returns when that listens.
func runBackend(t *testing.T, port, command, args string, env ...string) *transcript {
	t.Helper()
	said := &transcript{}
	c := backend(context.WithoutCancel(t.Context()), command, args, env...)
	c.Stdout, c.Stderr = said, said
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
