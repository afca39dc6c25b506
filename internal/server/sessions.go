package server

import (
	"net/http"
	"strings"
	"sync"

	"baro.dev/engineio"
	"baro.dev/internal/clients"
)

// sessions counts the sessions of Socket.IO, whether or not their clients have connected to a namespace yet, and keeps each
// to its pace.
type sessions struct {
	server *Server

	mu  sync.Mutex
	all map[*engineio.Session]session
}

// session is what is kept of one.
type session struct {
	host *host
	pace *pace // nil: it has sent nothing yet, or may send as much as it likes
}

// newSessions has the sessions of an engine counted, which has its handlers and is not in use yet.
func newSessions(s *Server, e *engineio.Server) *sessions {
	k := &sessions{server: s, all: map[*engineio.Session]session{}}
	opened, received, closed := e.OnOpen, e.OnMessage, e.OnClose
	e.OnOpen = func(c *engineio.Session, r *http.Request) {
		host, err := s.slots.take(s.clientAddr(r))
		if err != nil { // of several who came at once
			s.refused(r, toProblem(err))
			c.CloseNow()
			return
		}
		k.mu.Lock()
		k.all[c] = session{host: host}
		k.mu.Unlock()
		opened(c, r)
	}
	e.OnMessage = func(c *engineio.Session, m engineio.Message) {
		if s.paces.Load().on() && !s.keepPace(k.paceOf(c), len(m.Data), nil) {
			k.tooFast(c)
			return
		}
		received(c, m)
	}
	e.OnClose = func(c *engineio.Session, why *engineio.CloseError) {
		k.mu.Lock()
		counted, ok := k.all[c]
		delete(k.all, c)
		k.mu.Unlock()
		if ok {
			defer s.slots.give(counted.host)
			closed(c, why)
		}
	}
	return k
}

// admit says whether a request that may begin a session is to have one: of who has one already that is not asked.
func (k *sessions) admit(r *http.Request) error {
	if r.Method == http.MethodOptions || r.URL.Path != socketIOPath || overWebTransport(r) ||
		strings.Contains(r.URL.RawQuery, "sid=") && r.URL.Query().Get("sid") != "" {
		return nil
	}
	return k.room(r)
}

// allow is for [engineio.Options.AllowRequest]: over WebTransport a client says only in the stream whether it begins a session.
func (k *sessions) allow(r *http.Request) error {
	if !overWebTransport(r) {
		return nil // it was admitted
	}
	return k.room(r)
}

func (k *sessions) room(r *http.Request) error {
	if !k.server.lets() {
		return clients.ErrConnects
	}
	return k.server.slots.room(k.server.clientAddr(r))
}

func overWebTransport(r *http.Request) bool {
	return r.Method == http.MethodConnect && strings.HasPrefix(r.Proto, "webtransport")
}

// paceOf is how fast a session was so far.
func (k *sessions) paceOf(c *engineio.Session) *pace {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.all[c]
	if s.pace == nil {
		s.pace = new(pace)
		k.all[c] = s
	}
	return s.pace
}

// tooFast ends a session that does not keep its pace. Its client comes back.
func (k *sessions) tooFast(c *engineio.Session) {
	k.server.refusedClient(&clients.Hello{Transport: "socket.io", Remote: c.RemoteAddr().String()}, clients.ErrRate)
	c.Close()
}
