//go:build linux

// Package peers has a server for each project that is compared: as its documentation advises to write it for speed, and
// doing nothing but what is measured. All have TCP_NODELAY, which is Go's default; none compresses but in role Deflate.
package peers

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"baro.dev/bench/internal/load"
)

// Role is what a server does.
type Role string

const (
	// Echo sends every message back.
	Echo Role = "echo"
	// FanOut sends every message that starts with a P to all connections, and any other back.
	FanOut Role = "fanout"
	// Deflate is Echo with permessage-deflate (RFC 7692).
	Deflate Role = "deflate"
	// SocketIO is Socket.IO at its default path: an event "message" is acknowledged with its argument.
	SocketIO Role = "socketio"
	// SocketIORoom is SocketIO where clients are in a room from when they have connected, and what argument an event
	// "publish" has is broadcast to the room in an event "message".
	SocketIORoom Role = "socketio-room"
	// Channels is a server for channels, whose clients subscribe and whose backends publish.
	Channels Role = "channels"
)

// Options are what a server is told of what it will have to do.
type Options struct {
	Role Role
	// Takeover: compression keeps its context from message to message (RFC 7692 7.1.1).
	Takeover bool
	// InFlight is how many bytes a peer sends at once at most: where buffers can be sized, what to size them for.
	InFlight int
	// Heartbeat is the time between the heartbeats of Socket.IO: its option pingInterval.
	Heartbeat time.Duration
	// Broker is the URL of what joins the server with others; "" for one that is alone.
	Broker string
}

// buffer is the size of a connection's read buffer: for what is in flight, between 512 and 4096 bytes.
func (o Options) buffer() int {
	size := 512
	for size < min(o.InFlight, 4096) {
		size *= 2
	}
	return size
}

// Server is one of those compared.
type Server struct {
	Name    string
	Module  string // whose version is recorded; "" for the standard library
	Serve   func(net.Listener, Options) error
	Kind    Kind
	Deflate Compression
	// SocketIO: it speaks that, and no other role than those of Socket.IO.
	SocketIO bool
	// Command finds a program that speaks the command line of Main, for a server that is not in this one and has no Serve.
	Command func() ([]string, error)
	// Program is a server for channels, which has neither Serve nor Command.
	Program *Program
	// Broker is the kind of broker by which two of the server are joined, redis or nats: clients are at one, and the other is where
	// messages come from. "": there is one server.
	Broker string
}

// Compression is what a server knows of permessage-deflate.
type Compression int

// Compressions, each knowing what those before it know.
const (
	None Compression = iota
	NoContext
	ContextTakeover
)

// Kind is what a server is compared as.
type Kind int

// Kinds.
const (
	Other Kind = iota // somebody's own program
	Ours              // this project
	Peer              // another library
	Raw               // no WebSocket: bytes
)

// All are all servers there are.
func All() []Server {
	return []Server{
		{Name: "baro-inline", Module: "baro.dev", Serve: baro(true), Kind: Ours, Deflate: ContextTakeover},
		{Name: "baro", Module: "baro.dev", Serve: baro(false), Kind: Ours, Deflate: ContextTakeover},
		{Name: "gorilla", Module: "github.com/gorilla/websocket", Serve: gorillaServer, Kind: Peer, Deflate: NoContext},
		{Name: "coder", Module: "github.com/coder/websocket", Serve: coderServer, Kind: Peer, Deflate: ContextTakeover},
		{Name: "gobwas", Module: "github.com/gobwas/ws", Serve: gobwasServer, Kind: Peer},
		{Name: "gws", Module: "github.com/lxzan/gws", Serve: gwsServer, Kind: Peer, Deflate: ContextTakeover},
		{Name: "nbio", Module: "github.com/lesismal/nbio", Serve: nbioServer(false), Kind: Peer, Deflate: NoContext},
		{Name: "nbio-inline", Module: "github.com/lesismal/nbio", Serve: nbioServer(true), Kind: Peer, Deflate: NoContext},
		{Name: "tcpgo", Serve: tcpGoServer, Kind: Raw},
		{Name: "tcpepoll", Serve: tcpEpollServer, Kind: Raw},
		{Name: "baro-sio-inline", Module: "baro.dev", Serve: baroSocketIO(true), Kind: Ours, SocketIO: true},
		{Name: "baro-sio", Module: "baro.dev", Serve: baroSocketIO(false), Kind: Ours, SocketIO: true},
		{Name: "socketio-node", Module: "socket.io", Command: nodeCommand, Kind: Peer, SocketIO: true},
		{Name: "baro-sio-redis", Module: "baro.dev", Serve: baroCluster(classic), Kind: Ours, SocketIO: true, Broker: "redis"},
		{Name: "baro-sio-sharded", Module: "baro.dev", Serve: baroCluster(sharded), Kind: Ours, SocketIO: true, Broker: "redis"},
		{Name: "baro-sio-streams", Module: "baro.dev", Serve: baroCluster(streams), Kind: Ours, SocketIO: true, Broker: "redis"},
		{Name: "baro-sio-nats", Module: "baro.dev", Serve: baroCluster(overNATS), Kind: Ours, SocketIO: true, Broker: "nats"},
		{Name: "socketio-node-redis", Module: "socket.io", Command: nodeCommand, Kind: Peer, SocketIO: true, Broker: "redis"},
		{Name: "zishang", Module: zishangModule, Command: zishangCommand, Kind: Peer, SocketIO: true},
		{Name: "baro-post", Program: baroServe(load.Door{Publish: baroPost}), Kind: Ours},
		{Name: "baro-api", Program: baroServe(load.Door{Publish: baroAPI}), Kind: Ours},
		{Name: "baro-plain", Program: baroServe(load.Door{Subscribe: baroPlain, Publish: baroAPI}), Kind: Ours},
		{Name: "baro-json", Program: baroServe(load.Door{Subscribe: baroJSON, Publish: baroAPI}), Kind: Ours},
		{Name: "baro-ws", Program: baroServe(load.Door{Subscribe: baroWS, Publish: baroAPI}), Kind: Ours},
		{Name: "baro-sse", Program: baroServe(load.Door{Subscribe: baroSSE, Publish: baroAPI}), Kind: Ours},
		{Name: "baro-channels-sio", Program: baroServe(load.Door{Subscribe: baroSIO, Publish: baroAPI}), Kind: Ours},
		{Name: "baro-nats", Program: baroServe(load.Door{Subscribe: baroPlain, Publish: baroAPI}), Kind: Ours, Broker: "nats"},
		{Name: "baro-redis", Program: baroServe(load.Door{Subscribe: baroPlain, Publish: baroAPI}), Kind: Ours, Broker: "redis"},
		{Name: "centrifugo-api", Module: centrifugoModule, Program: centrifugo(false, nil), Kind: Peer},
		{Name: "centrifugo-history-api", Module: centrifugoModule, Program: centrifugo(true, nil), Kind: Peer},
		{Name: "centrifugo", Module: centrifugoModule, Program: centrifugo(false, centrifugoSocket), Kind: Peer},
		{Name: "centrifugo-history", Module: centrifugoModule, Program: centrifugo(true, centrifugoSocket), Kind: Peer},
		{Name: "centrifugo-sse", Module: centrifugoModule, Program: centrifugo(false, centrifugoSSE), Kind: Peer},
	}
}

// KindOf returns the kind of the server of that name; one that others bring is raw if it is called tcp.
func KindOf(name string) Kind {
	if s, err := Find(name); err == nil {
		return s.Kind
	}
	if strings.HasPrefix(name, "tcp") {
		return Raw
	}
	return Other
}

// Find returns the server of that name.
func Find(name string) (Server, error) {
	for _, s := range All() {
		if s.Name == name {
			return s, nil
		}
	}
	return Server{}, fmt.Errorf("no server %q", name)
}

// published reports whether a message is for all.
func published(r Role, message []byte) bool {
	return r == FanOut && len(message) > 0 && message[0] == 'P'
}

// hub holds all connections of a server in role FanOut. Publishing holds the lock, so nothing else writes meanwhile.
type hub[C comparable] struct {
	mu    sync.Mutex
	conns map[C]struct{}
	list  []C
}

func (h *hub[C]) add(c C) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.conns == nil {
		h.conns = make(map[C]struct{})
	}
	h.conns[c] = struct{}{}
	h.list = nil
}

func (h *hub[C]) remove(c C) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.conns, c)
	h.list = nil
}

// each calls f for all connections. One for which it fails is removed by whoever reads from it.
func (h *hub[C]) each(f func(C) error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.list == nil {
		for c := range h.conns {
			h.list = append(h.list, c)
		}
	}
	for _, c := range h.list {
		_ = f(c)
	}
}

// pool lends buffers, so that no connection holds one while it is idle.
type pool struct{ sync.Pool }

func (p *pool) get() *[]byte {
	if b, ok := p.Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, 4096)
	return &b
}

func (p *pool) put(b *[]byte) { p.Put(b) }
