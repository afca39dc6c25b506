package ws

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
)

// front is the front door that a call of Server.Serve opens: net/http, and on Linux what comes before it.
type front struct {
	server   *Server
	listener net.Listener
	http     *http.Server
	handed   *handedListener // what is left to net/http; nil: everything

	mu      sync.Mutex
	own     io.Closer // accepts without net/http; nil: nobody does
	stopped bool
	conns   int  // of net/http
	served  bool // Serve has returned
}

func (s *Server) newFront(l net.Listener) *front {
	f := &front{server: s, listener: l}
	f.http = &http.Server{
		Handler:           f,
		ReadHeaderTimeout: s.Options.Limits.handshakeTimeout(),
		IdleTimeout:       s.Options.Limits.handshakeTimeout(), // the next request has no more time than the first
		MaxHeaderBytes:    int(min(s.Options.Limits.maxHeaderBytes(), 1<<30)),
		ConnContext:       withRefusal,
		ConnState:         f.count,
		ErrorLog:          slog.NewLogLogger(s.settings().logger.Handler(), slog.LevelError),
	}
	return f
}

// count counts the connections of net/http: they may outlive the listener, and are for Shutdown and Close to end.
func (f *front) count(_ net.Conn, state http.ConnState) {
	f.mu.Lock()
	switch state {
	case http.StateNew:
		f.conns++
	case http.StateHijacked, http.StateClosed:
		f.conns--
	}
	over := f.served && f.conns == 0
	f.mu.Unlock()
	if over {
		f.server.forgetFront(f)
	}
}

func (s *Server) addFront(f *front) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return false
	}
	if s.fronts == nil {
		s.fronts = make(map[*front]struct{})
	}
	s.fronts[f] = struct{}{}
	return true
}

// removeFront forgets f as soon as it has no connections.
func (s *Server) removeFront(f *front) {
	f.mu.Lock()
	f.served = true
	over := f.conns == 0
	f.mu.Unlock()
	if over {
		s.forgetFront(f)
	}
}

func (s *Server) forgetFront(f *front) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.fronts, f)
}

func (s *Server) isDraining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining
}

// ServeHTTP answers what net/http has read.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f.server.Handler != nil && (f.server.Admit != nil || !wantsWebSocket(r)) {
		f.server.Handler.ServeHTTP(w, r)
		return
	}
	f.server.ServeHTTP(w, r)
}

// wantsWebSocket reports whether r has anything of a request for a WebSocket, a wrong one included.
func wantsWebSocket(r *http.Request) bool {
	if r.Method == http.MethodConnect && len(r.Header[":protocol"]) > 0 { // RFC 8441 4
		return true
	}
	for _, value := range r.Header["Upgrade"] {
		for token := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(strings.TrimSpace(token), "websocket") {
				return true
			}
		}
	}
	return false
}

// serve serves until the listener is closed.
func (f *front) serve() error {
	if !f.acceptable() {
		return f.http.Serve(f.listener)
	}
	f.handed = &handedListener{conns: make(chan net.Conn), done: make(chan struct{}), addr: f.listener.Addr()}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = f.http.Serve(f.handed)
	}()
	err := f.accept()
	f.stop()
	_ = f.handed.Close()
	<-served
	return err
}

// setOwn has stop close own as well. It reports whether stop has been called already.
func (f *front) setOwn(own io.Closer) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.own = own
	return f.stopped
}

func (f *front) isStopped() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.stopped
}

// stop accepts no more.
func (f *front) stop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stopped = true
	f.listener.Close()
	if f.own != nil {
		f.own.Close()
	}
}

// handedListener is where net/http gets the connections from that are not for a WebSocket.
type handedListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
	addr  net.Addr
}

func (l *handedListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *handedListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *handedListener) Addr() net.Addr { return l.addr }

// give hands c over, or closes it.
func (l *handedListener) give(c net.Conn) {
	select {
	case l.conns <- c:
	case <-l.done:
		c.Close()
	}
}

// handed is a connection of which something has been read.
type handed struct {
	net.Conn
	read    []byte
	refused atomic.Pointer[error] // why the request in read was not for us
}

func (h *handed) Read(p []byte) (int, error) {
	if len(h.read) > 0 {
		n := copy(p, h.read)
		h.read = h.read[n:]
		return n, nil
	}
	return h.Conn.Read(p)
}

// ReadFrom implements io.ReaderFrom, for files that the kernel can send by itself.
func (h *handed) ReadFrom(r io.Reader) (int64, error) { return io.Copy(h.Conn, r) }

// CloseWrite ends the writing side.
func (h *handed) CloseWrite() error {
	if c, ok := h.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}

// plain returns the connection below if nothing has been read of it that is still to be read.
func plain(nc net.Conn) net.Conn {
	if h, ok := nc.(*handed); ok && len(h.read) == 0 {
		return h.Conn
	}
	return nc
}

type refusalKey struct{}

// withRefusal has refusal find what was wrong with the request that was handed over.
func withRefusal(ctx context.Context, nc net.Conn) context.Context {
	if h, ok := nc.(*handed); ok && h.refused.Load() != nil {
		return context.WithValue(ctx, refusalKey{}, h)
	}
	return ctx
}

// refusal returns why r has been refused already, nil if it has not. It is for the first request of a connection.
func refusal(r *http.Request) error {
	if h, ok := r.Context().Value(refusalKey{}).(*handed); ok {
		if err := h.refused.Swap(nil); err != nil {
			return *err
		}
	}
	return nil
}
