package carry

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"log/slog"
)

// Serve has h, the server of the sessions and nothing else, answer what other nodes carry here, until Shutdown or Close, or until the node
// leaves. The requests that h gets have the remote address and the host that the client's request had, and TLS is not nil
// if it came over TLS. It returns a non-nil error: http.ErrServerClosed after Shutdown or Close.
func (c *Carrier) Serve(h http.Handler) error {
	s := &http.Server{
		Handler:           &owner{c, h},
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * idleTime,
		MaxHeaderBytes:    maxHead,
		ErrorLog:          slog.NewLogLogger(c.o.Logger.Handler(), slog.LevelDebug),
		ConnContext: func(ctx context.Context, nc net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, nc)
		},
	}
	if !c.server.CompareAndSwap(nil, s) {
		return http.ErrServerClosed
	}
	if c.closed.Load() {
		return http.ErrServerClosed
	}
	return s.Serve(listener{c.node.Listener()})
}

// owner answers for the sessions of this node.
type owner struct {
	carrier *Carrier
	handler http.Handler
}

type connKey struct{}

func (o *owner) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.carrier.count.served.Add(1)
	r = r.WithContext(context.WithValue(r.Context(), carriedKey{}, true))
	if remote := r.Header.Get(fieldRemote); remote != "" {
		r.RemoteAddr = remote
	}
	if r.Header.Get(fieldSecure) != "" {
		r.TLS = &tls.ConnectionState{HandshakeComplete: true, ServerName: r.Host}
	}
	if nc, ok := r.Context().Value(connKey{}).(*conn); ok {
		remote := address(r.RemoteAddr)
		nc.remote.Store(&remote)
	}
	r.Header.Del(fieldRemote)
	r.Header.Del(fieldSecure)
	o.handler.ServeHTTP(w, r)
}

// A listener has its streams tell the address of the client that uses them.
type listener struct{ net.Listener }

func (l listener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &conn{Conn: nc}, nil
}

type conn struct {
	net.Conn
	remote atomic.Pointer[address]
}

func (c *conn) RemoteAddr() net.Addr {
	if remote := c.remote.Load(); remote != nil {
		return *remote
	}
	return c.Conn.RemoteAddr()
}

// address is one as net/http has it.
type address string

func (address) Network() string  { return "tcp" }
func (a address) String() string { return string(a) }
