package engineio

import (
	"net/http"

	"baro.dev/engineio/internal/payload"
)

// open answers the handshake by polling.
func (e *Server) open(w http.ResponseWriter, r *http.Request, q query) {
	p := &polling{max: e.set.MaxBuffered, asked: e.heart.now()}
	if q.Has("j") {
		if p.script, p.jsonp = payload.ParseIndex(q.Get("j")); !p.jsonp {
			e.refuse(w, r, refuseFor(BadRequest, "j is no number"))
			return
		}
	}
	s, err := e.newSession(r, q)
	if err != nil {
		e.unavailable(w, err)
		return
	}
	s.poll = p
	if c := e.set.Cookie; c != nil {
		http.SetCookie(w, sessionCookie(c, s.id))
	}
	// It leaves when OnOpen has returned: the client does nothing before it comes.
	hello := []outgoing{{Packet: payload.Packet{Type: payload.Open, Data: s.handshake(e.set.webSocketUpgrade)}}}
	s.appear()
	s.started(r)
	if err := s.answer(w, r, p, hello); err != nil {
		s.end(&CloseError{TransportError, err})
	}
}

// unavailable answers a request for a session that cannot be.
func (e *Server) unavailable(w http.ResponseWriter, err error) {
	w.Header().Set("Retry-After", "1")
	http.Error(w, err.Error(), http.StatusServiceUnavailable)
}

// sessionCookie is template with an id.
func sessionCookie(template *http.Cookie, id string) *http.Cookie {
	c := *template
	c.Value = id
	c.HttpOnly = true
	if c.Name == "" {
		c.Name = "io"
	}
	if c.Path == "" {
		c.Path = "/"
	}
	if c.SameSite == 0 {
		c.SameSite = http.SameSiteLaxMode
	}
	return &c
}
