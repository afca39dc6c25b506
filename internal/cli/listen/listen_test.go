package listen_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"baro.dev/internal/cli/listen"
	"baro.dev/internal/testkit"
	"baro.dev/ws"
)

// lines collects what is printed.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestEcho(t *testing.T) {
	testkit.NoLeaks(t)
	text, objects := new(lines), new(lines)
	p := &listen.Printer{Text: text, JSON: objects}
	addr, stop := serve(t, listen.Config{OnEvent: p.Print, Subprotocols: []string{"chat"}, Compression: ws.Compression{Enabled: true}})
	c := dial(t, addr+"/a?b", &ws.DialOptions{Subprotocols: []string{"chat"}, Compression: ws.Compression{Enabled: true}})
	if c.Subprotocol() != "chat" || !c.Compressed() {
		t.Error(c.Subprotocol(), c.Compressed())
	}
	for _, s := range []string{"hello", "", strings.Repeat("x", 100_000), "\x1b[31mred\u202e"} {
		send(t, c, s)
		want(t, c, s)
	}
	if err := c.Write(t.Context(), ws.Binary, []byte{0, 1, 255}); err != nil {
		t.Fatal(err)
	}
	if m, err := c.Read(t.Context()); err != nil || m.Type != ws.Binary || !bytes.Equal(m.Data, []byte{0, 1, 255}) {
		t.Error(m, err)
	}
	if err := c.Close(t.Context(), 4000, "enough\r\n#2 opened"); err != nil {
		t.Error(err)
	}
	stop()
	for _, s := range []string{"#1 opened by 127.0.0.1:", " for /a?b (ws/chat)", "#1 < hello\n", "… (100000 bytes)", `\x1b[31mred\u202e`, "#1 < 3 bytes: 00 01 ff\n", "4000"} {
		if !strings.Contains(text.String(), s) {
			t.Errorf("%q is not printed", s)
		}
	}
	if n := strings.Count(text.String(), "\n"); n != 7 || strings.Contains(text.String(), "\x1b") {
		t.Errorf("%d lines:\n%s", n, text)
	}
	d := json.NewDecoder(strings.NewReader(objects.String()))
	for i, kind := range []string{"open", "message", "message", "message", "message", "message", "close"} {
		var e struct {
			Event  string
			Text   *string
			Binary []byte
		}
		if err := d.Decode(&e); err != nil || e.Event != kind || i == 3 && len(*e.Text) != 100_000 || i == 5 && len(e.Binary) != 3 {
			t.Errorf("object %d: %+v, %v", i, e, err)
		}
	}
}

func TestBroadcast(t *testing.T) {
	testkit.NoLeaks(t)
	addr, stop := serve(t, listen.Config{Broadcast: true})
	a, b := dial(t, addr, nil), dial(t, addr, nil)
	send(t, b, "ready") // by then b is among everybody
	want(t, b, "ready")
	want(t, a, "ready")
	send(t, a, "hello")
	want(t, a, "hello")
	want(t, b, "hello")
	done := make(chan ws.StatusCode, 2)
	for _, c := range []*ws.Conn{a, b} {
		go func() { done <- closed(t, c) }()
	}
	stop()
	for range 2 {
		if code := testkit.Within(t, "the end", done); code != ws.StatusGoingAway {
			t.Error(code)
		}
	}
}

// Socket.IO as the official clients speak it: an event comes back, and one that wants an acknowledgement gets its arguments by that.
func TestSocketIO(t *testing.T) {
	testkit.NoLeaks(t)
	text := new(lines)
	addr, stop := serve(t, listen.Config{OnEvent: (&listen.Printer{Text: text}).Print})
	c := dial(t, addr+"/socket.io/?EIO=4&transport=websocket", nil)
	if got := read(t, c); !strings.HasPrefix(got, "0{") {
		t.Fatal(got)
	}
	send(t, c, "40")
	if got := read(t, c); !strings.HasPrefix(got, "40{") {
		t.Fatal(got)
	}
	send(t, c, `42["chat","hello",{"a":1}]`)
	want(t, c, `42["chat","hello",{"a":1}]`)
	send(t, c, `4212["chat","hello",{"a":1}]`)
	want(t, c, `4312["hello",{"a":1}]`)
	c.CloseNow()
	stop()
	if !strings.Contains(text.String(), `#1 < chat ["hello",{"a":1}]`) {
		t.Error(text)
	}
}

// Files are those below the directory, and nothing else.
func TestFiles(t *testing.T) {
	testkit.NoLeaks(t)
	outside := t.TempDir()
	secret := testkit.WriteFile(t, outside, "secret", []byte("geheim"))
	dir := filepath.Join(outside, "public")
	for _, d := range []string{dir, filepath.Join(dir, "sub"), filepath.Join(dir, ".git")} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	testkit.WriteFile(t, dir, "a.html", []byte("page"))
	testkit.WriteFile(t, dir, ".env", []byte("geheim"))
	testkit.WriteFile(t, filepath.Join(dir, "sub"), "b.txt", []byte("text"))
	testkit.WriteFile(t, filepath.Join(dir, ".git"), "config", []byte("geheim"))
	for name, to := range map[string]string{"out": secret, "up": "../secret", "all": outside, "in": "a.html"} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	addr, _ := serve(t, listen.Config{Dir: dir})
	get := func(method, path string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, "http://"+addr, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.URL.Opaque = path // as it is, dots and all
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(body), "geheim") {
			t.Errorf("%s: %q", path, body)
		}
		return resp.StatusCode, string(body)
	}
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	for path, want := range map[string]string{"/a.html": "page", "/sub/b.txt": "text", "/in": "page"} {
		if status, body := get("GET", path); status != 200 || body != want {
			t.Errorf("%s: %d, %q", path, status, body)
		}
	}
	for _, path := range []string{"/.env", "/.git/config", "/.git/", "/sub/../.env", "/out", "/up", "/all/secret", "/../secret", "/%2e%2e/secret", "/sub/%2e%2e/%2e%2e/secret", "/..%2fsecret", "/..%5csecret", "//../secret", "/a.html%00", "/none"} {
		if status, _ := get("GET", path); status < 300 {
			t.Errorf("%s: %d", path, status)
		}
	}
	if status, _ := get("POST", "/a.html"); status != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", status)
	}
	if _, list := get("GET", "/"); strings.Contains(list, ".env") || strings.Contains(list, ".git") || !strings.Contains(list, "a.html") {
		t.Errorf("the list is %s", list)
	}
	c := dial(t, addr+"/a.html", nil) // a WebSocket is one, wherever
	send(t, c, "x")
	want(t, c, "x")
}

// A page elsewhere cannot use what may only be reached from here, nor can one whose name points here.
func TestOrigins(t *testing.T) {
	testkit.NoLeaks(t)
	addr, _ := serve(t, listen.Config{Broadcast: true})
	for _, c := range []struct {
		headers []string
		want    int
	}{
		{nil, 0},
		{[]string{"Origin: http://" + addr}, 0},
		{[]string{"Origin: http://localhost:3000"}, 0},
		{[]string{"Origin: https://evil.example"}, 403},
		{[]string{"Origin: http://localhost.evil.example"}, 403},
		{[]string{"Origin: null"}, 403},
		{[]string{"Origin: file://"}, 403},
		{[]string{"Host: evil.example"}, 421},
		{[]string{"Host: evil.example", "Origin: http://evil.example"}, 421},
		{[]string{"Host: localhost:80", "Origin: http://localhost:80"}, 0},
	} {
		for _, path := range []string{"", "/socket.io/?EIO=4&transport=websocket"} {
			if got := refused(t, addr+path, c.headers...); got != c.want {
				t.Errorf("%q %s: status %d, want %d", c.headers, path, got, c.want)
			}
		}
	}
}
