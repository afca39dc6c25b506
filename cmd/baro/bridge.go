package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"baro.dev/internal/cli/bridge"
	"baro.dev/internal/cli/listener"
	"baro.dev/internal/cli/target"
	"baro.dev/ws"
)

// bridgeOptions are the flags of bridge, and what becomes of them.
type bridgeOptions struct {
	bridge.Config
	from, to     string
	allow        []string
	origins      []string
	subprotocols []string
	tls          listener.TLS
	target       target.Options
	quiet, json  bool
	compress     bool
}

func newBridge() *cobra.Command {
	var o bridgeOptions
	c := &cobra.Command{
		Use:   "bridge --listen FROM --to TARGET",
		Short: "Join WebSocket with TCP, a unix socket, or standard input and output",
		Long: `Join WebSockets with TCP connections, unix sockets, or standard input and output, in either direction: bytes go in binary
messages, as websockify and noVNC have it.

FROM and TARGET are ws://, wss:// or ws+unix:// URLs, tcp://HOST:PORT, unix:///PATH, or stdio. One of the two is a WebSocket.

Instead of --to, each client can choose the target: by a token that a file knows, in ?token= or as the subprotocol token.TOKEN, or by its
address, in ?target=HOST:PORT, if --allow has it. Names are looked up once, and the address that was found is the one that is checked and
connected to.

The slower side sets the pace of the other. When a TCP connection is ended by its peer, what is left is sent, and the WebSocket is closed
with 1000; a WebSocket that breaks resets the TCP connection. Two bridges that meet carry half-closed connections, too.`,
		Example: `  baro bridge --listen ws://127.0.0.1:8080 --to tcp://127.0.0.1:6379      # WebSocket clients reach Redis
  baro bridge --listen tcp://127.0.0.1:6380 --to wss://example.com/redis  # redis-cli -p 6380 reaches it from elsewhere
  baro bridge --listen ws://:6080 --targets vnc.tokens                    # noVNC: lines of "token: host:port"
  baro bridge --listen ws://:8080 --allow '10.0.0.0/8:22' --bearer-file tokens
  ssh -o ProxyCommand='baro bridge --listen stdio --to wss://example.com/ssh' example.com`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runBridge(c, &o) },
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVarP(&o.from, "listen", "l", "", "`where` to listen")
	f.StringVarP(&o.to, "to", "t", "", "`target` to connect to")
	f.StringVar(&o.Targets, "targets", "", "`file` of tokens with which clients choose the target, \"token: host:port\" a line; it is read again when it changes")
	f.StringArrayVar(&o.allow, "allow", nil, "`host:port` that clients may choose by ?target=; also a prefix of addresses, and a range of ports or *: 10.0.0.0/8:5900-5999")
	f.StringVar(&o.BasicFile, "basic-file", "", "`file` of who may connect, \"name:password\" a line")
	f.StringVar(&o.BearerFile, "bearer-file", "", "`file` of tokens of who may connect, one a line: in Authorization: Bearer, or ?access_token=")
	f.IntVar(&o.MaxFailures, "max-failures", bridge.DefaultMaxFailures, "wrong passwords and tokens that are looked at from a public address in a minute; -1 for any number")
	f.StringArrayVar(&o.origins, "allow-origin", nil, "`origin` of pages that may connect, besides the bridge's own; * for all")
	f.StringVar(&o.tls.CertificateFile, "listen-cert", "", "`file` of the certificate (PEM) of wss:// to listen at")
	f.StringVar(&o.tls.KeyFile, "listen-key", "", "`file` of its key (PEM), if it is not in that of the certificate")
	f.BoolVar(&o.tls.SelfMade, "listen-tls", false, "wss:// with a certificate made now")
	f.StringArrayVar(&o.subprotocols, "subprotocol", nil, "`name` of a subprotocol to offer, or to accept, instead of binary")
	f.BoolVar(&o.compress, "compress", false, "compress with permessage-deflate, if the other side agrees")
	f.IntVar(&o.MaxConnections, "max-connections", bridge.DefaultMaxConnections, "`number` of connections that there may be at a time")
	f.DurationVar(&o.IdleTimeout, "idle-timeout", 0, "`how long` a connection may be silent; 0 for ever")
	f.DurationVar(&o.PingInterval, "ping-interval", 30*time.Second, "after `how long` a silence the WebSocket is pinged, so that nothing in between cuts it")
	f.DurationVar(&o.ConnectTimeout, "target-timeout", bridge.DefaultConnectTimeout, "`how long` connecting to a target of TCP or a unix socket may take")
	f.DurationVar(&o.Linger, "linger", bridge.DefaultLinger, "`how long` after the last byte an answer is waited for when TCP, or standard input, has ended what it sends")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "say only what goes wrong")
	f.BoolVar(&o.json, "json", false, "say it in JSON")
	o.target.AddFlags(f)
	return c
}

func runBridge(c *cobra.Command, o *bridgeOptions) error {
	if err := o.load(); err != nil {
		return err
	}
	o.Stdin, o.Stdout = c.InOrStdin(), c.OutOrStdout()
	o.Log = connectionLog(c.ErrOrStderr(), o.json, o.level())
	var err error
	var hash [32]byte
	if o.TLS, hash, err = o.tls.Config(); err != nil {
		return usageError{err}
	}
	b, err := bridge.New(o.Config)
	if err != nil {
		return err
	}
	ctx, stop := untilSignal(c.Context())
	defer stop()
	if err := b.Listen(ctx); err != nil {
		return listenError(o.From.String(), err)
	}
	if b.Addr() != nil {
		o.Log.Info("listening", "at", o.From.String(), "address", b.Addr().String())
	}
	if o.tls.SelfMade {
		o.Log.Info("certificate made", "sha256", fmt.Sprintf("%x", hash))
	}
	if o.From.Kind == bridge.Stdio || o.To.Kind == bridge.Stdio {
		signal.Ignore(syscall.SIGPIPE) // who reads the output may go: that is an end like another
	}
	return ended(ctx, b.Serve(ctx))
}

func (o *bridgeOptions) load() error {
	var err error
	if o.from == "" {
		return usageError{errors.New("--listen says where to listen, and there is none")}
	}
	if o.From, err = bridge.ParseEndpoint(o.from); err != nil {
		return usageError{fmt.Errorf("--listen: %w", err)}
	}
	if o.to != "" {
		if o.To, err = bridge.ParseEndpoint(o.to); err != nil {
			return usageError{fmt.Errorf("--to: %w", err)}
		}
	}
	for _, text := range o.allow {
		rule, err := bridge.ParseRule(text)
		if err != nil {
			return usageError{fmt.Errorf("--allow: %w", err)}
		}
		o.Allow = append(o.Allow, rule)
	}
	if o.Guard, err = listener.NewGuard(o.origins); err != nil {
		return usageError{fmt.Errorf("--allow-origin: %w", err)}
	}
	if o.To.Kind == bridge.WebSocket {
		if o.Target, err = o.target.Target(o.to); err != nil {
			return err
		}
	}
	for _, name := range o.subprotocols {
		o.Subprotocols = append(o.Subprotocols, strings.FieldsFunc(name, func(r rune) bool { return r == ',' || r == ' ' })...)
	}
	o.Compression = ws.Compression{Enabled: o.compress}
	return nil
}

// level is what is said of connections: with standard input there is one, and how it ends is what the command ends with.
func (o *bridgeOptions) level() slog.Level {
	switch {
	case o.From.Kind == bridge.Stdio:
		return slog.LevelError
	case o.quiet:
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// connectionLog tells people of connections.
func connectionLog(w io.Writer, json bool, level slog.Level) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if json {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	options.ReplaceAttr = func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey {
			return slog.String(slog.TimeKey, a.Value.Time().Format("15:04:05.000"))
		}
		return a
	}
	return slog.New(slog.NewTextHandler(w, options))
}
