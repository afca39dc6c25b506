package engineio_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"baro.dev/engineio"
)

// request has a server answer a request over polling, within a bubble.
func request(e *engineio.Server, method, sid, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	e.ServeHTTP(w, httptest.NewRequest(method, "/engine.io/?EIO=4&transport=polling&sid="+sid, strings.NewReader(body)))
	return w
}

// begin begins a session over polling, within a bubble.
func begin(t *testing.T, e *engineio.Server) (sid string) {
	t.Helper()
	var h hello
	if err := json.Unmarshal(request(e, "GET", "", "").Body.Bytes()[1:], &h); err != nil {
		t.Fatal(err)
	}
	return h.SID
}

func expectPoll(t *testing.T, e *engineio.Server, sid string, status int, body string) {
	t.Helper()
	if w := request(e, "GET", sid, ""); w.Code != status || body != "" && w.Body.String() != body {
		t.Errorf("%d %s, want %d %s", w.Code, w.Body, status, body)
	}
}

// Shutdown waits for a client that polls no longer than that may be between two polls, and tells those that come later, too.
func TestShutdownBetweenPolls(t *testing.T) {
	for _, test := range []struct {
		name         string
		away, back   time.Duration // since when it has not polled at Shutdown, and when it does then
		sent, closed bool
		takes        time.Duration // of Shutdown
	}{
		{"gone for long", 10 * time.Second, 20 * time.Second, true, false, 0},
		{"just gone", time.Second, 20 * time.Second, true, false, 4 * time.Second},
		{"between two polls", 0, 100 * time.Millisecond, true, false, 100 * time.Millisecond},
		{"nothing sent", 0, 100 * time.Millisecond, false, false, 100 * time.Millisecond},
		{"closed before", 0, 100 * time.Millisecond, true, true, 100 * time.Millisecond},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &engineio.Server{Options: engineio.Options{Logger: slog.New(slog.DiscardHandler)}}
				all := ends(e)
				sid := begin(t, e)
				time.Sleep(test.away)
				s, want := e.Session(sid), engineio.ServerClose
				if test.sent {
					_ = s.Send(text("before"))
				}
				if test.closed {
					s.Close()
					want = engineio.ForcedClose
				}
				start := time.Now()
				took := make(chan time.Duration, 1)
				go func() {
					if err := e.Shutdown(context.Background()); err != nil {
						t.Error(err)
					}
					took <- time.Since(start)
				}()
				synctest.Wait()
				if err := <-all; err.Reason != want || time.Since(start) != 0 {
					t.Error("the handlers learn of it:", err, time.Since(start))
				}
				time.Sleep(test.back)
				if test.sent {
					expectPoll(t, e, sid, 200, "4before")
				}
				expectPoll(t, e, sid, 200, "1")
				expectPoll(t, e, sid, 400, `{"code":1,"message":"Session ID unknown"}`)
				if took := <-took; took != test.takes {
					t.Errorf("it took %v, want %v", took, test.takes)
				}
			})
		})
	}
}

// Nothing is kept for ever for a client that does not come back, and nothing past ctx.
func TestShutdownForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engineio.Server{Options: engineio.Options{Logger: slog.New(slog.DiscardHandler)}}
		sid := begin(t, e)
		if err := e.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		time.Sleep(31 * time.Second)
		expectPoll(t, e, sid, 400, `{"code":1,"message":"Session ID unknown"}`)
	})
	synctest.Test(t, func(t *testing.T) {
		e := &engineio.Server{Options: engineio.Options{Logger: slog.New(slog.DiscardHandler)}}
		sid := begin(t, e)
		cause := errors.New("enough")
		ctx, cancel := context.WithTimeoutCause(context.Background(), time.Second, cause)
		defer cancel()
		if err := e.Shutdown(ctx); err != cause {
			t.Error(err)
		}
		expectPoll(t, e, sid, 400, `{"code":1,"message":"Session ID unknown"}`)
	})
}
