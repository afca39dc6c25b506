package channels

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"baro.dev/channel"
	"baro.dev/channel/client"
	"baro.dev/internal/cli/exit"
	"baro.dev/internal/cli/target"
)

// A Subscriber writes what comes in channels. It is used once.
type Subscriber struct {
	Channels []string
	// After is where all channels begin: "EPOCH:OFFSET" (of one channel), "oldest", "now" or "". What Positions knows comes first.
	After string
	// Since leaves out what is older, and begins with the oldest message; 0: it does not.
	Since time.Duration
	// History is how many messages that were before come first.
	History int
	// Presence has members told who are there, come and go.
	Presence bool
	// Count is how many messages are enough; 0: there are never enough.
	Count int
	// Timeout ends it; 0: never. With Count it is an error if there were fewer.
	Timeout time.Duration
	// Positions is a file where each channel goes on, and that says so the next time; "" for none.
	Positions string
	// Stay has it come back when the connection breaks.
	Stay bool
	// OnMessage is a program that is run for each message; "": messages are written to Out.
	OnMessage string
	// OnCall is a program that answers calls; "": they are refused.
	OnCall string

	// Write writes a message to Out. It is called by one goroutine at a time.
	Write func(channel string, m *channel.Message) error
	// WritePresence writes who is there, comes or goes.
	WritePresence func(client.PresenceEvent) error
	// WriteGap is called where messages are lost.
	WriteGap func(channel string, last, next channel.Position) error
	// Note tells people what happens with the connection.
	Note func(format string, args ...any)
	// Out and Errors are those of the programs.
	Out, Errors io.Writer

	positions *positions
	connected atomic.Bool
	end       context.CancelCauseFunc

	mu   sync.Mutex // held while a message is dealt with
	seen int
}

var (
	errEnough  = errors.New("there are enough messages")
	errTimeout = errors.New("the time is over")
)

// ClientOptions are those of a client of channels that a target means.
func ClientOptions(to *target.Target, transports []client.Transport) *client.Options {
	o := &client.Options{
		Transports: transports, Header: to.Header.Clone(), TLS: to.TLS, Proxy: to.Proxy, DialContext: to.DialContext, Timeout: to.Timeout,
		Token: to.Token,
	}
	if o.Token != nil {
		o.Header.Del("Authorization") // it says how the token goes
	}
	return o
}

// Connect connects a client of channels. It is not tried twice. The error has its exit code.
func Connect(ctx context.Context, to *target.Target, o *client.Options) (*client.Client, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	own := *o
	own.OnState = func(now client.Transport, err error) {
		if now == "" {
			cancel(cmp.Or(err, errors.New("it did not connect")))
		}
		if o.OnState != nil {
			o.OnState(now, err)
		}
	}
	c, err := client.Dial(ctx, baseOf(to.URL).String(), &own)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return nil, notConnected(ctx, err)
	}
	return c, nil
}

// Run subscribes, until there is enough, time is over, ctx is done or nothing more can come. The error has its exit code.
func (s *Subscriber) Run(ctx context.Context, to *target.Target, o *client.Options) (err error) {
	if err := s.prepare(); err != nil {
		return err
	}
	ctx, s.end = context.WithCancelCause(ctx)
	defer s.end(nil)
	if s.Timeout > 0 {
		defer time.AfterFunc(s.Timeout, func() { s.end(errTimeout) }).Stop()
	}
	o.OnState = s.state
	if s.OnCall != "" {
		o.OnCall = answerBy(s.OnCall)
	}
	c, err := Connect(ctx, to, o)
	if err != nil {
		if why := context.Cause(ctx); why != nil {
			return s.outcome(why)
		}
		return err
	}
	defer func() {
		if s.positions != nil {
			err = errors.Join(err, s.positions.save())
		}
	}()
	defer func() {
		_ = c.Close()
		s.mu.Lock() // nothing is dealt with any more
		defer s.mu.Unlock()
	}()
	for _, name := range s.Channels {
		if err := s.subscribe(ctx, c, name); err != nil {
			return failedClient(ctx, err)
		}
	}
	s.wait(ctx)
	return s.outcome(context.Cause(ctx))
}

// wait waits for ctx, and saves the positions now and then.
func (s *Subscriber) wait(ctx context.Context) {
	if s.positions == nil {
		<-ctx.Done()
		return
	}
	tick := time.NewTicker(saveInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := s.positions.save(); err != nil {
				s.end(err)
			}
		}
	}
}

func (s *Subscriber) prepare() error {
	usage := func(format string, args ...any) error { return exit.With(exit.Usage, fmt.Errorf(format, args...)) }
	ways := 0
	for _, given := range []bool{s.After != "", s.Since > 0, s.History > 0} {
		if given {
			ways++
		}
	}
	for i, name := range s.Channels {
		if err := channel.ValidateName(name); err != nil {
			return usage("the channel %q: %w", name, err)
		}
		if slices.Contains(s.Channels[:i], name) {
			return usage("the channel %q is named twice", name)
		}
	}
	switch p, err := channel.ParsePosition(s.After); {
	case len(s.Channels) == 0:
		return usage("no channel is named")
	case ways > 1:
		return usage("one of --after, --since and --history can be given")
	case s.Since < 0 || s.History < 0 || s.Count < 0 || s.Timeout < 0:
		return usage("--since, --history, --count and --timeout cannot be negative")
	case s.After == "" || s.After == "now" || s.After == "oldest":
	case err != nil:
		return usage("--after %q is none of EPOCH:OFFSET, oldest and now", s.After)
	case p.Epoch != "" && len(s.Channels) > 1:
		return usage("--after %s is a position of one channel, and there are %d", s.After, len(s.Channels))
	}
	if s.Positions == "" {
		return nil
	}
	var err error
	s.positions, err = loadPositions(s.Positions)
	return err
}

// state tells of the connection.
func (s *Subscriber) state(now client.Transport, err error) {
	switch {
	case now != "":
		s.Note("connected over %s", now)
		s.connected.Store(true)
	case errors.Is(err, client.ErrClosed):
	case s.connected.Load() && !s.Stay:
		s.end(exit.With(exit.Broken, err))
	case s.connected.Load() && err != nil:
		s.Note("%v; comes back", oneLine(err))
	}
}

// outcome is what it ends with.
func (s *Subscriber) outcome(why error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case errors.Is(why, errEnough):
		return nil
	case errors.Is(why, errTimeout) && s.Count > 0:
		return exit.With(exit.Unmet, fmt.Errorf("%d of %d messages came within %v", s.seen, s.Count, s.Timeout))
	case errors.Is(why, errTimeout):
		return nil
	}
	return why
}

// subscribe begins with one channel.
func (s *Subscriber) subscribe(ctx context.Context, c *client.Client, name string) error {
	after, err := s.begin(ctx, c, name)
	if err != nil {
		return err
	}
	since := time.Now().Add(-s.Since)
	if s.Since == 0 {
		since = time.Time{}
	}
	handle := func(m *channel.Message) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if ctx.Err() == nil {
			s.take(ctx, name, m, !m.Time.Before(since))
		}
	}
	check := func(err error) {
		if err != nil {
			s.end(err)
		}
	}
	o := &client.SubscribeOptions{
		After:   after,
		OnStart: func(p channel.Position) { s.reached(name, p) },
		OnGap: func(last, next channel.Position) {
			s.Note("%s: messages are lost: what follows %v goes on after %v", name, last, next)
			s.reached(name, next)
			check(s.WriteGap(name, last, next))
		},
		OnEnd: func(err error) {
			if ctx.Err() == nil {
				s.end(fmt.Errorf("%s: %w", name, failedClient(ctx, err)))
			}
		},
	}
	if s.Presence {
		o.OnPresence = func(e client.PresenceEvent) {
			if ctx.Err() == nil {
				check(s.WritePresence(e))
			}
		}
	}
	_, err = c.Subscribe(name, handle, o)
	return err
}

// begin is where a channel begins.
func (s *Subscriber) begin(ctx context.Context, c *client.Client, name string) (string, error) {
	if s.positions != nil {
		if at := s.positions.after(name); at != "" {
			return at, nil
		}
	}
	switch {
	case s.Since > 0:
		return "oldest", nil
	case s.History > 0:
		return lastOnes(ctx, c, name, s.History)
	}
	return s.After, nil
}

// lastOnes is the position that so many messages follow, or fewer if not so many are kept.
func lastOnes(ctx context.Context, c *client.Client, name string, n int) (string, error) {
	end, err := c.History(ctx, name, "now", 1)
	if err != nil {
		return "", err
	}
	first, err := c.History(ctx, name, "oldest", 1)
	if err != nil {
		return "", err
	}
	at := channel.Position{Epoch: end.Epoch, Offset: end.Offset - min(end.Offset, uint64(n))} //nolint:gosec // it is not negative
	if len(first.Messages) > 0 && first.Epoch == at.Epoch {
		at.Offset = max(at.Offset, first.Messages[0].Offset-1)
	} else {
		at = channel.Position{Epoch: first.Epoch, Offset: first.Offset}
	}
	return at.String(), nil
}

// take deals with a message. What is too old is passed over.
func (s *Subscriber) take(ctx context.Context, name string, m *channel.Message, wanted bool) {
	var err error
	switch {
	case !wanted:
	case s.OnMessage != "":
		err = s.handBy(ctx, name, m)
	default:
		err = s.Write(name, m)
	}
	if err != nil && ctx.Err() != nil {
		return // it was interrupted: the message comes again the next time
	}
	if err != nil {
		s.end(err)
		return
	}
	s.reached(name, m.Position())
	if wanted {
		if s.seen++; s.seen == s.Count {
			s.end(errEnough)
		}
	}
}

// reached notes where a channel is.
func (s *Subscriber) reached(name string, at channel.Position) {
	if s.positions != nil && at.Epoch != "" {
		s.positions.reached(name, at)
	}
}
