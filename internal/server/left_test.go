package server

import (
	"testing"

	"baro.dev/internal/clients"
)

// The backend hears why the server has ended a connection.
func TestWhyDisconnected(t *testing.T) {
	came, left := make(chan clients.Event, 10), make(chan clients.Event, 10)
	s := startWith(t, Config{Dev: true}, func(c *clients.Config) {
		c.Notify = func(kind string, data any) {
			switch kind {
			case clients.TypeConnected:
				came <- data.(clients.Event)
			case clients.TypeDisconnected:
				left <- data.(clients.Event)
			}
		}
	})
	for _, transport := range []string{"ws", "socket.io"} {
		for _, reason := range []clients.Reason{clients.EndDisconnected, clients.EndReconnect, clients.EndExpired} {
			mustTalk(t, s, transport, "")
			id := (<-came).Client
			if n := s.registry.Disconnect(clients.Target{Clients: []string{id}}, reason); n != 1 {
				t.Errorf("%d disconnected", n)
			}
			if e := <-left; e.Client != id || e.Reason != reason.Code {
				t.Errorf("%s: the reason is %q, want %q", transport, e.Reason, reason.Code)
			}
		}
	}
}
