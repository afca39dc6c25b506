package server

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"baro.dev/channel"
)

// A WebSocketChannel is what a request for a WebSocket is about, as [Config.WebSocket] gets it. Whether the page that
// asks may, whether the name is valid and whether there is room has been seen to.
type WebSocketChannel struct {
	// Name is the channel's, Hub where it is.
	Name string
	Hub  *channel.Hub
	// From is where the client begins: after a position where the query has one, else now.
	From channel.From
	// MaxMessageBytes bounds a message of the client, QueueBytes what may wait for a client that reads slowly;
	// WriteTimeout is how long it may take to accept some of it, Heartbeat when a silent connection is to be pinged.
	MaxMessageBytes int
	QueueBytes      int
	WriteTimeout    time.Duration
	Heartbeat       time.Duration
	// Stopping is done when the server stops: the connection is to be closed with 1001 then.
	Stopping context.Context
	// Done is called when the connection is over, or the request was refused: the server waits for it when it stops.
	// It may be called more than once.
	Done func()
}

// asksForWebSocket says whether a request is the beginning of a WebSocket, well-formed or not: over HTTP/1.1 (RFC 6455
// section 4.1) or as an extended CONNECT (RFC 8441 section 4).
func asksForWebSocket(r *http.Request) bool {
	if r.Method == http.MethodConnect {
		return r.Header.Get(":protocol") == "websocket"
	}
	return r.Method == http.MethodGet && r.ProtoMajor == 1 && hasToken(r.Header["Upgrade"], "websocket")
}

func hasToken(values []string, token string) bool {
	return slices.ContainsFunc(values, func(value string) bool {
		for t := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(strings.TrimSpace(t), token) {
				return true
			}
		}
		return false
	})
}

// refuseUpgrade is called before a request is refused that may have been one for a WebSocket.
func refuseUpgrade(w http.ResponseWriter, upgrade bool) {
	if upgrade {
		w.Header().Set("Connection", "close")
	}
}

func (s *Server) serveWebSocket(w http.ResponseWriter, r *http.Request, name string, q query) {
	from, err := q.from(channel.Now())
	switch {
	case err != nil:
	default:
		err = s.clients.take()
	}
	if err != nil {
		refuseUpgrade(w, true)
		s.fail(w, r, err)
		return
	}
	// The connection outlives what bounds a request.
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Time{})
	_ = control.SetReadDeadline(time.Time{})
	done := sync.OnceFunc(s.clients.give)
	// Where the transport panics nobody else is going to.
	completed := false
	defer func() {
		if !completed {
			done()
		}
	}()
	if s.config.WebSocket == nil {
		s.sockets.serve(w, r, name, from, done)
		completed = true
		return
	}
	s.config.WebSocket(w, r, &WebSocketChannel{
		Name:            name,
		Hub:             s.hub,
		From:            from,
		MaxMessageBytes: s.config.Channels.MaxMessageBytes,
		QueueBytes:      s.config.QueueBytes,
		WriteTimeout:    s.config.WriteTimeout,
		Heartbeat:       s.config.Heartbeat,
		Stopping:        s.draining,
		Done:            done,
	})
	completed = true
}
