package ws

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"baro.dev/ws/internal/handshake"
)

// Accept answers a request to open a WebSocket and returns the connection (RFC 6455 4.2; over HTTP/2 and HTTP/3, RFC
// 8441 and RFC 9220). opts may be nil.
//
// If the request is refused, Accept has answered it, and the error is a *HandshakeError that says why. Otherwise w and r are of no more use: over
// HTTP/1.1 the connection is taken from the server, and the handler may return while it goes on. Over HTTP/2 and HTTP/3 the connection is a stream
// that ends when the handler returns, so the handler has to return after the connection has ended, as
// "defer c.CloseNow()" does.
//
// Go's HTTP/2 server offers WebSocket only with GODEBUG=http2xconnect=1 in the environment of the process; browsers
// then use it for wss where they have an HTTP/2 connection.
func Accept(w http.ResponseWriter, r *http.Request, opts *AcceptOptions) (*Conn, error) {
	if opts == nil {
		opts = new(AcceptOptions)
	}
	set := opts.settings()
	up, err := upgrade(w, r, opts, set)
	if err != nil {
		return nil, err
	}
	c := newConn(up.transport(), set, up.addrs, false, up.subprotocol, up.deflate, up.early)
	up.follow(r, &c.core)
	return c, nil
}

// upgraded is a connection just after the handshake.
type upgraded struct {
	nc          net.Conn // where the frames go, unless it is tr
	tr          transport
	subprotocol string
	deflate     *handshake.Deflate
	extensions  string // the header that says so
	early       []byte // what the client sent right behind its request
	addrs       *addrs
	extended    bool // a stream that ends when the handler returns
}

// upgrade answers the request.
func upgrade(w http.ResponseWriter, r *http.Request, o *AcceptOptions, set *settings) (*upgraded, error) {
	up, err := tryUpgrade(w, r, o)
	if err != nil {
		set.logger.Debug("handshake refused", "remote", r.RemoteAddr, "err", err)
	}
	return up, err
}

func tryUpgrade(w http.ResponseWriter, r *http.Request, o *AcceptOptions) (*upgraded, error) {
	err := refusal(r)
	if err == nil {
		err = o.checkOrigin(r)
	}
	up := new(upgraded)
	var response []byte
	if err == nil {
		response, err = up.negotiate(nil, r, o)
	}
	switch {
	case err != nil:
		return nil, refuse(w, r, err)
	case up.extended:
		return up, up.acceptStream(w, r, o)
	}
	return up, up.hijack(w, r, o, handshake.AppendHeader(response, w.Header()))
}

// checkOrigin says whether the page that r comes from may connect.
func (o *AcceptOptions) checkOrigin(r *http.Request) error {
	if _, err := handshake.Check(r); err != nil {
		return err // CheckOrigin sees none but requests for a WebSocket
	}
	if o.CheckOrigin == nil {
		return handshake.CheckOrigin(r, o.AllowedOrigins)
	}
	if err := o.CheckOrigin(r); err != nil {
		return &HandshakeError{Status: http.StatusForbidden, Reason: err.Error()}
	}
	return nil
}

// negotiate agrees on what r asks for, and appends the response to dst, where it is one of HTTP/1.1.
func (up *upgraded) negotiate(dst []byte, r *http.Request, o *AcceptOptions) ([]byte, error) {
	req, err := handshake.Check(r)
	if err != nil {
		return nil, err
	}
	up.extended = req.ExtendedConnect
	if up.subprotocol, err = handshake.SelectSubprotocol(r.Header, o.Subprotocols); err != nil {
		return nil, err
	}
	if up.deflate, up.extensions, err = handshake.AcceptDeflate(r.Header, o.Compression.policy()); err != nil {
		return nil, err
	}
	if up.extended {
		return nil, nil
	}
	return handshake.AppendResponse(dst, req.Key, up.subprotocol, up.extensions, o.Header)
}

// refuse answers the request with err and returns err.
func refuse(w http.ResponseWriter, r *http.Request, err error) error {
	he, ok := errors.AsType[*HandshakeError](err)
	if !ok {
		he = &HandshakeError{Status: http.StatusInternalServerError, Reason: err.Error()}
	}
	he.ServeHTTP(w, r)
	return he
}

// policy is what a server or client with these options negotiates; nil: no compression.
func (c Compression) policy() *handshake.DeflatePolicy {
	if !c.Enabled {
		return nil
	}
	p := &handshake.DeflatePolicy{
		NoContextTakeover:     !c.ContextTakeover,
		PeerNoContextTakeover: !c.ContextTakeover,
		MaxWindowBits:         c.WindowBits,
		PeerMaxWindowBits:     c.PeerWindowBits,
	}
	if c.ContextTakeover {
		if p.MaxWindowBits == 0 {
			p.MaxWindowBits = defaultTakeoverBits
		}
		if p.PeerMaxWindowBits == 0 {
			p.PeerMaxWindowBits = p.MaxWindowBits
		}
	}
	return p
}

// hijack takes the connection from net/http and answers on it.
func (up *upgraded) hijack(w http.ResponseWriter, r *http.Request, o *AcceptOptions, response []byte) error {
	nc, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return refuse(w, r, fmt.Errorf("the server cannot hand out the connection: %w", err))
	}
	// Whatever deadlines the server had set were for the request.
	nc.SetDeadline(noDeadline)
	nc.SetWriteDeadline(time.Now().Add(o.Limits.handshakeTimeout()))
	if _, err := nc.Write(response); err != nil {
		nc.Close()
		return fmt.Errorf("ws: answering the handshake: %w", err)
	}
	nc.SetWriteDeadline(noDeadline)
	if n := rw.Reader.Buffered(); n > 0 {
		up.early, _ = rw.Reader.Peek(n)
	}
	up.nc = nc
	return nil
}

// transport returns what the frames go over.
func (up *upgraded) transport() transport {
	if up.tr == nil {
		up.tr = newTransport(up.nc)
	}
	return up.tr
}

// NewConn makes a WebSocket connection of a stream over which the opening handshake has been done by other means.
// client says which side this is. Closing rwc must make its Read and Write return. No extension is in use.
func NewConn(rwc io.ReadWriteCloser, client bool, subprotocol string, opts *AcceptOptions) *Conn {
	if opts == nil {
		opts = new(AcceptOptions)
	}
	return newConn(streamOrSocket(rwc), opts.settings(), nil, client, subprotocol, nil, nil)
}
