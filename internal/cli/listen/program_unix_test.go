//go:build unix

package listen_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"baro.dev/internal/cli/listen"
	"baro.dev/internal/testkit"
	"baro.dev/ws"
)

// script is a program of the shell.
func script(text string) []string { return []string{"sh", "-c", text} }

// until waits for what no channel tells.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for start := time.Now(); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Since(start) > testkit.Patience {
			t.Fatalf("waited for %s", what)
		}
	}
}

// gone tells whether there is no such process, or it has ended and its parent, which may be slow, is yet to ask how.
func gone(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return true
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, state, _ := strings.Cut(string(stat), ") ")
	return err == nil && strings.HasPrefix(state, "Z")
}

func number(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Messages are lines, whatever they have in them: no shell reads them.
func TestLines(t *testing.T) {
	testkit.NoLeaks(t)
	said := new(lines)
	addr, _ := serve(t, listen.Config{Program: script(`while IFS= read -r l; do printf '%s\r\n' "<$l>"; echo "$l" >&2; done; printf end`), ProgramError: said})
	c := dial(t, addr+"/;touch%20x?$(id)", nil)
	for _, s := range []string{"hello", "$(id); `id` & | > x", "", `a\nb`, "ü\x1b"} {
		send(t, c, s)
		want(t, c, "<"+s+">")
	}
	until(t, "standard error", func() bool { return strings.HasPrefix(said.String(), "hello\n") })
	send(t, c, "two\nlines")
	want(t, c, "<two>")
	want(t, c, "<lines>")
	if err := c.Close(t.Context(), ws.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
}

// What a program says at its end comes whole, and how it has ended is the code of the close.
func TestProgramEnds(t *testing.T) {
	testkit.NoLeaks(t)
	for text, code := range map[string]ws.StatusCode{
		"":                    ws.StatusNormalClosure,
		"exit 3":              ws.StatusInternalError,
		"kill -9 $$":          ws.StatusInternalError,
		"exec sleep 1000 &":   ws.StatusNormalClosure, // which ends with the group
		"exec 1>&- 2>&- 0<&-": ws.StatusNormalClosure,
	} {
		addr, _ := serve(t, listen.Config{Program: script("seq 1 20000; printf '\\377no line end'; " + text)})
		c := dial(t, addr, nil)
		for i := range 20000 {
			want(t, c, fmt.Sprint(i+1))
		}
		want(t, c, "\uFFFDno line end")
		if got := closed(t, c); got != code {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// Bytes are bytes.
func TestBytes(t *testing.T) {
	testkit.NoLeaks(t)
	addr, _ := serve(t, listen.Config{Program: []string{"cat"}, Binary: true})
	c := dial(t, addr, nil)
	sent := bytes.Repeat([]byte{0, '\n', 255, 'x'}, 100_000)
	if err := c.Write(t.Context(), ws.Binary, sent); err != nil {
		t.Fatal(err)
	}
	var got []byte
	for len(got) < len(sent) {
		m, err := c.Read(t.Context())
		if err != nil || m.Type != ws.Binary {
			t.Fatal(m.Type, err)
		}
		got = append(got, m.Data...)
	}
	if !bytes.Equal(got, sent) {
		t.Error("other bytes have come back")
	}
}

// Whatever a program does, it ends with its client, and with it all that it has started.
func TestClientGoes(t *testing.T) {
	testkit.NoLeaks(t)
	type running struct {
		name string
		c    *ws.Conn
		pids []int
	}
	var all []running
	for name, text := range map[string]string{
		"reads":       "echo $$; cat",
		"deaf":        "sleep 1000 & echo $$ $!; wait",
		"stubborn":    "trap '' TERM HUP INT; echo $$; while :; do sleep 0.05; done",
		"stopped":     "echo $$; kill -STOP $$",
		"speaks":      "echo $$; yes",
		"with others": "(trap '' TERM; sleep 1000) & echo $$ $!; exec sleep 1000",
	} {
		addr, _ := serve(t, listen.Config{Program: script(text), Grace: 200 * time.Millisecond})
		for range 2 {
			r := running{name: name, c: dial(t, addr, nil)}
			for pid := range strings.FieldsSeq(read(t, r.c)) {
				r.pids = append(r.pids, number(t, pid))
			}
			all = append(all, r)
		}
	}
	for i, r := range all {
		if i%2 == 0 {
			_ = r.c.Close(t.Context(), ws.StatusNormalClosure, "")
		} else {
			r.c.CloseNow()
		}
	}
	for _, r := range all {
		for _, pid := range r.pids {
			until(t, "the end of what "+r.name, func() bool { return gone(pid) })
		}
	}
}

// A client that has sent more than the program takes, and is gone, is noticed.
func TestStalled(t *testing.T) {
	if testing.Short() || os.Getenv("BARO_PROOF") != "1" {
		t.Skip("takes 20 s: BARO_PROOF=1")
	}
	testkit.NoLeaks(t)
	addr, _ := serve(t, listen.Config{Program: script("echo $$; exec sleep 1000"), Grace: time.Second})
	c := dial(t, addr, nil)
	pid := number(t, read(t, c))
	for range 20 {
		if c.Buffered() > 0 {
			break
		}
		if err := c.Write(t.Context(), ws.Binary, make([]byte, 900<<10)); err != nil {
			t.Fatal(err)
		}
	}
	c.CloseNow()
	until(t, "the end of the program", func() bool { return gone(pid) })
}

// A server that stops ends its programs, which may finish what they are at.
func TestStop(t *testing.T) {
	testkit.NoLeaks(t)
	file := filepath.Join(t.TempDir(), "said")
	addr, stop := serve(t, listen.Config{Program: script("trap 'echo TERM > " + file + "; exit' TERM; echo $$; while :; do sleep 0.05; done")})
	c := dial(t, addr, nil)
	pid := number(t, read(t, c))
	go func() { _ = closed(t, c) }()
	stop()
	if !gone(pid) {
		t.Error("the program is still there")
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "TERM\n" {
		t.Errorf("%q, %v", text, err)
	}
}

// There is an end to programs, and their places are given back.
func TestMaxPrograms(t *testing.T) {
	testkit.NoLeaks(t)
	addr, _ := serve(t, listen.Config{Program: []string{"cat"}, MaxPrograms: 2})
	a, b := dial(t, addr, nil), dial(t, addr, nil)
	if got := refused(t, addr); got != http.StatusServiceUnavailable {
		t.Errorf("status %d", got)
	}
	for _, c := range []*ws.Conn{a, b} {
		if err := c.Close(t.Context(), ws.StatusNormalClosure, ""); err != nil {
			t.Error(err)
		}
	}
	until(t, "a place", func() bool { return refused(t, addr) == 0 })
	r, err := http.Get("http://" + addr) // which is no WebSocket, and needs no place
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if r.StatusCode != http.StatusUpgradeRequired {
		t.Errorf("status %d", r.StatusCode)
	}
}

// What clients say is in the environment, within bounds, and nothing of it means something else; what is this process's is not.
func TestEnvironment(t *testing.T) {
	testkit.NoLeaks(t)
	t.Setenv("BARO_TOKEN", "geheim")
	t.Setenv("PASSED", "yes")
	addr, _ := serve(t, listen.Config{Program: script("env -0 | tr '\\n\\0' '~\\n'; echo END"), Environment: []string{"PASSED", "GIVEN=a=b"}})
	header := http.Header{
		"Proxy": {"http://evil.example"}, "X_Forged": {"a"}, "X-A": {"1", "2"}, "User-Agent": {"() { :; }; echo x"},
		"Authorization": {"Bearer geheim"}, "X-Long": {strings.Repeat("x", 40_000)}, "Content-Length-": {"1"},
	}
	for i := range 100 {
		header.Set(fmt.Sprintf("X-Many-%03d", i), "m")
	}
	c := dial(t, addr+"/pa%20th/../x%0Ay?q=1&r=%00", &ws.DialOptions{Header: header})
	env := map[string]string{}
	many := 0
	for {
		line := read(t, c)
		if line == "END" {
			break
		}
		name, value, _ := strings.Cut(line, "=")
		env[name] = value
		if strings.HasPrefix(name, "HTTP_") {
			many++
		}
	}
	for name, value := range map[string]string{
		"GATEWAY_INTERFACE": "CGI/1.1", "REQUEST_METHOD": "GET", "REMOTE_ADDR": "127.0.0.1", "QUERY_STRING": "q=1&r=%00", "PATH_INFO": "/pa th/../x~y",
		"REQUEST_URI": "/pa%20th/../x%0Ay?q=1&r=%00", "HTTP_X_A": "1, 2", "HTTP_USER_AGENT": "() { :; }; echo x", "PASSED": "yes", "GIVEN": "a=b", "UNIQUE_ID": "1",
		"PATH": os.Getenv("PATH"),
	} {
		if env[name] != value {
			t.Errorf("%s is %q, want %q", name, env[name], value)
		}
	}
	for _, name := range []string{"HTTP_PROXY", "HTTP_AUTHORIZATION", "HTTP_X_FORGED", "HTTP_X_LONG", "BARO_TOKEN"} {
		if value, ok := env[name]; ok {
			t.Errorf("%s is %q", name, value)
		}
	}
	if many > 64 {
		t.Errorf("there are %d headers", many)
	}
	if got := refused(t, addr+"/a%00b"); got != http.StatusBadRequest {
		t.Errorf("a NUL: status %d", got)
	}
}

// A line has a bound, and so has what a program gets before the handshake: nothing.
func TestLongLine(t *testing.T) {
	testkit.NoLeaks(t)
	addr, _ := serve(t, listen.Config{Program: script("yes | tr -d '\\n'"), MaxMessage: 10_000, Grace: time.Second})
	if got := closed(t, dial(t, addr, nil)); got != ws.StatusInternalError {
		t.Error(got)
	}
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n")
	c.Close()
	if _, err := listen.New(listen.Config{Program: []string{"/no/such/program"}}); err == nil {
		t.Error("a program that is not there is taken")
	}
}
