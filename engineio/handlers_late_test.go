package engineio_test

import (
	"fmt"
	"net/http"
	"testing"

	"baro.dev/engineio"
)

// What a client has sent before it went away is handled, however long handlers take, and before the end.
func TestHandledBeforeTheEnd(t *testing.T) {
	for _, transport := range transports {
		t.Run(transport, func(t *testing.T) {
			const messages = 20
			ended, handled := make(chan struct{}), make(chan string, messages+1)
			e := calm()
			e.OnMessage = func(_ *engineio.Session, m engineio.Message) {
				<-ended
				handled <- string(m.Data)
			}
			e.Ended = func(*engineio.Session, *engineio.CloseError) { close(ended) }
			e.OnClose = func(*engineio.Session, *engineio.CloseError) { handled <- "the end" }
			s := open(t, e)
			_, sid, c := s.sender(transport)
			body := ""
			for i := range messages {
				if c != nil {
					c.send(fmt.Sprint("4", i))
				}
				body += fmt.Sprintf("4%d\x1e", i)
			}
			if c != nil {
				c.send("1")
			} else {
				s.post(4, sid, body+"1")
			}
			for i := range messages {
				if got := receive(t, "a message", handled); got != fmt.Sprint(i) {
					t.Fatalf("%s was handled, want %d", got, i)
				}
			}
			if got := receive(t, "the end", handled); got != "the end" {
				t.Error(got)
			}
		})
	}
}

// Ended comes when OnOpen has returned: it finds what that has put into Session.Data.
func TestEndedAfterOnOpen(t *testing.T) {
	for _, transport := range transports {
		t.Run(transport, func(t *testing.T) {
			opening, closed := make(chan *engineio.Session, 1), make(chan struct{})
			told := make(chan any, 3)
			e := calm()
			e.OnOpen = func(s *engineio.Session, _ *http.Request) {
				opening <- s
				<-closed
				s.Data = "OnOpen"
			}
			e.Ended = func(s *engineio.Session, why *engineio.CloseError) {
				told <- fmt.Sprint(s.Data, ", Ended: ", why.Reason)
			}
			e.OnClose = func(s *engineio.Session, _ *engineio.CloseError) { told <- "OnClose" }
			s := open(t, e)
			query := fmt.Sprint("EIO=4&transport=", transport)
			go func() {
				if transport == engineio.Polling {
					s.do("GET", "/engine.io/?"+query, "")
				} else if c, err := s.tryDial(query); err == nil {
					_ = c.expectEnd()
				}
			}()
			receive(t, "OnOpen", opening).CloseNow()
			select {
			case early := <-told:
				t.Error("too early:", early)
			default:
			}
			close(closed)
			for _, want := range []string{"OnOpen, Ended: forced close", "OnClose"} {
				if got := receive(t, "the end", told); got != want {
					t.Errorf("%s, want %s", got, want)
				}
			}
		})
	}
}

// slowMeter counts the second message that comes only when it is let.
type slowMeter struct {
	*meter
	coming, let chan struct{}
}

func (m slowMeter) Received(transport string, messages, bytes int) {
	n := 0
	m.note(func() { m.received[transport] += messages; n = m.received[transport] })
	if n == 2 {
		close(m.coming)
		<-m.let
	}
}

// Nothing is handled after the end, whatever was still on its way to the handler.
func TestNothingAfterTheEnd(t *testing.T) {
	handled := make(chan string, 3)
	m := slowMeter{&meter{received: map[string]int{}, sent: map[string]int{}, bytes: map[string]int{}}, make(chan struct{}), make(chan struct{})}
	e := calm()
	e.Meter = m
	e.OnMessage = func(_ *engineio.Session, m engineio.Message) { handled <- string(m.Data) }
	e.OnClose = func(*engineio.Session, *engineio.CloseError) { handled <- "the end" }
	s := open(t, e)
	_, sid, _ := s.sender("polling")
	posted := make(chan struct{})
	go func() {
		defer close(posted)
		s.post(4, sid, "4a\x1e4b")
	}()
	<-m.coming
	s.post(4, sid, "4c") // two at a time end the session
	for _, want := range []string{"a", "the end"} {
		if got := receive(t, want, handled); got != want {
			t.Fatalf("%s was handled, want %s", got, want)
		}
	}
	close(m.let)
	<-posted
	select {
	case got := <-handled:
		t.Errorf("%s was handled after the end", got)
	default:
	}
}
