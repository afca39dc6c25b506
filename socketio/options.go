package socketio

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"baro.dev/engineio"
	"baro.dev/socketio/parser"
)

// Options configure a Server. The zero value, and nil, have the defaults of the official server. Names in parentheses are those
// of its documentation.
type Options struct {
	// Path is where the server answers (path). "": /socket.io/. The slash at its end may be missing in requests
	// (addTrailingSlash).
	Path string
	// ConnectTimeout is how long a client may take to connect to a namespace before it is closed (connectTimeout). 0: 45 s.
	ConnectTimeout time.Duration
	// ConnectionStateRecovery has clients that come back after a cut find their socket, rooms, data and missed events
	// (connectionStateRecovery). nil: they begin anew.
	ConnectionStateRecovery *ConnectionStateRecovery
	// CleanupEmptyChildNamespaces removes a namespace that a parent has made when the last socket has left it
	// (cleanupEmptyChildNamespaces).
	CleanupEmptyChildNamespaces bool
	// ClientFiles has the client for browsers: socket.io.js, socket.io.min.js, socket.io.esm.min.js, socket.io.msgpack.min.js
	// and their .map, as in the folder dist of the npm package socket.io-client. nil: requests for them are told so.
	ClientFiles fs.FS
	// NoClient answers requests for these files with 404 (serveClient: false).
	NoClient bool
	// Context returns, for the request that begins a connection, a context whose values Socket.Context has: r.Context() for all that
	// HTTP middleware has put there, or one made for what is wanted of that. It is kept for as long as the client is
	// connected; that the request ends before that does not matter. With Engine.Inline it must not block. nil: no values, and
	// nothing is kept.
	Context func(r *http.Request) context.Context
	// Adapter makes the adapter of each namespace (adapter). nil: NewMemoryAdapter.
	Adapter func(*Namespace) Adapter
	// Parser is how packets are encoded; the clients must use the same (parser). nil: parser.JSON.
	Parser parser.Codec
	// Limits bound a packet and its attachments.
	Limits parser.Limits
	// MaxNamespaces is to how many namespaces one client may be connected at a time; one that wants more is closed. 0: 100.
	MaxNamespaces int
	// MaxChildNamespaces is how many namespaces parents may have made; when there are so many, the empty ones are removed, and
	// if there is none, further names are invalid. 0: 10,000.
	MaxChildNamespaces int
	// MaxPendingAcks is how many acknowledgements of one socket may be waited for. 0: 10,000.
	MaxPendingAcks int
	// Handler answers the requests for other paths. nil: they are not found.
	Handler http.Handler
	// Engine configures the layer below: transports, heartbeat, sizes, CORS, Inline, the logger. Its Path is not used.
	Engine engineio.Options
}

// ConnectionStateRecovery configures what a client finds that comes back. The zero value has the defaults of the official server.
//
// The in-memory adapter keeps a log of the events of each namespace that are neither volatile nor wait for
// acknowledgements. Each carries its position in the log as an additional last argument, which the client returns.
type ConnectionStateRecovery struct {
	// MaxDisconnectionDuration is how long a client may be away (maxDisconnectionDuration). 0: 2 minutes.
	MaxDisconnectionDuration time.Duration
	// RunMiddlewares runs the middleware of the namespace for clients that come back as well (skipMiddlewares: false).
	RunMiddlewares bool
	// MaxLogBytes bounds the log of each namespace; what is older is dropped, and who has missed it begins anew. 0: 16 MiB.
	MaxLogBytes int
	// MaxSessions bounds how many clients of each namespace are waited for; the oldest are forgotten. 0: 100,000.
	MaxSessions int
}

// Validate tells whether the options mean something: the error names the first one that does not. NewServer panics with it.
func (o *Options) Validate() error {
	if o == nil {
		return nil
	}
	r := o.ConnectionStateRecovery
	if r == nil {
		r = &ConnectionStateRecovery{}
	}
	for _, n := range []struct {
		name  string
		value int64
	}{
		{"ConnectTimeout", int64(o.ConnectTimeout)}, {"Limits.MaxBytes", int64(o.Limits.MaxBytes)}, {"MaxNamespaces", int64(o.MaxNamespaces)},
		{"MaxChildNamespaces", int64(o.MaxChildNamespaces)}, {"MaxPendingAcks", int64(o.MaxPendingAcks)},
		{"ConnectionStateRecovery.MaxDisconnectionDuration", int64(r.MaxDisconnectionDuration)},
		{"ConnectionStateRecovery.MaxLogBytes", int64(r.MaxLogBytes)}, {"ConnectionStateRecovery.MaxSessions", int64(r.MaxSessions)},
	} {
		if n.value < 0 {
			return fmt.Errorf("socketio: %s is negative", n.name)
		}
	}
	if o.Path != "" && !strings.HasPrefix(o.Path, "/") {
		return fmt.Errorf("socketio: Path does not begin with a slash: %q", o.Path)
	}
	if err := o.Engine.Validate(); err != nil {
		return fmt.Errorf("socketio: Engine: %w", err)
	}
	return nil
}

func orDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

func (o *Options) withDefaults() *Options {
	var set Options
	if o != nil {
		set = *o
	}
	orDefault(&set.Path, "/socket.io/")
	orDefault(&set.ConnectTimeout, 45*time.Second)
	orDefault(&set.Parser, parser.JSON)
	orDefault(&set.MaxNamespaces, 100)
	orDefault(&set.MaxChildNamespaces, 10_000)
	orDefault(&set.MaxPendingAcks, 10_000)
	orDefault(&set.Engine.Logger, slog.Default())
	if set.Adapter == nil {
		set.Adapter = func(n *Namespace) Adapter { return NewMemoryAdapter(n) }
	}
	if set.ConnectionStateRecovery != nil {
		r := *set.ConnectionStateRecovery
		orDefault(&r.MaxDisconnectionDuration, 2*time.Minute)
		orDefault(&r.MaxLogBytes, 16<<20)
		orDefault(&r.MaxSessions, 100_000)
		set.ConnectionStateRecovery = &r
	}
	set.Engine.Path = strings.TrimSuffix(set.Path, "/") + "/"
	return &set
}
