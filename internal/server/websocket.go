package server

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"baro.dev/channel"
)

// asksForWebSocket says whether a request is the beginning of a WebSocket, well-formed or not: over HTTP/1.1 (RFC 6455
// section 4.1) or as an extended CONNECT over HTTP/2 (RFC 8441 section 4) or HTTP/3 (RFC 9220).
func asksForWebSocket(r *http.Request) bool {
	if r.Method == http.MethodConnect {
		return r.Header.Get(":protocol") == "websocket" || r.ProtoMajor == 3 && r.Proto == "websocket"
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
	identity, h, err := s.visitor(r, "websocket")
	var from channel.From
	if err == nil {
		from, err = s.begin(identity, name, q, false)
	}
	var host *host
	if err == nil {
		host, err = s.slots.take(s.clientAddr(r))
	}
	if err != nil {
		refuseUpgrade(w, true)
		s.fail(w, r, explain(r, err))
		return
	}
	// The connection outlives what bounds a request.
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Time{})
	_ = control.SetReadDeadline(time.Time{})
	done := sync.OnceFunc(func() { s.slots.give(host) })
	// Where the transport panics nobody else is going to.
	completed := false
	defer func() {
		if !completed {
			done()
		}
	}()
	s.sockets.serve(w, r, &joining{client: &socketClient{name: name, leave: done}, identity: identity, hello: h, from: from})
	completed = true
}
