package engineio_test

import (
	"fmt"
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
