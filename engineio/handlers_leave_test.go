package engineio_test

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"testing"
	"time"

	"baro.dev/engineio"
	"baro.dev/ws"
)

// A handler that panics, or ends its goroutine, costs its own session only.
func TestHandlersThatDoNotReturn(t *testing.T) {
	ways := map[string]func(){"panic": func() { panic("as asked") }, "Goexit": runtime.Goexit}
	each(t, func(t *testing.T, transport string, inline bool) {
		for way, leave := range ways {
			for _, where := range []string{"OnOpen", "Arrive", "OnMessage", "Ended", "OnClose"} {
				t.Run(way+" in "+where, func(t *testing.T) {
					e := calm()
					e.Options.Inline = inline
					e.Options.PingInterval, e.Options.PingTimeout = 100*time.Millisecond, patience
					harmless := where == "Ended" || where == "OnClose" // until the session ends for another reason
					if harmless {
						e.Options.PingTimeout = 100 * time.Millisecond
					}
					all := make(chan *engineio.CloseError, 10)
					bad := func(s *engineio.Session, here string) {
						if here == where && s.Data == "bad" {
							leave()
						}
					}
					e.OnOpen = func(s *engineio.Session, r *http.Request) {
						if r.URL.Query().Has("bad") {
							s.Data = "bad"
						}
						bad(s, "OnOpen")
					}
					e.Arrive = func(s *engineio.Session, _ engineio.Message) bool { bad(s, "Arrive"); return false }
					e.OnMessage = func(s *engineio.Session, m engineio.Message) { bad(s, "OnMessage"); _ = s.Send(m) }
					e.Ended = func(s *engineio.Session, _ *engineio.CloseError) { bad(s, "Ended") }
					e.OnClose = func(s *engineio.Session, err *engineio.CloseError) {
						if s.Data == "bad" {
							all <- err
						}
						bad(s, "OnClose")
					}
					s := open(t, e)
					if transport == "polling" {
						a := s.do("GET", s.query(4, "")+"&bad=1", "")
						if where != "OnOpen" {
							sid := parseHello(t, a.body).SID
							s.post(4, sid, "4x\x1e4y\x1e4z")
						}
					} else {
						c, err := s.tryDial("EIO=4&transport=websocket&bad=1")
						if err == nil && where != "OnOpen" {
							_ = c.Write(context.Background(), ws.Text, []byte("4x"))
							_ = c.Write(context.Background(), ws.Text, []byte("4y"))
						}
						if err == nil {
							defer c.expectEnd()
						}
					}
					if err := receive(t, "OnClose", all); harmless != (err.Reason == engineio.PingTimeout) {
						t.Error(err)
					}
					// The others, and the heart, go on, for who is in time.
					until(t, "an echo and a ping", func() bool {
						c, err := s.tryDial("EIO=4&transport=websocket")
						if err != nil {
							return false
						}
						defer c.CloseNow()
						_ = c.Write(context.Background(), ws.Text, []byte("4hello"))
						got := map[string]bool{}
						for !got["4hello"] || !got["2"] {
							m, err := c.read()
							if err != nil {
								return false
							}
							got[string(m.Data)] = true
						}
						return true
					})
					until(t, "all have gone", func() bool { return e.Len() == 0 })
					ctx, cancel := context.WithTimeout(context.Background(), patience)
					defer cancel()
					if err := e.Shutdown(ctx); err != nil {
						t.Error(err)
					}
					if len(all) > 0 {
						t.Error("OnClose ran twice")
					}
				})
			}
		}
	})
}

// What the application hands to the server may panic, too.
func TestOptionsThatPanic(t *testing.T) {
	for _, where := range []string{"AllowRequest", "GenerateID", "Headers"} {
		t.Run(where, func(t *testing.T) {
			e := calm()
			bad := func(r *http.Request, here string) {
				if here == where && r.URL.Query().Has("bad") {
					panic("as asked")
				}
			}
			e.Options.AllowRequest = func(r *http.Request) error { bad(r, "AllowRequest"); return nil }
			e.Options.GenerateID = func(r *http.Request) string { bad(r, "GenerateID"); return fmt.Sprint("id", time.Now().UnixNano()) }
			e.Options.Headers = func(_ http.Header, r *http.Request, _ bool) { bad(r, "Headers") }
			s := open(t, e)
			if _, err := s.tryDial("EIO=4&transport=websocket&bad=1"); err == nil {
				t.Error("it was opened")
			}
			until(t, "the session is forgotten", func() bool { return e.Len() == 0 })
			if a := s.do("GET", s.query(4, "")+"&bad=1", ""); a.err == nil {
				t.Error(a)
			}
			sid := s.poll(4)
			if _, err := s.tryDial("EIO=4&transport=websocket&bad=1&sid=" + sid); where == "Headers" && err == nil {
				t.Error("it was opened")
			}
			if where == "Headers" {
				until(t, "another upgrade", func() bool { _, err := s.tryDial("EIO=4&transport=websocket&sid=" + sid); return err == nil })
			}
		})
	}
}
