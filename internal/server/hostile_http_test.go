package server

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"baro.dev/channel"
)

// unharmed checks at the end of a test that nothing is left of it: no goroutine, no descriptor, no client, no connection; and while it
// runs, that another client is served.
func unharmed(t *testing.T, s *Server) {
	t.Helper()
	// What the process has for good, it has from the first request on.
	if response, _ := raw(t, s, "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(s.url(""), "https") && response.StatusCode != http.StatusOK {
		t.Fatalf("status %d", response.StatusCode)
	}
	goroutines, files := runtime.NumGoroutine(), openFiles()
	t.Cleanup(func() {
		publishText(t, s, "after", "all is well")
		eventually(t, "no client is left", func() bool { return s.used() == 0 && s.connections.open.Load() == 0 })
		eventually(t, fmt.Sprintf("of %d goroutines and %d descriptors no more are left", goroutines, files), func() bool {
			return runtime.NumGoroutine() <= goroutines+4 && openFiles() <= files+4
		})
	})
}

// openFiles is how many descriptors this process has, if the system tells.
func openFiles() int {
	all, _ := os.ReadDir("/proc/self/fd")
	return len(all)
}

// Bodies in chunks, and in pieces that contradict each other: a request that is hidden in one is not done, and the connection
// ends where it is not certain where the next one begins.
func TestHostileBodies(t *testing.T) {
	s := start(t, Config{BodyTimeout: 5 * time.Second})
	unharmed(t, s)
	const hidden = "POST /c/smuggled HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx"
	post := func(fields, body string) string {
		return "POST /c/a HTTP/1.1\r\nHost: x\r\n" + fields + "\r\n" + body
	}
	const chunked = "Transfer-Encoding: chunked\r\n"
	for name, text := range map[string]string{
		"a huge extension":        post(chunked, "5;"+strings.Repeat("x", 1<<20)+"\r\nhello\r\n0\r\n\r\n"+hidden),
		"many extensions":         post(chunked, strings.Repeat("1;"+strings.Repeat("x", 1000)+"\r\na\r\n", 5000)+"0\r\n\r\n"),
		"bare LF":                 post(chunked, "5;\nhello\r\n0\r\n\r\n"+hidden),
		"a bare LF behind a size": post(chunked, "5\nhello\n0\n\n"+hidden),
		"bare CR":                 post(chunked, "5\rhello\r\n0\r\n\r\n"+hidden),
		"negative":                post(chunked, "-5\r\nhello\r\n0\r\n\r\n"+hidden),
		"overflow":                post(chunked, "10000000000000005\r\nhello\r\n0\r\n\r\n"+hidden),
		"0x":                      post(chunked, "0x5\r\nhello\r\n0\r\n\r\n"+hidden),
		"a size with a space":     post(chunked, "5 5\r\nhello\r\n0\r\n\r\n"+hidden),
		"no CRLF behind a chunk":  post(chunked, "5\r\nhelloXX0\r\n\r\n"+hidden),
		"two lengths":             post("Content-Length: 5\r\nContent-Length: 6\r\n", "hello"+hidden),
		"a list of lengths":       post("Content-Length: 5, 6\r\n", "hello"+hidden),
		"a length with a sign":    post("Content-Length: +5\r\n", "hello"+hidden),
		"a negative length":       post("Content-Length: -1\r\n", "hello"+hidden),
		"a length that overflows": post("Content-Length: 18446744073709551621\r\n", "hello"+hidden),
		"another coding":          post("Transfer-Encoding: gzip\r\n", hidden),
		"two codings":             post("Transfer-Encoding: chunked, identity\r\n", "5\r\nhello\r\n0\r\n\r\n"+hidden),
		"chunked twice":           post(chunked+chunked, "5\r\nhello\r\n0\r\n\r\n"+hidden),
		"not quite chunked":       post("Transfer-Encoding: xchunked\r\n", "5\r\nhello\r\n0\r\n\r\n"+hidden),
		"a space before a colon":  post("Transfer-Encoding : chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"+hidden),
		"a folded field":          post("X: y\r\n Transfer-Encoding: chunked\r\n", ""),
		"a length in the trailer": post(chunked, "5\r\nhello\r\n0\r\nContent-Length: "+strings.Repeat("9", 30)+"\r\n\r\n"),
		"a huge trailer":          post(chunked, "5\r\nhello\r\n0\r\n"+strings.Repeat("X: "+strings.Repeat("y", 1000)+"\r\n", 2000)+"\r\n"+hidden),
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, s)
			go func() {
				_, _ = io.WriteString(c, text)
				_ = c.(*net.TCPConn).CloseWrite()
			}()
			answers, err := readToClose(c)
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(answers), "HTTP/1.1 2"); n > 1 || n == 1 && strings.Contains(text, hidden) {
				t.Errorf("%.200q", answers)
			}
		})
	}
	if info, err := s.Hub().Info("smuggled"); err == nil && info.Position.Offset > 0 {
		t.Errorf("%d requests that were hidden in others were done", info.Position.Offset)
	}
}

// Of a length and chunks the chunks count, and there is no request behind them (RFC 9112 section 6.1): what a proxy took for the body by
// the length is none.
func TestLengthAndChunks(t *testing.T) {
	s := start(t, Config{})
	unharmed(t, s)
	for _, fields := range []string{"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding: chunked\r\nContent-Length: 100\r\n"} {
		c := dial(t, s)
		fmt.Fprintf(c, "POST /c/a HTTP/1.1\r\nHost: x\r\n%s\r\n0\r\n\r\nPOST /c/smuggled HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx", fields)
		answers, err := readToClose(c)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(answers), "HTTP/1.1 "); n != 1 {
			t.Errorf("%q: %d answers: %q", fields, n, answers)
		}
	}
	if info, err := s.Hub().Info("smuggled"); err == nil && info.Position.Offset > 0 {
		t.Error("what was hidden was done")
	}
}

// Connections that say nothing, or next to nothing, end after their time, however many there are; whoever comes meanwhile is served.
func TestSilentConnections(t *testing.T) {
	s := start(t, Config{HeaderTimeout: time.Second})
	unharmed(t, s)
	var all []net.Conn
	for i := range 200 {
		c := dial(t, s)
		if i%2 == 0 {
			_, _ = io.WriteString(c, "GET /c/a HTTP/1.1\r\nHost:")
		}
		all = append(all, c)
	}
	if response, _ := request(t, "POST", s.url("/c/a"), "x"); response.StatusCode != http.StatusOK {
		t.Errorf("another client: status %d", response.StatusCode)
	}
	response, err := open(t.Context(), client(t), s.url("/c/a?after=oldest"), typeNDJSON)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if line, err := bufio.NewReader(response.Body).ReadString('\n'); err != nil || !strings.Contains(line, `"x"`) {
		t.Errorf("%q, %v", line, err)
	}
	for _, c := range all {
		if answer, err := readToClose(c); err != nil || strings.HasPrefix(string(answer), "HTTP/1.1 2") {
			t.Fatalf("%q, %v", answer, err)
		}
	}
	if _, err := s.Hub().Publish("a", channel.Message{Data: []byte("y")}); err != nil {
		t.Error(err)
	}
}
