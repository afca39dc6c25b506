// Package interactive is baro connect for somebody who sits at a terminal: what comes is shown as people read it, and what is
// typed is sent, or is a command that begins with a slash.
package interactive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"baro.dev/internal/cli/connection"
	"baro.dev/internal/cli/exit"
	"baro.dev/internal/cli/terminal"
)

const (
	latencyInterval = 15 * time.Second // between pings for the prompt
	pingTimeout     = 10 * time.Second
	closeTimeout    = 2 * time.Second // for the closing handshake
	maxWaiting      = 64              // messages that wait to be sent
)

// Options say what a session is like.
type Options struct {
	// In and Out are a terminal. One that is dumb (TERM=dumb) gets lines without any escape sequence, and edits by itself.
	In, Out *os.File
	// Colors colours what is shown.
	Colors terminal.Colors
	// Connection says what to connect to. OnFrame and OnState are the session's.
	Connection *connection.Options
	// History is the file of what was typed; "" keeps it for the session alone.
	History string
	// Compact shows JSON as it came. Frames shows frames of WebSocket. NoTimes leaves out when a message came.
	Compact, Frames, NoTimes bool
	// Dial connects. nil: connection.Dial.
	Dial func(ctx context.Context, o *connection.Options) (connection.Connection, error)
}

// Run connects, and serves who sits at the terminal until one side closes or ctx is done: by signals, for which the caller has
// to wait. The error is nil after an orderly end, and has its exit code; after Ctrl-C, or when ctx was cancelled, that is
// exit.Interrupted, and if ctx was cancelled with a cause it is the cause. The terminal is given back as it was. Until the
// process ends, a goroutine waits for what is typed next.
func Run(ctx context.Context, o Options) error {
	// A second signal has to wait until the terminal is as it was.
	held := make(chan os.Signal, 1)
	signal.Notify(held, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(held)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	go func() {
		select {
		case <-hangup:
			cancel()
		case <-ctx.Done():
		}
	}()
	s := newSession(o)
	history, err := s.history()
	if err != nil {
		s.later(fmt.Sprintf("What is typed is not kept: %v", err))
	}
	fmt.Fprintf(o.Out, "%s\n", o.Colors.Paint(terminal.Dim, "Connecting to "+terminal.SafeLine(o.Connection.Target.URL.Host)+" ..."))
	if err := s.dial(ctx); err != nil {
		return err
	}
	defer s.cut()
	if terminal.Dumb() {
		s.ui = newPlain(o.In, o.Out)
		return s.run(ctx)
	}
	screen, err := terminal.OpenScreen(o.In, o.Out)
	if err != nil {
		return exit.With(exit.Failed, fmt.Errorf("preparing the terminal: %w", err))
	}
	defer screen.Close()
	s.rescue, s.size = screen.Rescue, screen.Size
	editor := terminal.NewEditor(o.In, o.Out, terminal.EditorOptions{
		Size: screen.Size, Colors: o.Colors, History: history, Complete: s.complete, Style: commandStyle,
		Suspend: screen.Suspend, Rescue: screen.Rescue,
	})
	s.ui = editor
	screen.Watch(editor.Resize)
	return s.run(ctx)
}

// cut ends the connection at once, if it has not ended.
func (s *session) cut() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = s.conn.Close(ctx, 1001, "") // for which there is no time
}

func (s *session) history() (*terminal.History, error) {
	var err error
	s.typed = new(terminal.History)
	if s.o.History != "" {
		s.typed, err = terminal.OpenHistory(s.o.History)
	}
	return s.typed, err
}

// run is the session on a connection, with a ui.
func (s *session) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s.begin()
	for _, work := range []func(context.Context) error{s.receive, s.send, s.measure} {
		s.background(func() {
			if err := work(ctx); err != nil {
				cancel(err)
			}
		})
	}
	code, reason, err := s.keyboard(ctx)
	if cause := context.Cause(ctx); cause != nil {
		if err = cause; !isEnd(cause) {
			code = 1001
		}
		if errors.Is(cause, context.Canceled) {
			err = interrupted
		}
	}
	if !isEnd(err) {
		closing, done := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		s.close(closing, code, reason)
		done()
	}
	cancel(err)
	s.running.Wait()
	return s.conclude(err)
}

// background runs f in a goroutine that the session waits for.
func (s *session) background(f func()) {
	s.running.Go(func() {
		defer s.rescue()
		f()
	})
}

// interrupted is how a session ends by Ctrl-C.
var interrupted = exit.With(exit.Interrupted, context.Canceled)

// errQuit is how it ends in order.
var errQuit = errors.New("quit")

// endError is how it ends when the connection has.
type endError struct{ error }

func (e *endError) Unwrap() error { return e.error }

func isEnd(err error) bool {
	_, ok := errors.AsType[*endError](err)
	return ok
}

// close closes the connection and lets receive see its end.
func (s *session) close(ctx context.Context, code int, reason string) {
	if err := s.conn.Close(ctx, code, reason); err != nil && !errors.Is(err, connection.ErrClosed) && ctx.Err() == nil {
		s.complain(err)
	}
	select {
	case <-s.over:
	case <-ctx.Done():
	}
}

// conclude says how it ended, and gives the error of the session.
func (s *session) conclude(err error) error {
	if e, ok := errors.AsType[*endError](err); ok {
		err = e.error
	}
	switch {
	case err == io.EOF:
		s.notice("The server has closed the connection.")
		err = nil
	case errors.Is(err, connection.ErrClosed), errors.Is(err, errQuit):
		err = nil
	}
	stats := s.conn.Info().Stats
	s.notice(fmt.Sprintf("%s: %d received, %d sent.", time.Since(s.since).Round(time.Second), stats.MessagesIn, stats.MessagesOut))
	return err
}
