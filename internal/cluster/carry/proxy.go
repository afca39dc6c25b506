package carry

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"
	"time"

	"baro.dev/internal/cluster"
)

// What the node that carries a request says of it. The fields are believed on streams only, and taken off there.
const (
	fieldRemote = "Baro-Carried-Remote"
	fieldSecure = "Baro-Carried-Secure"
)

// carriedKey is that of requests that have been carried: they are not carried on.
type carriedKey struct{}

const (
	// idleTime is how long a stream is kept for further requests; whoever serves it keeps it for longer.
	idleTime = 30 * time.Second
	// maxIdle bounds the streams that are kept, to each node.
	maxIdle = 256
	// maxHead bounds the head of an answer.
	maxHead = 64 << 10
)

// nodeKey is that of the node that a request is carried to.
type nodeKey struct{}

func (c *Carrier) newProxy() (*http.Transport, *httputil.ReverseProxy) {
	trips := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, c.o.DialTimeout)
			defer cancel()
			node, _ := ctx.Value(nodeKey{}).(string)
			return c.node.Dial(ctx, node)
		},
		DisableCompression:     true,
		MaxIdleConnsPerHost:    maxIdle,
		IdleConnTimeout:        idleTime,
		MaxResponseHeaderBytes: maxHead,
		WriteBufferSize:        2 << 10,
		ReadBufferSize:         2 << 10,
	}
	return trips, &httputil.ReverseProxy{
		Transport:    trips,
		Rewrite:      rewrite,
		ErrorHandler: c.fail,
		ErrorLog:     log.New(io.Discard, "", 0), // fail tells
		BufferPool:   new(buffers),
	}
}

// rewrite makes the request that a node gets of the one that came: all of it, and where it came from.
func rewrite(r *httputil.ProxyRequest) {
	u := *r.In.URL
	u.Scheme, u.Host = "http", r.In.Context().Value(nodeKey{}).(string)
	r.Out.URL, r.Out.Host = &u, r.In.Host
	for _, field := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
		if values := r.In.Header[field]; values != nil {
			r.Out.Header[field] = values
		}
	}
	introduce(r.Out.Header, r.In)
	if r.Out.Body == nil {
		r.Out.Body = once{}
	}
}

// once is an empty body that cannot be read again: a transport does not send such a request twice. A poll takes what there is, so that
// nobody would get what the first answer had in it.
type once struct{}

func (once) Read([]byte) (int, error) { return 0, io.EOF }
func (once) Close() error             { return nil }

// introduce says where a request came from.
func introduce(h http.Header, r *http.Request) {
	h.Set(fieldRemote, r.RemoteAddr)
	h.Del(fieldSecure)
	if r.TLS != nil {
		h.Set(fieldSecure, "1")
	}
}

// carry carries one request.
func (c *Carrier) carry(w http.ResponseWriter, r *http.Request, node string) {
	switch {
	case r.Context().Value(carriedKey{}) != nil:
		c.count.unknown.Add(1)
		unknown(w, r)
	case isUpgrade(r):
		c.count.sockets.Add(1)
		c.count.openSockets.Add(1)
		defer c.count.openSockets.Add(-1)
		c.tunnel(w, r, node)
	default:
		c.count.polls.Add(1)
		c.count.open.Add(1)
		defer c.count.open.Add(-1)
		c.proxy.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), nodeKey{}, node)))
	}
}

// isUpgrade is as engineio sees it.
func isUpgrade(r *http.Request) bool {
	return r.Method == http.MethodConnect || strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}

// fail answers a request that could not be carried: official clients come back then.
func (c *Carrier) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // nobody waits for the answer
	}
	c.o.Logger.Debug("a request could not be carried to its node", "remote", r.RemoteAddr, "error", err)
	if errors.Is(err, cluster.ErrNoNode) {
		c.count.unknown.Add(1)
		unknown(w, r)
		return
	}
	c.count.failed.Add(1)
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Retry-After", "1")
	endAfter(h, r)
	http.Error(w, "the node of this session cannot be reached", http.StatusServiceUnavailable)
}

// unknown answers as engineio does for a session that nobody has.
func unknown(w http.ResponseWriter, r *http.Request) {
	const message = "Session ID unknown"
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	endAfter(h, r)
	body := `{"code":1,"message":"` + message + `"}`
	if isUpgrade(r) {
		h.Set("Content-Type", "text/html")
		body = message
	} else {
		h.Set("Content-Type", "application/json")
	}
	w.WriteHeader(http.StatusBadRequest)
	_, _ = io.WriteString(w, body)
}

// endAfter ends the connection of a refused WebSocket: what came behind the request is frames.
func endAfter(h http.Header, r *http.Request) {
	if isUpgrade(r) && r.ProtoMajor == 1 {
		h.Set("Connection", "close")
	}
}

// buffers are those of the proxy.
type buffers struct{ pool sync.Pool }

const bufferBytes = 16 << 10

func (b *buffers) Get() []byte {
	if p, ok := b.pool.Get().(*[bufferBytes]byte); ok {
		return p[:]
	}
	return make([]byte, bufferBytes)
}

func (b *buffers) Put(p []byte) {
	if len(p) == bufferBytes {
		b.pool.Put((*[bufferBytes]byte)(p))
	}
}
