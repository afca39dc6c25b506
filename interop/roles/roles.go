// Package roles has the servers that the programs in peers/socketio check. The README there says what each role asks of
// them.
package roles

import (
	"fmt"
	"net/http"
	"time"

	"baro.dev/engineio"
)

// New returns a server in a role, and what ends it at once.
func New(role string) (server http.Handler, end func(), err error) {
	switch role {
	case "engineio3", "engineio4":
		server, end = echo(role == "engineio3")
	case "socketio5":
		server, end = socketio5()
	case "clients":
		server, end = clients()
	default:
		err = fmt.Errorf("no role is called %q", role)
	}
	return server, end, err
}

// conformance are the options that the protocols' test suites ask for.
func conformance() engineio.Options {
	return engineio.Options{
		PingInterval:      300 * time.Millisecond,
		PingTimeout:       200 * time.Millisecond,
		MaxHTTPBufferSize: 1_000_000,
	}
}

func echo(allowEIO3 bool) (http.Handler, func()) {
	server := &engineio.Server{
		Options: conformance(),
		OnMessage: func(s *engineio.Session, m engineio.Message) {
			_ = s.Send(m)
		},
	}
	server.Options.AllowEIO3 = allowEIO3
	server.Options.Path = "/engine.io/"
	return server, func() { _ = server.Close() }
}
