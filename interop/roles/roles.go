// Package roles has the servers that the programs in peers/socketio check. The README there says what each role asks of
// them.
package roles

import (
	"fmt"
	"io"
	"net/http"
	"time"

	"baro.dev/engineio"
)

// New returns a server in a role, and what ends it.
func New(role string) (http.Handler, io.Closer, error) {
	switch role {
	case "engineio3", "engineio4":
		h, c := echo(role == "engineio3")
		return h, c, nil
	}
	return nil, nil, fmt.Errorf("no role is called %q", role)
}

// conformance are the options that the protocols' test suites ask for.
func conformance(path string) engineio.Options {
	return engineio.Options{
		Path:              path,
		PingInterval:      300 * time.Millisecond,
		PingTimeout:       200 * time.Millisecond,
		MaxHTTPBufferSize: 1_000_000,
	}
}

func echo(allowEIO3 bool) (http.Handler, io.Closer) {
	server := &engineio.Server{
		Options: conformance("/engine.io/"),
		OnMessage: func(s *engineio.Session, m engineio.Message) {
			_ = s.Send(m)
		},
	}
	server.Options.AllowEIO3 = allowEIO3
	return server, server
}
