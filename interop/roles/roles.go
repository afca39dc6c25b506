// Package roles has the servers that the programs in peers/socketio check. The README there says what each role asks of
// them.
package roles

import (
	"fmt"
	"net/http"
	"time"

	"baro.dev/engineio"
	"baro.dev/socketio"
)

// New returns a server in a role, and what ends it at once.
func New(role string) (server http.Handler, end func(), err error) {
	switch role {
	case "engineio3", "engineio4":
		o := conformance()
		o.AllowEIO3 = role == "engineio3"
		server, end = echo(o)
	case "echo":
		server, end = echo(engineio.Options{PingInterval: 300 * time.Millisecond, MaxHTTPBufferSize: 10_000})
	case "socketio5":
		server, end = socketio5()
	case "clients":
		server, end = Clients(func(*socketio.Options) {})
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

func echo(o engineio.Options) (http.Handler, func()) {
	server := &engineio.Server{
		Options: o,
		OnMessage: func(s *engineio.Session, m engineio.Message) {
			_ = s.Send(m)
		},
	}
	server.Options.Path = "/engine.io/"
	return server, func() { _ = server.Close() }
}
