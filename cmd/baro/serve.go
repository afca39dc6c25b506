package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"baro.dev/internal/server"
)

// serveOptions is what the flags of serve say beside the server's own configuration.
type serveOptions struct {
	server    server.Config
	drain     time.Duration
	logLevel  string
	logFormat string
}

func newServe() *cobra.Command {
	var o serveOptions
	c := &cobra.Command{
		Use:   "serve",
		Short: "Serve channels over WebSocket, streaming and polling",
		Long: `Serve channels over WebSocket, streaming and polling.

A channel is one URL, /c/NAME, and there as soon as somebody uses it. The page at / shows one over every transport.

TERM or INT stops the server gently: it takes no new connections, and tells its clients to come back later.
A second one stops it at once.`,
		Example: `  baro serve --dev
  baro serve --dev --listen 127.0.0.1:9000
  baro serve --tls-cert cert.pem --tls-key key.pem --listen :443
  baro serve --allow-origin https://example.com,https://www.example.com

  curl -N -H 'Accept: text/event-stream' http://localhost:8000/c/demo     # in one terminal
  curl -d 'hello' http://localhost:8000/c/demo                            # in another`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return serve(c, &o) },
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVarP(&o.server.Listen, "listen", "l", ":8000", "address to serve on")
	f.StringVar(&o.server.TLSCert, "tls-cert", "", "certificate (PEM `file`): speak TLS, and HTTP/2")
	f.StringVar(&o.server.TLSKey, "tls-key", "", "its key (PEM `file`)")
	f.StringSliceVar(&o.server.AllowOrigins, "allow-origin", nil, "`origins` whose pages may use the server, beside its own; separated by commas, or repeated")
	f.BoolVar(&o.server.Dev, "dev", false, "for one's own machine: everybody may everything, without a token; permits --allow-origin '*'")
	f.BoolVar(&o.server.Anonymous, "anonymous", false, "let clients in without a token; the rules say what they may")
	f.StringVar(&o.server.Data, "data", "", "`directory` to keep messages in; without one they are lost when the server stops")
	f.BoolVar(&o.server.NoConsole, "no-console", false, "leave out the page at /")

	f.IntVar(&o.server.Channels.HistoryCount, "history-count", 1000, "messages that a channel keeps; -1 for none")
	f.Int64Var(&o.server.Channels.HistoryBytes, "history-bytes", 4<<20, "`bytes` of messages that a channel keeps")
	f.DurationVar(&o.server.Channels.HistoryAge, "history-age", 5*time.Minute, "how long a message is kept, and an unused channel remembered")
	f.IntVar(&o.server.Channels.MaxChannels, "max-channels", 100_000, "channels; beyond it the idle ones go")
	f.Int64Var(&o.server.Channels.MaxBytes, "max-bytes", 256<<20, "`bytes` of messages that all channels keep together")
	f.IntVar(&o.server.Channels.MaxMessageBytes, "max-message-bytes", 256<<10, "`bytes` of a message")
	f.IntVar(&o.server.MaxConnections, "max-connections", 65_536, "connections, and streams, waiting polls and WebSockets on them")
	f.IntVar(&o.server.QueueBytes, "queue-bytes", 1<<20, "`bytes` that may wait for a client that reads slowly, until it is cut")
	f.DurationVar(&o.server.MaxWait, "max-wait", time.Minute, "how long a long poll may wait")
	f.DurationVar(&o.server.Heartbeat, "heartbeat", 25*time.Second, "after how long a silent stream gives a sign of life")
	f.DurationVar(&o.server.WriteTimeout, "write-timeout", 20*time.Second, "how long a client may take to accept an answer, or 64 KiB of a stream")
	f.DurationVar(&o.server.ReconnectWindow, "reconnect-window", 5*time.Second, "over what time clients are told to spread their return, when the server stops")
	f.DurationVar(&o.drain, "drain-timeout", 30*time.Second, "how long stopping may take, until what is left is cut")

	f.StringVar(&o.logLevel, "log-level", "info", "debug, info, warn or error")
	f.StringVar(&o.logFormat, "log-format", "auto", "text, json, or auto: text on a terminal")
	return c
}

func serve(c *cobra.Command, o *serveOptions) error {
	log, err := newLogger(c.ErrOrStderr(), o.logLevel, o.logFormat)
	if err != nil {
		return usageError{err}
	}
	o.server.Log = log
	s, err := server.New(o.server)
	if err != nil {
		return usageError{err}
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	if err := s.Listen(); err != nil {
		return listenError(o.server.Listen, err)
	}
	announce(c.OutOrStdout(), s.URLs(), o.server.NoConsole)

	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	select {
	case err := <-served:
		return err
	case sig := <-signals:
		log.Info("stopping", "signal", sig.String(), "timeout", o.drain.String())
	case <-c.Context().Done():
		log.Info("stopping")
	}
	return stop(s, log, signals, o.drain)
}

// stop stops the server gently, and at once when asked again.
func stop(s *server.Server, log *slog.Logger, signals <-chan os.Signal, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- s.Shutdown(ctx) }()
	var err error
	select {
	case err = <-done:
	case <-signals:
		s.Close()
		return errors.New("stopped at once: clients were cut")
	}
	if err != nil {
		return fmt.Errorf("not all clients were gone after %v: the rest was cut", timeout)
	}
	log.Info("stopped")
	return nil
}

func announce(w io.Writer, urls []string, noConsole bool) {
	fmt.Fprintln(w, "Baro is ready.")
	for i, url := range urls {
		label := "Network"
		if i == 0 {
			label = "Local"
		}
		if noConsole {
			url += "c/NAME"
		}
		fmt.Fprintf(w, "  %-8s %s\n", label, url)
	}
}

// listenError says what to do about an address that cannot be had.
func listenError(address string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("cannot listen on %s: something else does already; choose another address with --listen", address)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("cannot listen on %s: not permitted; ports below 1024 are for root on many systems", address)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("cannot listen on %s: this machine has no such address", address)
	}
	return fmt.Errorf("cannot listen on %s: %w", address, err)
}

func newLogger(w io.Writer, level, format string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("--log-level %q: it must be debug, info, warn or error", level)
	}
	options := &slog.HandlerOptions{Level: l}
	switch strings.ToLower(format) {
	case "auto":
		if !isTerminal(w) {
			return slog.New(slog.NewJSONHandler(w, options)), nil
		}
		fallthrough
	case "text":
		return slog.New(slog.NewTextHandler(w, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, options)), nil
	}
	return nil, fmt.Errorf("--log-format %q: it must be auto, text or json", format)
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
