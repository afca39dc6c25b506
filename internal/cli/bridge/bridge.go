// Package bridge joins WebSockets with TCP connections, unix sockets, or standard input and output, in both directions.
package bridge

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"baro.dev/internal/auth"
	"baro.dev/internal/cli/exit"
	"baro.dev/internal/cli/listener"
	"baro.dev/internal/cli/target"
	"baro.dev/ws"
)

// Config is what a Bridge joins, and how. Of From and the target exactly one is a WebSocket.
type Config struct {
	From Endpoint // where to listen
	To   Endpoint // where to connect. Without a Kind, clients choose: by Targets, or by Allow

	Targets string // file of tokens and what each stands for: "token: host:port"
	Allow   []Rule // what clients may ask for: ?target=host:port

	Target *target.Target // a WebSocket that is connected to

	TLS        *tls.Config // of a WebSocket that is listened at; nil: none
	Guard      *listener.Guard
	BasicFile  string // names and passwords of who may come, "name:password"
	BearerFile string // tokens of who may come
	// MaxFailures is how many wrong names and passwords, or tokens, of either kind, are looked at from one public address in a minute; see
	// [auth.Attempts]. 0: 100; negative: any number.
	MaxFailures int

	Subprotocols []string       // offered or accepted, before "binary" and HalfClose. Where they are offered, instead of them
	Compression  ws.Compression // of the WebSocket
	// MaxConnections is how many there may be at a time. 0: 1000.
	MaxConnections int
	// IdleTimeout ends connections over which no data came. 0: none.
	IdleTimeout time.Duration
	// PingInterval is after what silence the WebSocket is pinged, which keeps proxies from cutting it. 0: 30 s; negative: never.
	PingInterval time.Duration
	// ConnectTimeout is how long the target of TCP or a unix socket may take. 0: 10 s.
	ConnectTimeout time.Duration
	// Linger is how long after the last byte an answer is waited for when a client that speaks no WebSocket has ended its half of
	// the connection. 0: it is closed at once.
	Linger time.Duration

	Stdin  io.Reader
	Stdout io.Writer
	// Log is told of each connection. nil: nobody is.
	Log *slog.Logger
}

// Defaults.
const (
	DefaultMaxConnections = 1000
	DefaultMaxFailures    = 100
	DefaultConnectTimeout = 10 * time.Second
	DefaultLinger         = 5 * time.Second
)

// A Bridge carries connections. Listen comes first, then Serve, once.
type Bridge struct {
	c       Config
	log     *slog.Logger
	targets *secrets[Endpoint]
	basic   *secrets[string]
	bearer  *secrets[string]
	resolve resolver
	// attempts are counted together, whatever was guessed; nil: they are not
	attempts *auth.Attempts
	dialer   net.Dialer

	l        net.Listener
	sessions chan struct{} // a place each
	pairs    sync.WaitGroup
	number   atomic.Uint64
}

// New says whether the configuration makes sense, and reads its files.
func New(c Config) (*Bridge, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.MaxConnections == 0 {
		c.MaxConnections = DefaultMaxConnections
	}
	if c.To.Kind == Stdio {
		c.MaxConnections = 1
	}
	if c.MaxFailures == 0 {
		c.MaxFailures = DefaultMaxFailures
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = DefaultConnectTimeout
	}
	if c.Guard == nil {
		c.Guard = new(listener.Guard)
	}
	if err := c.validate(); err != nil {
		return nil, exit.With(exit.Usage, err)
	}
	b := &Bridge{c: c, log: c.Log, resolve: net.DefaultResolver.LookupNetIP, sessions: make(chan struct{}, c.MaxConnections)}
	if c.MaxFailures > 0 {
		b.attempts = auth.NewAttempts(c.MaxFailures)
	}
	var err error
	if c.Targets != "" {
		b.targets, err = openSecrets(c.Targets, c.Log, targetLine)
	}
	if c.BasicFile != "" && err == nil {
		b.basic, err = openSecrets(c.BasicFile, c.Log, userLine)
	}
	if c.BearerFile != "" && err == nil {
		b.bearer, err = openSecrets(c.BearerFile, c.Log, bearerLine)
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}

func (c *Config) validate() error {
	ways := 0
	for _, given := range []bool{c.To.Kind != "", c.Targets != "", len(c.Allow) > 0} {
		if given {
			ways++
		}
	}
	front := c.From.Kind == WebSocket
	switch {
	case ways != 1:
		return errors.New("the target is given by --to, or chosen by clients from --targets or --allow: one of the three")
	case front == (c.To.Kind == WebSocket):
		return errors.New("one end must be a WebSocket, and the other not")
	case c.From.Kind == "":
		return errors.New("nothing says where to listen")
	case !front && (c.TLS != nil || c.BasicFile != "" || c.BearerFile != ""):
		return fmt.Errorf("TLS and authentication are for a WebSocket that is listened at, not for %s", c.From)
	case c.To.Kind == WebSocket && c.Target == nil:
		return errors.New("nothing says how to connect to the WebSocket")
	case c.MaxConnections < 0:
		return fmt.Errorf("there cannot be %d connections", c.MaxConnections)
	case c.IdleTimeout < 0 || c.ConnectTimeout < 0 || c.Linger < 0:
		return errors.New("a time cannot be negative")
	}
	if front {
		_, _, secure, err := c.From.front()
		if err == nil && secure != (c.TLS != nil) {
			err = fmt.Errorf("%s: wss:// needs a certificate, and a certificate wss://", c.From)
		}
		return err
	}
	return nil
}

// Listen opens the place to listen at.
func (b *Bridge) Listen(ctx context.Context) error {
	var a listener.Address
	switch b.c.From.Kind {
	case WebSocket:
		var err error
		if a, _, _, err = b.c.From.front(); err != nil {
			return exit.With(exit.Usage, err)
		}
	case TCP, Unix:
		a = listener.Address{Network: string(b.c.From.Kind), Addr: b.c.From.Addr}
	default:
		return nil
	}
	l, err := a.Open(ctx)
	if err != nil {
		return err
	}
	b.l = l
	b.c.Guard.Loopback = a.Network == "tcp" && listener.Loopback(l.Addr())
	return nil
}

// Addr is where it listens; nil for standard input and output.
func (b *Bridge) Addr() net.Addr {
	if b.l == nil {
		return nil
	}
	return b.l.Addr()
}

// Serve carries connections until ctx is done, and returns when all have ended, with context.Cause(ctx). With standard input and output
// at one end there is one connection, and it returns what that has come to: nil, or an error that has an exit code.
func (b *Bridge) Serve(ctx context.Context) error {
	var err error
	switch {
	case b.c.From.Kind == WebSocket:
		err = b.serveWebSocket(ctx)
	case b.l == nil:
		err = b.forward(ctx, &stdio{Reader: b.c.Stdin, out: b.c.Stdout}, "stdio")
	default:
		err = b.serveStreams(ctx)
	}
	b.pairs.Wait()
	return err
}

// enter takes a place for a connection, if there is one, until leave is called.
func (b *Bridge) enter() (leave func(), ok bool) {
	select {
	case b.sessions <- struct{}{}:
		b.pairs.Add(1)
		return func() { <-b.sessions; b.pairs.Done() }, true
	default:
		return nil, false
	}
}

// carry runs a pair, and logs how it was.
func (b *Bridge) carry(ctx context.Context, p *pair, log *slog.Logger) error {
	p.idle, p.halves = b.c.IdleTimeout, p.ws.Subprotocol() == HalfClose
	log.Info("joined", "subprotocol", p.ws.Subprotocol())
	began := time.Now()
	err := p.run(ctx)
	log = log.With("received", p.received.Load(), "sent", p.sent.Load(), "took", time.Since(began).Round(time.Millisecond))
	if err != nil {
		log.Info("ended", "error", err)
	} else {
		log.Info("ended")
	}
	return err
}

func (b *Bridge) keepalive() ws.Keepalive { return ws.Keepalive{Interval: b.c.PingInterval} }

// limits are for streams: a message is passed on as it comes, however long it gets.
func (b *Bridge) limits() ws.Limits {
	return ws.Limits{MaxMessageSize: -1, MaxFragments: -1, CloseTimeout: closeTime}
}
