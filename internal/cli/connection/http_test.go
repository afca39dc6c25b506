package connection_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"baro.dev/internal/cli/connection"
	"baro.dev/internal/cli/exit"
	"baro.dev/internal/testkit"
)

// told is what happens to a connection.
func told() (chan connection.State, func(connection.State)) {
	states := make(chan connection.State, 1000)
	return states, func(s connection.State) { states <- s }
}

// An event stream that breaks goes on behind the last event, after the time that the server wants.
func TestEventStream(t *testing.T) {
	testkit.NoLeaks(t)
	ids := make(chan string, 10)
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get("Last-Event-ID")
		ids <- id
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		switch id {
		case "":
			io.WriteString(w, "retry: 10\n\n: a comment\ndata: one\ndata: more\nid: 1\n\nevent: price\r\ndata:\r\n\r\nid: 2\n\n")
		case "2":
			io.WriteString(w, "data: three\nid: 3\n\ndata: not whole")
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	})
	states, tell := told()
	c := dial(t, url, connection.Options{Reconnect: true, Delay: time.Millisecond, OnState: tell})
	for _, want := range []connection.Message{{Data: []byte("one\nmore"), ID: "1"}, {Event: "price", ID: "1"}, {Data: []byte("three"), ID: "3"}} {
		if m := receive(t, c); string(m.Data) != string(want.Data) || m.Event != want.Event || m.ID != want.ID || m.Kind != connection.Text {
			t.Errorf("got %+v, want %+v", m, want)
		}
	}
	if i := c.Info(); i.Protocol != connection.SSE || i.CanSend || i.Position != "3" || i.Stats.Reconnects != 1 || i.HTTP != "HTTP/1.1" {
		t.Errorf("info %+v", i)
	}
	if err := c.Send(t.Context(), connection.Message{}); err != connection.ErrReadOnly {
		t.Errorf("sent: %v", err)
	}
	if err := end(t, c); exit.Code(err) != exit.Refused || !strings.Contains(err.Error(), "204") {
		t.Errorf("the end is %v", err)
	}
	for _, want := range []string{"", "2", "3"} {
		if id := <-ids; id != want {
			t.Errorf("went on after %q, want %q", id, want)
		}
	}
	var kinds []connection.StateKind
	for len(states) > 0 {
		kinds = append(kinds, (<-states).Kind)
	}
	want := []connection.StateKind{connection.Connected, connection.Disconnected, connection.Waiting, connection.Connected, connection.Disconnected, connection.Waiting}
	if fmt.Sprint(kinds) != fmt.Sprint(want) {
		t.Errorf("it was told of %v, want %v", kinds, want)
	}
}

func TestStreamsEnd(t *testing.T) {
	testkit.NoLeaks(t)
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", map[bool]string{true: "application/x-ndjson", false: "text/event-stream"}[r.URL.Path == "/lines"])
		switch r.URL.Path {
		case "/lines":
			io.WriteString(w, "{\"a\":1}\n\n\r\nb\r\nc")
		case "/cut":
			io.WriteString(w, "data: a\n\n")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		case "/line":
			for r.Context().Err() == nil { // one without an end
				w.Write(make([]byte, 1<<16))
			}
		case "/event":
			for r.Context().Err() == nil {
				io.WriteString(w, "data: "+strings.Repeat("a", 1000)+"\n")
			}
		case "/wait":
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}
	})
	for path, want := range map[string]error{"/lines": io.EOF, "/cut": nil, "/line": connection.ErrTooLarge, "/event": connection.ErrTooLarge} {
		c := dial(t, url+path, connection.Options{MaxMessage: 1 << 20})
		if path == "/lines" {
			for _, want := range []string{`{"a":1}`, "b", "c"} {
				if m := receive(t, c); string(m.Data) != want {
					t.Errorf("got %q, want %q", m.Data, want)
				}
			}
		}
		err := end(t, c)
		if want == io.EOF && err != io.EOF || want != io.EOF && exit.Code(err) != exit.Broken || want != nil && !errors.Is(err, want) {
			t.Errorf("%s: %v (%d)", path, err, exit.Code(err))
		}
	}
	c := dial(t, url+"/wait", connection.Options{})
	time.AfterFunc(10*time.Millisecond, func() { c.Close(t.Context(), 0, "") })
	if err := end(t, c); err != connection.ErrClosed {
		t.Error(err)
	}
}

// Any URL can be asked again and again.
func TestPolling(t *testing.T) {
	testkit.NoLeaks(t)
	var asked atomic.Int64
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		n := asked.Add(1)
		switch {
		case r.URL.Path == "/endless":
			for r.Context().Err() == nil {
				w.Write(make([]byte, 1<<16))
			}
		case n == 7:
			w.WriteHeader(http.StatusForbidden)
		case r.Header.Get("If-None-Match") == `"1"` && n < 3:
			w.WriteHeader(http.StatusNotModified)
		case n < 4:
			w.Header().Set("ETag", `"1"`)
			io.WriteString(w, "same")
		default:
			fmt.Fprintf(w, "answer %d", n)
		}
	})
	c := dial(t, url, connection.Options{Protocol: connection.Polling, Interval: time.Millisecond})
	for _, want := range []string{"same", "answer 4", "answer 5"} {
		if m := receive(t, c); string(m.Data) != want {
			t.Errorf("got %q, want %q", m.Data, want)
		}
	}
	if err := c.Close(t.Context(), 0, ""); err != nil {
		t.Error(err)
	}
	asked.Store(5)
	c = dial(t, url, connection.Options{Protocol: connection.LongPolling})
	if m := receive(t, c); string(m.Data) != "answer 6" {
		t.Errorf("got %q", m.Data)
	}
	if err := end(t, c); exit.Code(err) != exit.Refused {
		t.Error(err)
	}
	c = dial(t, url+"/endless", connection.Options{Protocol: connection.LongPolling, MaxMessage: 1 << 20})
	if err := end(t, c); !errors.Is(err, connection.ErrTooLarge) {
		t.Error(err)
	}
}

// A refusal is told though its body, or what is behind a 101, never ends.
func TestEndlessRefusal(t *testing.T) {
	testkit.NoLeaks(t)
	over := make(chan struct{})
	refusing := func(head string) string {
		return serve(t, func(w http.ResponseWriter, r *http.Request) {
			c, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			defer c.Close()
			io.WriteString(c, "HTTP/1.1 "+head+"\r\n\r\n")
			<-over
		})
	}
	for _, url := range []string{
		refusing("200 OK\r\nContent-Type: text/plain\r\nContent-Length: 100"),
		refusing("101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket"),
	} {
		refused := make(chan error, 1)
		go func() {
			_, err := try(t, url, connection.Options{Protocol: connection.SSE})
			refused <- err
		}()
		select {
		case err := <-refused:
			if exit.Code(err) != exit.Refused {
				t.Errorf("%v (%d)", err, exit.Code(err))
			}
		case <-time.After(testkit.Patience):
			t.Error("the refusal is never told")
		}
	}
	close(over)
}

// What a URL speaks shows in its answers.
func TestDetection(t *testing.T) {
	testkit.NoLeaks(t)
	page := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "<html>") })
	none := serve(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	mixed := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			echo(w, r)
			return
		}
		io.WriteString(w, "<html>")
	})
	for url, want := range map[string]connection.Protocol{serve(t, echo): connection.WebSocket, mixed: connection.WebSocket} {
		if c := dial(t, url, connection.Options{}); c.Info().Protocol != want {
			t.Errorf("%s: %s, want %s", url, c.Info().Protocol, want)
		}
	}
	for url, says := range map[string]string{page: "--protocol", none: "401"} {
		if _, err := try(t, url, connection.Options{}); exit.Code(err) != exit.Refused || !strings.Contains(err.Error(), says) {
			t.Errorf("%v (%d)", err, exit.Code(err))
		}
	}
}
