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

	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"

	"baro.dev/internal/neterr"
	"baro.dev/internal/server"
)

func newServe() *cobra.Command {
	var o settings
	c := &cobra.Command{
		Use:   "serve",
		Short: "Serve channels over WebSocket, streaming and polling",
		Long: `Serve channels over WebSocket, streaming and polling.

A channel is one URL, /c/NAME, and there as soon as somebody uses it. The page at / shows one over every transport.

TERM or INT stops the server gently: it takes no new clients, and tells those it has to come back, one after the other.
A second one stops it at once. HUP has it read its configuration again.`,
		Example: `  baro serve --dev
  baro serve --dev --listen 127.0.0.1:9000
  baro serve --config baro.yml
  baro serve --config baro.yml --tls-cert cert.pem --tls-key key.pem --listen :443
  baro serve --config baro.yml --allow-origin https://example.com,https://www.example.com

  curl -N -H 'Accept: text/event-stream' http://localhost:8000/c/demo     # in one terminal
  curl -d 'hello' http://localhost:8000/c/demo                            # in another`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return serve(c, &o) },
	}
	o.declare(c, "`file` (YAML) with rules for channels, keys, webhooks, and what the flags below say", true)
	return c
}

func serve(c *cobra.Command, o *settings) error {
	if err := o.load(c); err != nil {
		return usageError{err}
	}
	console, terminal := newLogWriter(c.ErrOrStderr()), startedFrom()
	defer console.Close()
	level := new(slog.LevelVar)
	log, err := newLogger(console, level, o.LogLevel, o.LogFormat)
	if err != nil {
		return usageError{err}
	}
	if console.own, err = handlerOf(console.to, level, o.LogFormat); err != nil {
		return usageError{err}
	}
	// Whoever reads the log, or what was announced, may go: that is no reason to stop.
	signal.Ignore(syscall.SIGPIPE)
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	o.Server.Log, o.Server.Version = log, version()
	slog.SetDefault(log) // also what libraries report by package log
	redis.SetLogger(redisLogger{log})
	for _, unknown := range unknownVariables(c) {
		log.Warn("a variable is ignored", "err", unknown)
	}
	sent, err := sendTraces(o, os.LookupEnv)
	if err != nil {
		return usageError{err}
	}
	defer sent()
	s, err := server.New(o.Server)
	if _, ok := errors.AsType[*server.OpenError](err); ok {
		return err
	}
	if err != nil {
		return usageError{err}
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	service, err := joinService(s, log)
	if err != nil {
		return err
	}
	if err := s.Listen(); err != nil {
		return listenError(o.Server.Listen, err)
	}
	announce(c.OutOrStdout(), s.URLs(), s.AdminURL(), &o.Server)
	connections, descriptors := s.Capacity()
	log.Info("listening", "urls", s.URLs(), "admin", s.AdminURL(),
		"max_connections", connections, "descriptors", descriptors, "memory_limit", limitMemory())

	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	ctx, end := context.WithCancel(c.Context())
	defer end()
	service.ready(ctx, "Serving "+strings.Join(s.URLs(), " "), func() { s.Hub().Stats() })
	reloads := &reloader{began: o, flags: c.Flags(), server: s, service: service, log: log, level: level}
	reloads.drain.Store(int64(o.Drain))
	abandoned := make(chan struct{})
	reloading, noMore := context.WithCancel(ctx)
	defer noMore()
	go reloads.run(reloading, hangups, terminal, abandoned)
	select {
	case err := <-served:
		return err
	case sig := <-signals:
		log.Info("stopping", "signal", sig.String(), "timeout", reloads.timeout().String())
	case <-abandoned:
		log.Info("stopping: the terminal was closed", "timeout", reloads.timeout().String())
	case <-c.Context().Done():
		log.Info("stopping")
	}
	noMore()
	service.stopping(reloads.timeout())
	return stop(s, log, signals, reloads.timeout())
}

// hanging is how long beyond its time the end of the server is waited for: a disk may hang.
const hanging = 3 * time.Second

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
		closed := make(chan struct{})
		go func() {
			defer close(closed)
			s.Close()
		}()
		select {
		case <-closed:
		case <-time.After(hanging):
		}
		return errors.New("stopped at once: clients were cut")
	case <-time.After(timeout + hanging):
		return fmt.Errorf("stopped after %v without an end: what is being saved does not get done", timeout)
	}
	if err != nil {
		return fmt.Errorf("not all clients were gone after %v: the rest was cut", timeout)
	}
	log.Info("stopped")
	return nil
}

func announce(w io.Writer, urls []string, admin string, c *server.Config) {
	ready := "Baro is ready."
	if c.Dev {
		ready += " --dev: whoever reaches it may do everything, without a token."
	}
	fmt.Fprintln(w, ready)
	for i, url := range urls {
		label := "Network"
		if i == 0 {
			label = "Local"
		}
		if c.NoConsole {
			url += "c/NAME"
		}
		fmt.Fprintf(w, "  %-8s %s\n", label, url)
	}
	if admin != "" {
		fmt.Fprintf(w, "  %-8s %s (API, metrics, health, profiles)\n", "Admin", admin)
	}
}

// listenError says what to do about an address that cannot be had.
func listenError(address string, err error) error {
	flag := "--listen"
	if admin, ok := errors.AsType[*server.AdminError](err); ok {
		address, flag = admin.Address, "--admin-listen"
	}
	if plain, ok := errors.AsType[*server.PlainHTTPError](err); ok {
		address, flag = plain.Address, "--acme-http-listen"
	}
	switch {
	case errors.Is(err, server.ErrHTTP3):
		return fmt.Errorf("cannot listen on %s for HTTP/3: %w; without --http3 the server begins all the same", address, err)
	case errors.Is(err, neterr.ErrInUse):
		return fmt.Errorf("cannot listen on %s: something else does already; choose another address with %s", address, flag)
	case errors.Is(err, neterr.ErrNotPermitted):
		return fmt.Errorf("cannot listen on %s: not permitted; ports below 1024 are for root on many systems", address)
	case errors.Is(err, neterr.ErrNotAvailable):
		return fmt.Errorf("cannot listen on %s: this machine has no such address", address)
	}
	return fmt.Errorf("cannot listen on %s: %w", address, err)
}

// newLogger makes a log, whose level may be changed.
func newLogger(w io.Writer, level *slog.LevelVar, least, format string) (*slog.Logger, error) {
	l, err := parseLevel(least)
	if err != nil {
		return nil, err
	}
	level.Set(l)
	h, err := handlerOf(w, level, format)
	if err != nil {
		return nil, err
	}
	return slog.New(h), nil
}

// redisLogger has what the library reports of single attempts where it is looked for: what they come to is said by those who made them.
type redisLogger struct{ log *slog.Logger }

func (l redisLogger) Printf(ctx context.Context, format string, args ...any) {
	if l.log.Enabled(ctx, slog.LevelDebug) {
		l.log.DebugContext(ctx, "redis", "said", fmt.Sprintf(format, args...))
	}
}

func parseLevel(text string) (l slog.Level, err error) {
	if err := l.UnmarshalText([]byte(text)); err != nil {
		return l, fmt.Errorf("--log-level %q: it must be debug, info, warn or error", text)
	}
	return l, nil
}

func handlerOf(w io.Writer, level slog.Leveler, format string) (slog.Handler, error) {
	options := &slog.HandlerOptions{Level: level}
	switch strings.ToLower(format) {
	case "auto":
		if !isTerminal(w) {
			return slog.NewJSONHandler(w, options), nil
		}
		fallthrough
	case "text":
		return slog.NewTextHandler(w, options), nil
	case "json":
		return slog.NewJSONHandler(w, options), nil
	}
	return nil, fmt.Errorf("--log-format %q: it must be auto, text or json", format)
}

func isTerminal(w io.Writer) bool {
	if log, ok := w.(*logWriter); ok {
		w = log.to
	}
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
