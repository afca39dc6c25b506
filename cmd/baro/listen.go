package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"baro.dev/internal/cli/listen"
	"baro.dev/internal/cli/listener"
	"baro.dev/ws"
)

// defaultListen is where a server for tests listens: on this machine alone.
const defaultListen = "127.0.0.1:8080"

// listenOptions are the flags of listen, and what becomes of them.
type listenOptions struct {
	listen.Config
	echo     bool
	exec     string
	origins  []string
	tls      listener.TLS
	quiet    bool
	json     bool
	compress bool
}

func newListen() *cobra.Command {
	var o listenOptions
	c := &cobra.Command{
		Use:   "listen [ADDRESS] [flags] [-- ARGUMENT...]",
		Short: "An instant server for tests: echo, broadcast, a program for each connection, files",
		Long: `Listen, and echo what comes over WebSocket and Socket.IO; or broadcast it to all; or run a program for each WebSocket, which
reads messages from standard input and writes messages to standard output. --dir serves files besides.

ADDRESS is a port, HOST:PORT or unix:/path, ` + defaultListen + ` by default. A port alone is for this machine; :8080 is for everybody who can
reach it.

The program is run as it is named, not by a shell, with the arguments after --. A message is a line each way, or with --binary whatever bytes
there are. It finds in its environment what CGI names: REMOTE_ADDR, REQUEST_URI, PATH_INFO, QUERY_STRING, HTTP_USER_AGENT and so on.
When its client goes, its input ends, and if it does not end by itself it gets SIGTERM and then SIGKILL, with all of its process group.

Pages of other origins may use an echo; anything else is for pages of this machine and of the server's own, and those that --allow-origin
names.`,
		Example: `  baro listen                                    # then: baro connect ws://127.0.0.1:8080
  baro listen 9000 --broadcast
  baro listen --exec cat
  baro listen --exec python3 -- -u guess.py      # unbuffered, so that each line leaves at once
  baro listen --dir public --exec ./chat.sh
  baro listen :8443 --tls --subprotocol chat`,
		RunE: func(c *cobra.Command, args []string) error { return runListen(c, &o, args) },
	}
	f := c.Flags()
	f.SortFlags = false
	f.BoolVar(&o.echo, "echo", false, "send back what comes: the default")
	f.BoolVar(&o.Broadcast, "broadcast", false, "send what comes to everybody")
	f.StringVar(&o.exec, "exec", "", "`program` to run for each connection; its arguments come after --")
	f.BoolVar(&o.Binary, "binary", false, "the program reads and writes bytes, not lines")
	f.IntVar(&o.MaxPrograms, "max-programs", listen.DefaultMaxPrograms, "`number` of programs that may run at a time")
	f.DurationVar(&o.Grace, "grace", listen.DefaultGrace, "`how long` a program has after SIGTERM until SIGKILL")
	f.StringArrayVar(&o.Environment, "env", nil, "`NAME=VALUE` for the program's environment, or NAME to pass on; it gets PATH, HOME, LANG and the like anyway, and nothing else")
	f.StringVar(&o.Dir, "dir", "", "`directory` of files to serve; without those that begin with a dot, or that links lead out to")
	f.StringArrayVar(&o.origins, "allow-origin", nil, "`origin` of pages that may connect; * for all")
	f.StringVar(&o.tls.CertificateFile, "cert", "", "`file` of the certificate (PEM), for wss://")
	f.StringVar(&o.tls.KeyFile, "key", "", "`file` of its key (PEM), if it is not in that of the certificate")
	f.BoolVar(&o.tls.SelfMade, "tls", false, "wss:// with a certificate made now")
	f.StringArrayVar(&o.Subprotocols, "subprotocol", nil, "`name` of a subprotocol to agree to")
	f.BoolVar(&o.compress, "compress", false, "agree to permessage-deflate")
	f.Int64Var(&o.MaxMessage, "max-message", listen.DefaultMaxMessage, "how large a message may be, in `bytes`")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "do not print connections and messages")
	f.BoolVar(&o.json, "json", false, "print connections and messages on standard output, as JSON")
	return c
}

func runListen(c *cobra.Command, o *listenOptions, args []string) error {
	address, err := o.load(c, args)
	if err != nil {
		return usageError{err}
	}
	var hash [32]byte
	if o.TLS, hash, err = o.tls.Config(address.Host()); err != nil {
		return usageError{err}
	}
	ctx, stop := untilSignal(c.Context())
	defer stop()
	ctx, full := context.WithCancelCause(ctx)
	defer full(nil)
	printer := &listen.Printer{Text: c.ErrOrStderr()}
	if o.json {
		pipes := make(chan os.Signal, 1)
		signal.Notify(pipes, syscall.SIGPIPE) // not ignored, which programs would inherit
		defer signal.Stop(pipes)
		printer.Text, printer.JSON = nil, &failing{c.OutOrStdout(), full}
	}
	if !o.quiet {
		o.OnEvent = printer.Print
	}
	o.ProgramError = c.ErrOrStderr()
	server, err := listen.New(o.Config)
	if err != nil {
		return usageError{err}
	}
	l, err := address.Open(ctx)
	if err != nil {
		return fmt.Errorf("cannot listen at %s: %w", address.Addr, err)
	}
	o.Guard.Loopback = address.Network == "tcp" && listener.Loopback(l.Addr())
	o.announce(c, l, hash)
	return ended(ctx, server.Serve(ctx, l))
}

// failing is an output whose first error ends the command: quietly, if it is that nobody reads any more.
type failing struct {
	io.Writer
	end context.CancelCauseFunc
}

func (f *failing) Write(p []byte) (int, error) {
	n, err := f.Writer.Write(p)
	switch {
	case errors.Is(err, syscall.EPIPE):
		f.end(errTerminated)
	case err != nil:
		f.end(fmt.Errorf("standard output: %w", err))
	}
	return n, err
}

func (o *listenOptions) load(c *cobra.Command, args []string) (listener.Address, error) {
	rest := []string(nil)
	if i := c.ArgsLenAtDash(); i >= 0 {
		args, rest = args[:i], args[i:]
	}
	switch {
	case o.echo && (o.Broadcast || o.exec != ""), o.Broadcast && o.exec != "":
		return listener.Address{}, errors.New("--echo, --broadcast and --exec exclude each other")
	case len(args) > 1:
		return listener.Address{}, fmt.Errorf("one address is enough, and there are %q; what is for the program comes after --", args)
	case o.exec != "":
		o.Program = append([]string{o.exec}, rest...)
	case len(rest) > 0:
		return listener.Address{}, errors.New("there are arguments for a program, and --exec names none")
	}
	where := defaultListen
	if len(args) == 1 {
		where = args[0]
	}
	address, err := listener.ParseAddress(where)
	if err != nil {
		return address, err
	}
	if o.Guard, err = listener.NewGuard(o.origins); err != nil {
		return address, fmt.Errorf("--allow-origin: %w", err)
	}
	o.Guard.Local = true
	if len(o.origins) == 0 && o.exec == "" && !o.Broadcast && o.Dir == "" {
		o.Guard.Any = true // an echo has nothing to give away
	}
	if host := address.Host(); host != "" {
		o.Guard.Names = append(o.Guard.Names, strings.ToLower(host))
	}
	o.Compression = ws.Compression{Enabled: o.compress}
	return address, nil
}

// announce says where it listens, and what may surprise.
func (o *listenOptions) announce(c *cobra.Command, l net.Listener, hash [32]byte) {
	w := c.ErrOrStderr()
	scheme := "ws"
	if o.TLS != nil {
		scheme = "wss"
	}
	what := "echo"
	switch {
	case o.Broadcast:
		what = "broadcast"
	case o.exec != "":
		what = o.exec
	}
	at := fmt.Sprintf("%s://%s", scheme, l.Addr())
	if l.Addr().Network() == "unix" {
		at = fmt.Sprintf("%s+unix://%s", scheme, l.Addr())
	}
	fmt.Fprintf(w, "Listening on %s (%s). Ctrl-C ends it.\n", at, what)
	if o.tls.SelfMade {
		fmt.Fprintf(w, "The certificate was made now; its SHA-256 is %x, until %s.\n", hash, time.Now().Add(listener.SelfMadeFor).Format(time.DateOnly))
	}
	if o.exec != "" && !listener.Loopback(l.Addr()) {
		fmt.Fprintln(w, "Whoever can reach this address can run the program.")
	}
}
