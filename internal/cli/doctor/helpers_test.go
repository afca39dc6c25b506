package doctor_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"baro.dev/internal/cli/doctor"
	"baro.dev/internal/cli/target"
	_ "baro.dev/internal/extendedconnect" // WebSocket over HTTP/2
)

// quiet is for servers that are used in a wrong way.
var quiet = log.New(io.Discard, "", 0)

// patience is for what must come, on a machine that stands still now and then.
const patience = 30 * time.Second

// examine runs the doctor; change may be nil.
func examine(t *testing.T, url string, change func(o *doctor.Options, to *target.Options)) *doctor.Report {
	t.Helper()
	return examineWith(t, t.Context(), url, change)
}

func examineWith(t *testing.T, ctx context.Context, url string, change func(o *doctor.Options, to *target.Options)) *doctor.Report {
	t.Helper()
	o := doctor.Options{Timeout: patience, Slow: 5 * time.Second}
	to := target.Options{Proxy: "none"}
	if change != nil {
		change(&o, &to)
	}
	if err := o.Check(); err != nil {
		t.Fatal(err)
	}
	where, err := to.Target(url)
	if err != nil {
		t.Fatal(err)
	}
	o.Target = where
	var text bytes.Buffer
	out := doctor.Text{Out: &text, Verbose: true, Columns: 100}
	r := doctor.Examine(ctx, &o, out.Result)
	out.Conclusion(r)
	if i := strings.IndexFunc(text.String(), func(r rune) bool { return r < ' ' && r != '\n' || r >= 0x7f && r < 0xa0 }); i >= 0 {
		t.Errorf("the text has a control character: %q", text.String()[i:])
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s:\n%s", url, &text)
		}
	})
	if _, err := json.Marshal(r); err != nil {
		t.Error(err)
	}
	return r
}

// want checks what came of one check: text is what its detail, its advice or the problems of its lines have, in pairs of what it is and what it has.
func want(t *testing.T, r *doctor.Report, name string, status doctor.Status, has ...string) {
	t.Helper()
	result := r.Result(name)
	if result == nil {
		t.Fatalf("there is no check %s", name)
	}
	if result.Status != status {
		t.Errorf("%s: %s, want %s: %s", name, result.Status, status, result.Detail)
		return
	}
	all := result.Detail + "\n" + result.Advice
	for _, text := range has {
		if !strings.Contains(all, text) {
			t.Errorf("%s: %q does not have %q", name, all, text)
		}
	}
}

func wantExit(t *testing.T, r *doctor.Report, code int) {
	t.Helper()
	if r.Exit != code {
		t.Errorf("exit code %d, want %d; problems %q", r.Exit, code, r.Problems)
	}
}

// problems are what is wrong with the lines of the handshake.
func problems(t *testing.T, r *doctor.Report) string {
	t.Helper()
	h, isHandshake := r.Result("handshake").Data.(*doctor.Handshake)
	if !isHandshake {
		t.Fatalf("no handshake: %+v", r.Result("handshake"))
	}
	var all []string
	for _, line := range h.Lines {
		if line.Problem != "" {
			all = append(all, line.Text+" <- "+line.Problem)
		}
	}
	return strings.Join(all, "\n")
}

// atOnce runs tests that mostly wait, all at once, however few processors there are.
func atOnce(t *testing.T, tests map[string]func(t *testing.T)) {
	t.Helper()
	var all sync.WaitGroup
	defer all.Wait()
	for name, test := range tests {
		all.Go(func() { t.Run(name, test) })
	}
}

// accepting serves connections of TCP, each by a goroutine, until the end of the test, and returns where.
func accepting(t *testing.T, serve func(conn net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	ended := false
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[conn] = true
			if ended {
				conn.Close()
			}
			mu.Unlock()
			all.Go(func() {
				defer conn.Close()
				serve(conn)
				mu.Lock()
				defer mu.Unlock()
				delete(open, conn)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		ended = true
		for conn := range open {
			conn.Close()
		}
		mu.Unlock()
		all.Wait()
	})
	return l.Addr().String()
}

// answering reads one request on each connection, and writes what answer says.
func answering(t *testing.T, answer func(r *http.Request, conn net.Conn)) string {
	t.Helper()
	return accepting(t, func(conn net.Conn) {
		r, err := http.ReadRequest(bufio.NewReader(conn))
		if err == nil {
			answer(r, conn)
		}
	})
}

// plain is an answer without a meaning for the doctor.
const plain = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

// upgrading answers upgrades with one answer, in which KEY is what Sec-WebSocket-Accept has to be, and everything else with 404.
func upgrading(t *testing.T, answer string) string {
	t.Helper()
	return answering(t, func(r *http.Request, conn net.Conn) {
		text := plain
		if r.Header.Get("Upgrade") != "" {
			text = strings.ReplaceAll(answer, "KEY", acceptKey(r))
		}
		_, _ = conn.Write([]byte(text))
	})
}

func acceptKey(r *http.Request) string {
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}
