package ws

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"sync"
)

// Server accepts WebSocket connections and calls handlers for what happens on them. It is an http.Handler.
//
// The handlers of one connection run one after another: OnOpen first, OnMessage for each message in order, OnClose
// last, each exactly once for each event. Those of different connections run concurrently. A handler that takes long
// holds up its own connection only. One that panics has its connection closed with StatusInternalError.
//
// The fields must not be changed once the server is in use. A Server must not be copied.
type Server struct {
	// Options are those of Accept.
	Options AcceptOptions
	// OnOpen is called when a connection has been opened. r is the request that opened it, without its body.
	OnOpen func(c *Socket, r *http.Request)
	// OnMessage is called for each message. m.Data is lent until OnMessage returns.
	OnMessage func(c *Socket, m Message)
	// OnClose is called when a connection has ended or failed. err says why, as of Conn.Read: a *CloseError, mostly.
	// Nothing can be sent any more.
	OnClose func(c *Socket, err error)
	// OnRefuse is called for each request for a WebSocket that is refused, after it has been answered: by ServeHTTP, and by Serve
	// where no Handler is set. Its calls may be concurrent. r is not to be used when it has returned.
	OnRefuse func(r *http.Request, err *HandshakeError)
	// Handler answers the requests that come to Serve and are not for a WebSocket. nil: they are refused.
	Handler http.Handler
	// Admit, if set, decides about the well-formed requests for a WebSocket that Serve can answer without net/http, in place of
	// Options.CheckOrigin and Options.AllowedOrigins. It is called on the event loop and must not block. All requests that it does
	// not admit, or does not see, go to Handler, which has to be set, and refuses them, or passes them on to ServeHTTP.
	Admit func(r *http.Request) (a Admission, ok bool)
	// Inline promises that no handler blocks, nor Options.CheckOrigin. On Linux the event loop then calls them itself,
	// which is fastest, and what OnMessage sends while more input waits leaves together. Handlers must not wait for
	// anything, so nothing of Write, Writer and the Block policy: room in a queue comes about when the loop goes on.
	Inline bool
	// Loops is the number of event loops that read plain TCP and Unix connections on Linux: 0 means half of
	// GOMAXPROCS, a negative number none. One loop keeps one core busy; with Inline, handlers that compute much want as
	// many loops as there are cores. All others, as those over TLS, HTTP/2 and HTTP/3, and all on
	// other systems, are read by a goroutine each, and behave the same.
	Loops int

	mu       sync.Mutex
	set      *settings
	all      []*Socket
	count    int
	draining bool
	cut      bool          // by Close
	empty    chan struct{} // closed when the last connection has gone, while draining
	fronts   map[*front]struct{}
	loops    *loops
	portable *hub // of the connections that have no event loop; nil: there has been none
}

// Admission is how a request for a WebSocket is admitted.
type Admission struct {
	// Data is the Socket's from the beginning.
	Data any
	// Header is added to the response, save what is not for others to set.
	Header http.Header
	// Refused is why a request is not admitted. Whoever answers it finds that by Refusal, and need not ask again.
	Refused error
}

// Refusal returns the Admission.Refused of a request that Server.Admit has not admitted, and nil for all others. It tells once.
func Refusal(r *http.Request) error { return refusal(r) }

// defaultLoops is what 0 stands for in Server.Loops. Only a test sets it, to be run with either driver.
var defaultLoops = 0

// driver returns the event loops, nil for none.
func (s *Server) driver() *loops {
	n := s.Loops
	if n == 0 {
		n = defaultLoops
	}
	if n < 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.loops == nil {
		s.loops = newLoops(n)
	}
	return s.loops
}

// ErrServerClosed is what Serve returns after Shutdown or Close. It is http.ErrServerClosed.
var ErrServerClosed = http.ErrServerClosed

// ServeHTTP opens a WebSocket for r, or refuses it. Over HTTP/1.1 it returns at once, over HTTP/2 and HTTP/3 when the
// connection has ended.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	set, ok := s.enter()
	if !ok {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "the server is shutting down", http.StatusServiceUnavailable)
		return
	}
	c := s.open(w, r, set)
	if c == nil {
		return
	}
	// Deferred, since a handler may end the goroutine (runtime.Goexit).
	defer func() {
		if c.looped {
			c.startReading()
			return
		}
		c.startTicker()
		if c.stream {
			c.run()
		} else {
			go c.run() // with a stack of its own: net/http's is let go with its buffers
		}
	}()
	if s.OnOpen != nil {
		c.guard(func() { s.OnOpen(c, r) })
	}
}

// open does the handshake. Without one it returns nil, and the request has been answered.
func (s *Server) open(w http.ResponseWriter, r *http.Request, set *settings) *Socket {
	c := &Socket{server: s, core: core{inline: s.Inline}}
	opened := false
	defer func() {
		if !opened {
			s.leave()
		}
	}()
	up, err := upgrade(w, r, &s.Options, set)
	if err != nil {
		if he, ok := errors.AsType[*HandshakeError](err); ok && s.OnRefuse != nil {
			s.OnRefuse(r, he)
		}
		return nil
	}
	if up.nc == nil || !s.detach(c, plain(up.nc)) {
		c.tr = up.transport()
	}
	c.init(c.tr, set, false, up.subprotocol, up.deflate, up.early)
	if !c.looped {
		c.startInput()
	}
	c.setStream(up.addrs)
	up.follow(r, &c.core)
	if c.looped {
		c.flags.set(opening)
		c.startLoop()
	}
	s.add(c)
	opened = true
	return c
}

// settings returns the options with their defaults.
func (s *Server) settings() *settings {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.set == nil {
		s.set = s.Options.settings()
	}
	return s.set
}

// enter counts a connection that is about to be opened, if any still are. leave or remove follows.
func (s *Server) enter() (*settings, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return nil, false
	}
	if s.set == nil {
		s.set = s.Options.settings()
	}
	s.count++
	return s.set, true
}

func (s *Server) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leaveLocked()
}

func (s *Server) leaveLocked() {
	s.count--
	if s.count == 0 && s.empty != nil {
		close(s.empty)
		s.empty = nil
	}
}

func (s *Server) add(c *Socket) {
	s.mu.Lock()
	c.index = int32(len(s.all))
	s.all = append(s.all, c)
	draining, cut := s.draining, s.cut
	s.mu.Unlock()
	switch {
	case cut:
		_ = c.CloseNow()
	case draining:
		_ = c.Close(StatusGoingAway, "")
	}
}

func (s *Server) remove(c *Socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := len(s.all) - 1
	s.all[c.index] = s.all[last]
	s.all[c.index].index = c.index
	s.all[last] = nil
	s.all = s.all[:last]
	if cap(s.all) > 64 && last < cap(s.all)/4 {
		s.all = slices.Clone(s.all)
	}
	s.leaveLocked()
}

// Len returns the number of connections, those that are being opened or closed included.
func (s *Server) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count
}

// Buffered returns the number of bytes that wait in the queues of all connections, because the peers or the network are slow.
func (s *Server) Buffered() int {
	n := 0
	for _, c := range s.sockets() {
		n += c.Buffered()
	}
	return n
}

// sockets returns all connections.
func (s *Server) sockets() []*Socket {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.all)
}

// Serve accepts connections from l and serves them until Shutdown or Close, or until l fails; it closes l. Requests that
// are not for a WebSocket go to Handler. It returns a non-nil error: ErrServerClosed after Shutdown or Close.
//
// On Linux, the requests for a WebSocket that come over a *net.TCPListener or *net.UnixListener are answered without
// net/http, which costs the least; everything else is handed to net/http as it came. Limits.HandshakeTimeout bounds
// the time that a request may take to come.
func (s *Server) Serve(l net.Listener) error {
	f := s.newFront(l)
	if !s.addFront(f) {
		l.Close()
		return ErrServerClosed
	}
	defer s.removeFront(f)
	err := f.serve()
	if s.isDraining() {
		return ErrServerClosed
	}
	return err
}

// Shutdown stops accepting connections, closes those there are with StatusGoingAway and waits until all have ended.
// What was queued on them and what has been published leaves first, and requests that Handler is answering are answered. When ctx is done, what is
// left is cut, and Shutdown returns context.Cause(ctx). The server cannot be used again.
func (s *Server) Shutdown(ctx context.Context) error {
	fronts, empty := s.drain(false)
	s.eachHub((*hub).deliverNow)
	for _, c := range s.sockets() {
		_ = c.Close(StatusGoingAway, "")
	}
	for _, f := range fronts {
		_ = f.http.Shutdown(ctx)
	}
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
		_ = s.Close()
		return context.Cause(ctx)
	}
}

// Close stops accepting connections and ends those there are without a closing handshake.
func (s *Server) Close() error {
	fronts, _ := s.drain(true)
	for _, f := range fronts {
		_ = f.http.Close()
	}
	for _, c := range s.sockets() {
		c.CloseNow()
	}
	return nil
}

// drain stops accepting, and returns what has accepted up to now; the channel is closed when no connection is left. If cut,
// connections that are still being opened are to end at once.
func (s *Server) drain(cut bool) ([]*front, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining = true
	s.cut = s.cut || cut
	if s.loops != nil {
		s.loops.close()
	}
	var fronts []*front
	for f := range s.fronts {
		f.stop()
		fronts = append(fronts, f)
	}
	if s.empty == nil {
		s.empty = make(chan struct{})
		if s.count == 0 {
			close(s.empty)
			empty := s.empty
			s.empty = nil
			return fronts, empty
		}
	}
	return fronts, s.empty
}
