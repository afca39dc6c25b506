package handshake

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A server that refuses whatever is not a valid handshake, and counts what it was asked.
func refusingServer(requests *atomic.Int32) *httptest.Server {
	return httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if _, err := Check(r); err != nil {
			err.(http.Handler).ServeHTTP(w, r)
		}
	}))
}

// A refusal closes the connection, and what was pipelined behind the request is not taken for another.
func TestErrorClosesHTTP1(t *testing.T) {
	tests := []struct {
		name, request string
		status        int
		header        map[string]string
	}{
		{"version 8", strings.Replace(upgradeRequest, "Version: 13", "Version: 8", 1), 426,
			map[string]string{"Sec-WebSocket-Version": "13", "Upgrade": "websocket"}},
		{"no upgrade", "GET / HTTP/1.1\r\nHost: h\r\n", 426,
			map[string]string{"Sec-WebSocket-Version": "13", "Upgrade": "websocket"}},
		{"POST", strings.Replace(upgradeRequest, "GET", "POST", 1), 405, map[string]string{"Allow": "GET"}},
		{"bad key", strings.Replace(upgradeRequest, "dGhl", "????", 1), 400, nil},
		{"a body", upgradeRequest + "Content-Length: 5\r\n", 400, nil},
		{"HTTP/1.0", strings.Replace(upgradeRequest, "HTTP/1.1", "HTTP/1.0", 1) + "Connection: keep-alive\r\n", 400, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var requests atomic.Int32
			server := refusingServer(&requests)
			server.Start()
			defer server.Close()
			conn, err := net.Dial("tcp", server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(10 * time.Second))
			if _, err := io.WriteString(conn, tt.request+"\r\n"+"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			br := bufio.NewReader(conn)
			resp, err := http.ReadResponse(br, nil)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != tt.status || !resp.Close || len(body) == 0 {
				t.Errorf("%s, close %v, %q, %v", resp.Status, resp.Close, body, err)
			}
			for name, want := range tt.header {
				if got := resp.Header.Get(name); got != want {
					t.Errorf("%s: %q", name, got)
				}
			}
			if rest, _ := io.ReadAll(br); len(rest) > 0 {
				t.Errorf("answered on: %q", rest)
			}
			if n := requests.Load(); n != 1 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

// Over HTTP/2 a refusal ends its stream, not the connection that others use.
func TestErrorSparesHTTP2(t *testing.T) {
	var requests atomic.Int32
	server := refusingServer(&requests)
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	for i := range 3 {
		reused := false
		trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { reused = info.Reused }}
		r, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), "GET", server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.ProtoMajor != 2 || resp.StatusCode != 405 || resp.Header.Get("Allow") != "CONNECT" || reused != (i > 0) {
			t.Errorf("request %d: %s %s, %v, reused %v", i, resp.Proto, resp.Status, resp.Header, reused)
		}
	}
}

func TestErrorHeaderIsSeparate(t *testing.T) {
	// Two refusals at once share no map, whatever middleware does to the response's header.
	e := upgradeRequired("x")
	w := httptest.NewRecorder()
	e.ServeHTTP(w, &http.Request{ProtoMajor: 1})
	if got := w.Result().Header["Connection"]; len(got) != 2 || got[0] != "close" || got[1] != "Upgrade" { // RFC 9110 7.8
		t.Errorf("Connection %q", got)
	}
	w.Header().Set("Upgrade", "changed")
	if e.Header.Get("Upgrade") != "websocket" || e.Header["Connection"] != nil {
		t.Errorf("header became %v", e.Header)
	}
}

func TestErrorText(t *testing.T) {
	_, err := Check(parse(t, strings.Replace(upgradeRequest, "Version: 13", "Version: 8", 1)))
	if got, want := err.Error(), `websocket handshake: Sec-WebSocket-Version header: "8", not 13`; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
