package bridge_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/redis/go-redis/v9"

	"baro.dev/internal/cli/bridge"
	"baro.dev/internal/cli/exit"
	"baro.dev/internal/testkit"
	"baro.dev/internal/testkit/brokers"
	"baro.dev/ws"
)

// A Redis client and a redis-server speak through two bridges: a pipeline, large values, subscriptions.
func TestRedis(t *testing.T) {
	server := brokers.Redis(t)
	c := redis.NewClient(&redis.Options{Addr: both(t, server.Addr, nil)})
	t.Cleanup(func() { c.Close() })
	pipe := c.Pipeline()
	const n = 2000
	for i := range n {
		pipe.RPush(t.Context(), "list", i)
	}
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	list, err := c.LRange(t.Context(), "list", 0, -1).Result()
	if err != nil || len(list) != n {
		t.Fatal(len(list), err)
	}
	for i, s := range list {
		if s != fmt.Sprint(i) {
			t.Fatalf("%d is %q", i, s)
		}
	}
	value := make([]byte, 8<<20)
	random := rand.NewChaCha8([32]byte{2})
	_, _ = random.Read(value)
	if err := c.Set(t.Context(), "large", value, 0).Err(); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Get(t.Context(), "large").Bytes(); err != nil || sha256.Sum256(got) != sha256.Sum256(value) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	s := c.Subscribe(t.Context(), "news")
	t.Cleanup(func() { s.Close() })
	if _, err := s.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Publish(t.Context(), "news", "hello").Err(); err != nil {
		t.Fatal(err)
	}
	if m, err := s.ReceiveMessage(t.Context()); err != nil || m.Payload != "hello" {
		t.Error(m, err)
	}
	t.Run("redis-cli", func(t *testing.T) {
		cli, err := exec.LookPath("redis-cli")
		if err != nil {
			t.Skip("needs redis-cli")
		}
		host, port, _ := strings.Cut(c.Options().Addr, ":")
		out, err := exec.CommandContext(t.Context(), cli, "-h", host, "-p", port, "llen", "list").CombinedOutput()
		if err != nil || strings.TrimSpace(string(out)) != fmt.Sprint(n) {
			t.Errorf("%s, %v", out, err)
		}
	})
}

// stdio carries standard input and output to a WebSocket, and returns what came.
func stdio(t *testing.T, to string, in io.Reader) (string, error) {
	t.Helper()
	var out bytes.Buffer
	b := opened(t, bridge.Config{From: endpoint(t, "stdio"), To: endpoint(t, to), Stdin: in, Stdout: &out, Linger: testkit.Patience})
	err := b.Serve(t.Context())
	return out.String(), err
}

// fullDisk takes nothing.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

// Standard input is a question, whose answer is waited for. How it ended is the exit code.
func TestStdio(t *testing.T) {
	testkit.NoLeaks(t)
	url := front(t, listenTCP(t, question), nil)
	out, err := stdio(t, url, strings.NewReader("abc"))
	if want := fmt.Sprintf("3 %x", sha256.Sum256([]byte("abc"))); out != want || err != nil {
		t.Errorf("%q, %v", out, err)
	}
	in, w := io.Pipe() // which stays open, as a terminal does
	defer w.Close()
	ends := front(t, listenTCP(t, func(c *net.TCPConn) { _, _ = c.Write([]byte("bye")) }), nil)
	if out, err := stdio(t, ends, in); out != "bye" || err != nil {
		t.Errorf("%q, %v", out, err)
	}
	// A server that is no bridge closes; standard output takes no more: standard input is not waited for.
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := ws.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		_ = c.Write(r.Context(), ws.Text, []byte("bye"))
		_ = c.Close(r.Context(), ws.StatusNormalClosure, "")
	}))
	defer plain.Close()
	url = "ws" + strings.TrimPrefix(plain.URL, "http")
	if out, err := stdio(t, url, in); out != "bye" || err != nil {
		t.Errorf("%q, %v", out, err)
	}
	full := opened(t, bridge.Config{From: endpoint(t, "stdio"), To: endpoint(t, url), Stdin: in, Stdout: fullDisk{}})
	if err := full.Serve(t.Context()); !errors.Is(err, syscall.ENOSPC) || exit.Code(err) != exit.Failed {
		t.Errorf("a full disk: %v", err)
	}
	w.Close()
	for to, want := range map[string]int{
		"ws://127.0.0.1:1": exit.Unreachable,
		front(t, "127.0.0.1:9", func(c *bridge.Config) { c.BearerFile = testkit.WriteFile(t, t.TempDir(), "tokens", []byte("a")) }): exit.Refused,
		front(t, "127.0.0.1:1", nil): exit.Broken, // it has a target that nobody is at
	} {
		if _, err := stdio(t, to, strings.NewReader("")); exit.Code(err) != want {
			t.Errorf("%s: %v, code %d, want %d", to, err, exit.Code(err), want)
		}
	}
}

// The other way: the first WebSocket that comes has standard input and output, and its end is that of the bridge.
func TestToStdio(t *testing.T) {
	testkit.NoLeaks(t)
	in, w := io.Pipe()
	defer w.Close()
	var out bytes.Buffer
	b := opened(t, bridge.Config{From: endpoint(t, "ws://127.0.0.1:0"), To: endpoint(t, "stdio"), Stdin: in, Stdout: &out})
	served := make(chan error, 1)
	go func() { served <- b.Serve(t.Context()) }()
	url := "ws://" + b.Addr().String()
	c := dialWS(t, url, nil)
	if _, err := w.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if m, err := c.Read(t.Context()); err != nil || m.String() != "hello" {
		t.Fatal(m, err)
	}
	if got := refused(t, url, nil); got != 503 {
		t.Errorf("another one: status %d", got)
	}
	if err := c.Write(t.Context(), ws.Text, []byte("bye")); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(t.Context(), ws.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
	w.Close()
	if err := testkit.Within(t, "the end", served); err != nil || out.String() != "bye" {
		t.Errorf("%q, %v", out.String(), err)
	}
}

// What makes no sense is said before anything is opened.
func TestUsage(t *testing.T) {
	for _, c := range []struct{ from, to string }{
		{"ws://127.0.0.1:0", "ws://127.0.0.1:1"},
		{"tcp://127.0.0.1:0", "tcp://127.0.0.1:1"},
		{"stdio", "stdio"},
		{"wss://127.0.0.1:0", "tcp://127.0.0.1:1"},
		{"ws://127.0.0.1:0/?a=b", "tcp://127.0.0.1:1"},
		{"ws://127.0.0.1:0", ""},
	} {
		config := bridge.Config{From: endpoint(t, c.from)}
		if c.to != "" {
			config.To = endpoint(t, c.to)
		}
		if _, err := bridge.New(config); exit.Code(err) != exit.Usage {
			t.Errorf("%s to %s: %v", c.from, c.to, err)
		}
	}
	for _, s := range []string{"", "a", "http://a", "tcp://", "tcp://a", "tcp://a:b", "tcp://a:99999", "unix://", "exec://a"} {
		if e, err := bridge.ParseEndpoint(s); err == nil {
			t.Errorf("%q is %v", s, e)
		}
	}
	if _, err := bridge.New(bridge.Config{From: endpoint(t, "ws://127.0.0.1:0"), Targets: t.TempDir() + "/none"}); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
