package engineio

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"sync"

	"baro.dev/engineio/internal/payload"
	"baro.dev/ws"
)

// OpenStream answers a request for a session of WebTransport, and returns the first bidirectional stream that the client
// opens in it. If it fails, or ctx is done before, it has answered the request otherwise, or has ended the session.
//
// One goroutine at a time reads from the stream, and one writes to it. Close may be called meanwhile, does not wait, and has
// Read and Write return; what has been written arrives, as far as the client takes it soon.
type OpenStream func(ctx context.Context) (io.ReadWriteCloser, error)

type streamKey struct{}

// WithStream returns a request for a session of WebTransport that a Server can serve, by whatever router it comes to it. It is for
// servers of WebTransport, such as package engineio/webtransport.
//
// The Server does what it does for other requests: it looks at Options.Path, Transports and CORS before it calls open. Since the
// client says over the stream only whether it begins a session or upgrades one, Options.AllowRequest is asked after that, for a
// session that begins. Server.ServeHTTP returns when the stream has been closed.
func WithStream(r *http.Request, open OpenStream) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), streamKey{}, open))
}

// openStream returns what opens the stream that r is for, nil if it is for none.
func openStream(r *http.Request) OpenStream {
	if r.Method != http.MethodConnect {
		return nil
	}
	open, _ := r.Context().Value(streamKey{}).(OpenStream)
	return open
}

var (
	errHello   = errors.New("engineio: the first packet is not that of a handshake")
	errNoHello = errors.New("engineio: the handshake has not come in time")
)

// serveStream serves a session of WebTransport.
func (e *Server) serveStream(w http.ResponseWriter, r *http.Request, open OpenStream) {
	refused := e.checkOrigin(r)
	if !e.set.webtransport {
		refused = refuseFor(UnknownTransport, "webtransport is not among the transports")
	}
	if refused != nil {
		e.refuse(w, r, refused)
		return
	}
	ctx, cancel := context.WithTimeoutCause(r.Context(), e.set.UpgradeTimeout, errNoHello)
	defer cancel()
	v := &visit{cancel: cancel}
	if !e.streams.enter(v) {
		e.unavailable(w, ErrServerClosed)
		return
	}
	defer e.streams.leave(v)
	stream, err := open(ctx)
	if err != nil {
		e.set.Logger.Debug("no stream was opened", "remote", r.RemoteAddr, "error", err)
		return
	}
	l := newStreamLink(e, stream, remoteAddr(r))
	e.streams.opened(v, l)
	defer func() {
		l.close()
		<-l.done
	}()
	err = e.serveLink(ctx, l, r)
	if refused, ok := errors.AsType[*ConnectionError](err); ok {
		e.tell(r, refused)
	} else if err != nil {
		e.set.Logger.Debug("stream refused", "remote", r.RemoteAddr, "error", err)
	}
}

// serveLink serves the stream of r. ctx is for what comes before there is a session.
func (e *Server) serveLink(ctx context.Context, l *streamLink, r *http.Request) error {
	stop := context.AfterFunc(ctx, l.cut)
	defer stop()
	m, err := l.next()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return err
	}
	sid, err := parseHello(m)
	if err != nil {
		return err
	}
	if sid == nil {
		return e.greetStream(stop, l, r)
	}
	s := e.Session(*sid)
	switch {
	case s == nil || s.overdue():
		return refuse(UnknownSession, nil)
	case s.Protocol() != 4:
		return refuseFor(BadRequest, "the session's protocol is another one")
	}
	p, refused := s.startProbe(WebTransport)
	if refused != nil {
		return refused
	}
	stop() // the probe has a timeout of its own
	l.format = s.format
	p.attach(l)
	for {
		m, err := l.next()
		if err != nil {
			p.fail()
			return err
		}
		if p.message(l, m) {
			l.serve(s)
			return nil
		}
	}
}

// greetStream begins a session, and serves it, unless it is too late to stop what has l cut.
func (e *Server) greetStream(stop func() bool, l *streamLink, r *http.Request) error {
	if refused := e.allow(r); refused != nil {
		return refused
	}
	if !stop() {
		return errNoHello
	}
	s, err := e.newSession(r, query{eio: protocolNames[4]})
	if err != nil {
		return err
	}
	s.mu.Lock() // until the client has been told, nothing else is sent
	s.link = l
	s.appear()
	_ = l.send(payload.Packet{Type: payload.Open, Data: s.handshake([]string{})}, false)
	s.mu.Unlock()
	s.started(r)
	l.serve(s)
	return nil
}

// parseHello parses the first packet of a client, which names the session that it wants to upgrade, or begins one: nil.
func parseHello(m ws.Message) (sid *string, err error) {
	packet, err := payload.V4.DecodeMessage(m.Data, m.Type == ws.Binary)
	if err != nil || packet.Type != payload.Open {
		return nil, errHello
	}
	if len(packet.Data) == 0 {
		return nil, nil
	}
	var hello struct {
		SID *string `json:"sid"`
	}
	if err := json.Unmarshal(packet.Data, &hello); err != nil || hello.SID == nil {
		return nil, errHello
	}
	return hello.SID, nil
}

// streams are the requests for streams that are being served.
type streams struct {
	mu     sync.Mutex
	all    map[*visit]struct{}
	closed bool
	empty  chan struct{} // closed when there are none any more, once closed
}

// visit is one of them.
type visit struct {
	cancel context.CancelFunc // ends it if there is no session yet
	link   *streamLink
}

func (s *streams) enter(v *visit) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	if s.all == nil {
		s.all = map[*visit]struct{}{}
	}
	s.all[v] = struct{}{}
	return true
}

func (s *streams) opened(v *visit, l *streamLink) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v.link = l
}

func (s *streams) leave(v *visit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, v)
	if s.closed && len(s.all) == 0 {
		close(s.empty)
	}
}

// shutdown ends the streams without a session, and waits for the others, whose sessions have been closed, until ctx is done.
func (s *streams) shutdown(ctx context.Context) error {
	select {
	case <-s.drain():
		return nil
	case <-ctx.Done():
		s.close()
		return context.Cause(ctx)
	}
}

// close ends all streams at once.
func (s *streams) close() {
	s.drain()
	s.mu.Lock()
	defer s.mu.Unlock()
	for v := range s.all {
		if v.link != nil {
			v.link.cut()
		}
	}
}

func (s *streams) drain() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		s.empty = make(chan struct{})
		if len(s.all) == 0 {
			close(s.empty)
		}
	}
	for v := range s.all {
		v.cancel()
	}
	return s.empty
}
