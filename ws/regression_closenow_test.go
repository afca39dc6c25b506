package ws_test

import (
	"context"
	"testing"

	"baro.dev/ws"
)

// Close ends the reads beside it, and those who read go on to their deferred CloseNow: that does not cut the closing handshake
// that Close is at.
func TestCloseBesideDeferredCloseNow(t *testing.T) {
	for _, over := range []string{"tcp", "tls", "pipe"} {
		t.Run(over, func(t *testing.T) {
			both(t, func(t *testing.T, client bool) {
				c, p := bareConn(t, over, client, nil)
				read := make(chan struct{})
				go func() {
					defer close(read)
					defer c.CloseNow()
					for _, err := range c.Messages(context.Background()) {
						if err != nil {
							return
						}
					}
				}()
				p.send(pingFrame("p"))
				if err := p.expect(sawPong("p")); err != nil {
					t.Fatal(err)
				}
				closed := make(chan error, 1)
				go func() { closed <- c.Close(t.Context(), ws.StatusGoingAway, "so long") }()
				<-read
				if err := p.expect(sight{opClose, closePayload(1001, "so long")}); err != nil {
					t.Fatal(err)
				}
				p.send(closeFrame(1001, ""))
				if client {
					p.Close()
				}
				if err := <-closed; err != nil {
					t.Errorf("Close returned %v", err)
				}
			})
		})
	}
}
