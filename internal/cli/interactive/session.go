package interactive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"baro.dev/internal/cli/connection"
	"baro.dev/internal/cli/exit"
	"baro.dev/internal/cli/terminal"
)

// ui is where somebody types and reads: a terminal.Editor, or what a dumb terminal gets.
type ui interface {
	io.Writer
	ReadLine(ctx context.Context) (string, error)
	ReadSecret(ctx context.Context, prompt string) (string, error)
	SetPrompt(prompt string)
	SetMultiline(on bool)
	Clear()
}

// A session is a connection and somebody at a terminal. One goroutine receives, one sends, one pings, and the one that runs
// the session reads what is typed and does what the commands say.
type session struct {
	o       Options
	ui      ui
	conn    connection.Connection
	typed   *terminal.History
	rescue  func() // deferred by each goroutine
	running sync.WaitGroup
	size    func() (columns, rows int)
	since   time.Time
	notes   []string // to be shown once there is a ui
	outbox  chan outgoing
	over    chan struct{}          // closed when nothing comes any more
	fresh   chan struct{}          // a connection is there of which the latency is not known
	token   atomic.Pointer[string] // what /token said
	pretty  atomic.Bool
	frames  atomic.Bool
	times   atomic.Bool

	mu      sync.Mutex
	began   bool // there is a ui
	state   connection.StateKind
	latency time.Duration // 0: not known
	last    connection.Message
	events  []string // names seen, the newest last
	acks    []ack    // that the server waits for, the newest last
	asked   int      // the number of the last of them
}

// ack is an event that wants to be acknowledged.
type ack struct {
	number int
	answer func([]byte) error
}

// outgoing is a message to be sent; done is called with the outcome if it is not nil.
type outgoing struct {
	message connection.Message
	done    func(error)
}

const (
	maxEvents = 200 // names that completion knows
	maxAcks   = 100 // the oldest are forgotten
)

func newSession(o Options) *session {
	s := &session{
		o: o, rescue: func() {}, since: time.Now(),
		outbox: make(chan outgoing, maxWaiting), over: make(chan struct{}), fresh: make(chan struct{}, 1),
		size: func() (int, int) { return terminal.Size(o.Out) },
	}
	s.pretty.Store(!o.Compact)
	s.frames.Store(o.Frames)
	s.times.Store(!o.NoTimes)
	return s
}

// dial connects, with what the session wants to be told.
func (s *session) dial(ctx context.Context) error {
	o := *s.o.Connection
	o.OnState = s.stateChanged
	o.OnFrame = s.framePassed
	target := *o.Target
	given := target.Token
	target.Token = func(ctx context.Context) (string, error) {
		if token := s.token.Load(); token != nil {
			return *token, nil
		}
		if given == nil {
			return "", nil
		}
		return given(ctx)
	}
	o.Target = &target
	dial := s.o.Dial
	if dial == nil {
		dial = connection.Dial
	}
	var err error
	s.conn, err = dial(ctx, &o)
	return err
}

// begin shows what the session begins with.
func (s *session) begin() {
	s.mu.Lock()
	s.began = true
	notes := s.notes
	s.notes = nil
	s.mu.Unlock()
	s.since = time.Now()
	s.notice(s.connected(s.conn.Info()) + " /help tells the commands.")
	for _, n := range notes {
		s.notice(n)
	}
	s.setPrompt()
}

// connected says to what.
func (s *session) connected(i connection.Info) string {
	how := []string{string(i.Protocol)}
	for _, v := range []string{i.Transport, i.HTTP, i.TLS, i.Subprotocol} {
		if v != "" {
			how = append(how, terminal.SafeLine(v))
		}
	}
	if i.Compressed {
		how = append(how, "compressed")
	}
	return "Connected (" + strings.Join(how, ", ") + ")."
}

// receive shows what comes.
func (s *session) receive(ctx context.Context) error {
	defer close(s.over)
	for {
		m, err := s.conn.Receive(ctx)
		switch {
		case err == nil:
			s.incoming(m)
		case errors.Is(err, connection.ErrMessage):
			s.complain(err)
		case ctx.Err() != nil:
			return nil
		default:
			return &endError{err}
		}
	}
}

func (s *session) incoming(m connection.Message) {
	number := 0
	s.mu.Lock()
	data := append(s.last.Data[:0], m.Data...) // lent until the next Receive
	s.last = m
	s.last.Data = data
	if m.Event != "" {
		s.seen(m.Event)
	}
	if m.Ack != nil {
		s.asked++
		number = s.asked
		s.acks = append(s.acks[max(0, len(s.acks)-maxAcks+1):], ack{number, m.Ack})
	}
	s.mu.Unlock()
	s.showMessage("<", terminal.Cyan, m, number)
}

// seen remembers the name of an event, for completion. s.mu is held.
func (s *session) seen(event string) {
	for i, e := range s.events {
		if e == event {
			s.events = append(append(s.events[:i], s.events[i+1:]...), event)
			return
		}
	}
	s.events = append(s.events[max(0, len(s.events)-maxEvents+1):], event)
}

// send sends what was typed, in its order.
func (s *session) send(ctx context.Context) error {
	for {
		select {
		case o := <-s.outbox:
			err := s.conn.Send(ctx, o.message)
			if err != nil && ctx.Err() == nil && !errors.Is(err, connection.ErrClosed) {
				s.complain(fmt.Errorf("not sent: %w", err))
			}
			if o.done != nil {
				o.done(err)
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// post has a message sent, and shows it.
func (s *session) post(m connection.Message, done func(error)) error {
	if !s.conn.Info().CanSend {
		return connection.ErrReadOnly
	}
	m.At = time.Now()
	shown := m
	shown.Data = append([]byte(nil), m.Data...)
	select {
	case s.outbox <- outgoing{m, done}:
		s.showMessage(">", terminal.Green, shown, 0)
		return nil
	default:
		return fmt.Errorf("not sent: %d messages wait already, the server takes none", maxWaiting)
	}
}

// keyboard does what is typed, until the session is to end: with what code and reason to close, and the error of the session.
func (s *session) keyboard(ctx context.Context) (code int, reason string, err error) {
	for {
		line, err := s.ui.ReadLine(ctx)
		switch {
		case errors.Is(err, terminal.ErrInterrupted):
			return 1001, "", interrupted
		case errors.Is(err, io.EOF):
			return 1000, "", errQuit
		case ctx.Err() != nil:
			return 0, "", err
		case err != nil:
			return 1001, "", exit.With(exit.Failed, fmt.Errorf("reading the terminal: %w", err))
		}
		err = s.entered(ctx, line)
		if q, ok := errors.AsType[*quitError](err); ok {
			return q.code, q.reason, errQuit
		}
		if err != nil && ctx.Err() == nil {
			s.complain(err)
		}
	}
}

// later shows a notice once there is a ui.
func (s *session) later(text string) { s.notes = append(s.notes, text) }
