package connect_test

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"baro.dev/internal/cli/connect"
	"baro.dev/internal/cli/connection"
	"baro.dev/internal/cli/exit"
)

// Who accepts connections and says nothing has not been reached: that is no stream that has come to its end.
func TestNoAnswer(t *testing.T) {
	url := "http" + strings.TrimPrefix(hostile(t, func(net.Conn, string) {}), "ws")
	for _, p := range []connection.Protocol{"", connection.SSE, connection.NDJSON, connection.LongPolling, connection.Polling, connection.SocketIO, connection.WebSocket} {
		t.Run(fmt.Sprintf("%q", p), func(t *testing.T) {
			out, notes, code := attempt(t, url, connect.Options{Connection: &connection.Options{Protocol: p}})
			if code != exit.Unreachable || notes == "" || out != "" {
				t.Errorf("code %d, %q, %q", code, notes, out)
			}
		})
	}
}

// A server without TLS is not reached by TLS, whichever protocol is spoken.
func TestNoTLS(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(s.Close)
	for _, scheme := range []string{"https", "wss"} {
		if _, notes, code := attempt(t, scheme+strings.TrimPrefix(s.URL, "http"), connect.Options{}); code != exit.Unreachable {
			t.Errorf("%s: code %d, %q", scheme, code, notes)
		}
	}
}

// Nor is one whose certificate nobody trusts, by the same code.
func TestUntrusted(t *testing.T) {
	s := httptest.NewTLSServer(http.NotFoundHandler())
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(s.Close)
	for _, scheme := range []string{"https", "wss"} {
		if _, notes, code := attempt(t, scheme+strings.TrimPrefix(s.URL, "https"), connect.Options{}); code != exit.Unreachable || !strings.Contains(notes, "certificate") {
			t.Errorf("%s: code %d, %q", scheme, code, notes)
		}
	}
}

// Redirects that never end are told as such.
func TestRedirectLoop(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/again", http.StatusFound) })
	for _, scheme := range []string{"http", "ws"} {
		_, notes, code := attempt(t, scheme+strings.TrimPrefix(url, "http"), connect.Options{})
		if code != exit.Refused || !strings.Contains(notes, "more than 5 redirects") {
			t.Errorf("%s: code %d, %q", scheme, code, notes)
		}
	}
}

// JSON of the wrong kind is told in the words of JSON, not in those of Go.
func TestWrongJSON(t *testing.T) {
	url := serve(t, echo)
	for input, want := range map[string]string{
		`["name",1]`:          "line 1 of the input: it is no object of JSON, but array",
		`{"data":{"a":1}}`:    `line 1 of the input: its "data" cannot be object`,
		`{"data":"a","ack`:    "line 1 of the input: it is no object of JSON: unexpected end of JSON input",
		`{"args":[],"ack":1}`: `line 1 of the input: its "ack" cannot be number`,
	} {
		_, notes, code := run(t, url, input+"\n", connect.Options{Format: connect.JSON})
		if code != exit.Failed || !strings.Contains(notes, want) {
			t.Errorf("%s: code %d, %q", input, code, notes)
		}
	}
}
