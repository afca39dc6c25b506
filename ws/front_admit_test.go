package ws_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"

	"baro.dev/ws"
)

// Admit decides about what Serve answers by itself; the rest is Handler's.
func TestAdmit(t *testing.T) {
	for _, loops := range []int{0, -1} {
		noLeaks(t)
		datas := make(chan any, 4)
		s := &ws.Server{
			Inline: true,
			Loops:  loops,
			Admit: func(r *http.Request) (a ws.Admission, ok bool) {
				if r.URL.Path == "/panic" {
					panic("as asked")
				}
				return ws.Admission{Data: r.URL.Path, Header: http.Header{"X-Admitted": {"yes"}, "Connection": {"close"}}}, r.URL.Path == "/in"
			},
			Options: ws.AcceptOptions{CheckOrigin: func(*http.Request) error { return nil }, Logger: slog.New(slog.DiscardHandler)},
			OnOpen:  func(c *ws.Socket, _ *http.Request) { datas <- c.Data; _ = c.Send(ws.Text, []byte("hello")) },
		}
		s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/in", "/later", "/panic":
				s.ServeHTTP(w, r)
			default:
				w.WriteHeader(http.StatusTeapot)
				_, _ = io.WriteString(w, "not here")
			}
		})
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan error, 1)
		go func() { served <- s.Serve(l) }()

		for path, admitted := range map[string]bool{"/in": true, "/later": false, "/panic": false, "/no": false} {
			c, resp, err := ws.Dial(t.Context(), "ws://"+l.Addr().String()+path, nil)
			if path == "/no" {
				if err == nil || resp.StatusCode != http.StatusTeapot {
					t.Error(path, resp, err)
				}
				continue
			}
			if err != nil {
				t.Fatal(path, err)
			}
			byFront := admitted && resp.Header.Get("X-Admitted") == "yes" // the loops' work
			if data := <-datas; (data == path) != byFront || data != nil && !byFront {
				t.Errorf("%s: the data is %v, the header %v", path, data, resp.Header)
			}
			if m, err := c.Read(t.Context()); err != nil || string(m.Data) != "hello" {
				t.Error(path, m, err)
			}
			c.CloseNow()
		}
		if resp, err := http.Get("http://" + l.Addr().String() + "/in"); err != nil || resp.StatusCode/100 != 4 {
			t.Error(resp, err)
		} else {
			resp.Body.Close()
		}
		http.DefaultClient.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		_ = s.Shutdown(ctx)
		cancel()
		<-served
	}
}
