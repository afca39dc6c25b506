package engineio

import (
	"net"
	"net/http"

	"baro.dev/ws"
)

// Serve accepts connections from l and serves them until Shutdown or Close, or until l fails; it closes l. It returns a non-nil
// error: ws.ErrServerClosed after Shutdown or Close.
//
// It is the front door of package ws: on Linux, WebSockets that come over a *net.TCPListener or *net.UnixListener are opened
// without net/http, which costs the least; everything else is handed to net/http as it came, and answered by ServeHTTP. So are
// WebSockets where Options.AllowRequest, GenerateID or Headers is set, which might block, unless Options.Inline promises that they do not.
// OnOpen has a goroutine of its own without Options.Inline.
func (e *Server) Serve(l net.Listener) error {
	e.init()
	return e.ws.Serve(l)
}

// admit admits the WebSockets that nothing speaks against; of the rest ServeHTTP says what is wrong.
func (e *Server) admit(r *http.Request) (a ws.Admission, ok bool) {
	set := e.set
	hooks := set.AllowRequest != nil || set.GenerateID != nil || set.Headers != nil
	e.mu.Lock()
	draining := e.draining
	e.mu.Unlock()
	if draining || hooks && !set.Inline || !e.isOurs(r.URL.Path) {
		return a, false
	}
	q := queryOf(r)
	s, refused := e.check(r, q, true)
	switch {
	case refused != nil:
		a.Refused = refused
		return a, false
	case s != nil:
		return a, false // upgrades are rare enough
	}
	if set.Headers != nil {
		a.Header = http.Header{}
		set.Headers(a.Header, r, true)
	}
	a.Data = &admitted{e, q}
	return a, true
}

// admitted is a request whose session begins when its WebSocket is there.
type admitted struct {
	server *Server
	query  query
}

func (a *admitted) opened(c *ws.Socket, r *http.Request) {
	s, err := a.server.newSession(r, a.query)
	if err != nil {
		c.Data = surplus{}
		_ = c.Close(ws.StatusTryAgainLater, "")
		return
	}
	(*newcomer)(s).begin(c)
	if a.server.set.Inline {
		s.started(r)
		return
	}
	// The handler may block, and the loop must not. Nothing arrives before it has returned.
	c.Pause()
	go func() {
		defer c.Resume()
		s.started(r)
	}()
}

func (a *admitted) served() {}
