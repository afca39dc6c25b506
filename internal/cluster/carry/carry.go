// Package carry makes sessions reachable at every node of a cluster: a request that comes to another node than its session's is carried
// to that one, over the streams of the nodes.
//
// The id of a session begins with that of its node. Polls and POSTs are carried by a reverse proxy whose connections are streams, the
// openings of WebSockets by a stream of their own, which lasts as long as the WebSocket.
package carry

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"sync/atomic"
	"time"

	"baro.dev/internal/cluster"
)

// Options of a [Carrier]. The zero value has the defaults.
type Options struct {
	// DialTimeout is how long opening a stream may take, and how long the answer to the opening of a WebSocket. Default: 10 seconds.
	DialTimeout time.Duration
	// Logger is told of requests that could not be carried, at level Debug. Default: nothing is logged.
	Logger *slog.Logger
}

// A Carrier carries requests from and to one node. Its methods may be called from any goroutine.
type Carrier struct {
	node   *cluster.Node
	o      Options
	proxy  *httputil.ReverseProxy
	trips  *http.Transport
	server atomic.Pointer[http.Server]
	closed atomic.Bool
	count  counters
	open   tunnels
}

type counters struct {
	polls, sockets, unknown, failed, served atomic.Uint64
	open, openSockets                       atomic.Int64
}

// Stats are what a Carrier has counted.
type Stats struct {
	Polls   uint64 // requests that were carried from here, but for WebSockets
	Sockets uint64 // openings of WebSockets that were carried from here
	Unknown uint64 // requests for a session of a node that is not there any more
	Failed  uint64 // requests that were answered 503, or cut off, since they could not be carried
	Served  uint64 // requests that others have carried here

	Open, OpenSockets int // polls and WebSockets that are carried from here now
}

// idLength is that of the ids of sessions, as engineio makes them.
const idLength = 20

// nodeLength is how much of that is the node's id: 14 characters of 6 random bits each are left.
const nodeLength = 6

// New makes a carrier of a node.
func New(node *cluster.Node, o Options) *Carrier {
	if o.DialTimeout <= 0 {
		o.DialTimeout = 10 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	c := &Carrier{node: node, o: o, open: newTunnels()}
	c.trips, c.proxy = c.newProxy()
	return c
}

// GenerateID is for engineio.Options.GenerateID: 20 characters of which 84 bits are random. It does not block.
func (c *Carrier) GenerateID(*http.Request) string {
	var random [idLength]byte
	_, _ = rand.Read(random[:]) // never fails
	id := append(make([]byte, 0, nodeLength+base64.RawURLEncoding.EncodedLen(len(random))), c.node.ID()...)
	return string(base64.RawURLEncoding.AppendEncode(id, random[:])[:idLength])
}

// Elsewhere is for engineio.Options.Elsewhere: what carries a request for a session to the node that has it; nil: no node that is there does.
func (c *Carrier) Elsewhere(sid string) http.Handler {
	if len(sid) != idLength {
		return nil
	}
	node := sid[:nodeLength]
	if node == c.node.ID() {
		return nil
	}
	if _, there := c.node.Peer(node); !there {
		c.count.unknown.Add(1)
		return nil
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { c.carry(w, r, node) })
}

// Stats gives the counters.
func (c *Carrier) Stats() Stats {
	return Stats{
		Polls: c.count.polls.Load(), Sockets: c.count.sockets.Load(), Unknown: c.count.unknown.Load(),
		Failed: c.count.failed.Load(), Served: c.count.served.Load(),
		Open: int(c.count.open.Load()), OpenSockets: int(c.count.openSockets.Load()),
	}
}

// Shutdown has Serve take no more, and waits until what it serves has been answered, but no longer than ctx. WebSockets are the engine's to
// close.
func (c *Carrier) Shutdown(ctx context.Context) error {
	c.closed.Store(true)
	c.trips.CloseIdleConnections()
	if s := c.server.Load(); s != nil {
		return s.Shutdown(ctx)
	}
	return nil
}

// Close is Shutdown without waiting.
func (c *Carrier) Close() error {
	c.closed.Store(true)
	c.trips.CloseIdleConnections()
	if s := c.server.Load(); s != nil {
		return s.Close()
	}
	return nil
}
