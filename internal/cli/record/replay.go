package record

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"baro.dev/internal/cli/connection"
	"baro.dev/internal/cli/exit"
)

// A Replayer sends again what was sent, and compares what comes with what came.
type Replayer struct {
	Comparer
	Connection connection.Connection
	Reader     *Reader
	// Speed is how much faster it goes than it was: 2 is twice as fast. 0: as fast as can be.
	Speed float64
	// Patience is how long what is expected may be late.
	Patience time.Duration
	// Settle is how long it waits at the end for what is not expected.
	Settle time.Duration
	// Secret is put where one was taken out of what is sent; "": that is an error.
	Secret string
	// Differ is called with each difference.
	Differ func(Difference) error

	incoming chan arrival
	ahead    []arrival // came while something was sent
	waiting  int       // bytes of ahead
	held     *arrival  // came, and waits for its turn
	ended    error     // the connection has
	began    time.Time
	result   Result
	pending  *Entry // the next line, if it was looked at already
	came     unanswered
	acks     map[int]chan acknowledgement // of what was sent
}

// acknowledgement is one that came, or why none will.
type acknowledgement struct {
	arguments []byte
	err       error
}

// Result counts what was done.
type Result struct {
	Lines     int     `json:"lines"`     // of the recording, but the first
	Sent      int     `json:"sent"`      // messages
	Expected  int     `json:"expected"`  // messages that came when it was recorded
	Received  int     `json:"received"`  // messages
	Different int     `json:"different"` // that were missing, others or too many
	Seconds   float64 `json:"seconds"`
}

// A Difference is between what was recorded and what comes.
type Difference struct {
	Line int           `json:"line,omitempty"` // of the recording; 0: of none
	At   time.Duration `json:"-"`              // since the beginning
	What string        `json:"difference"`     // in words
	Want *Entry        `json:"want,omitempty"` // nil: nothing
	Got  *Entry        `json:"got,omitempty"`  // nil: nothing came
}

// arrival is what came: a message, or the end.
type arrival struct {
	entry Entry
	err   error
}

var errDifferent = errors.New("the replay is different from the recording")

// Replay plays the recording. It closes the connection. The error has its exit code: exit.Unmet if anything was different, exit.Failed if the
// recording is damaged, exit.Broken if the connection breaks though it did not when it was recorded.
func (r *Replayer) Replay(ctx context.Context) (Result, error) {
	if err := r.check(); err != nil {
		r.close(ctx)
		return r.result, exit.With(exit.Usage, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	r.incoming = make(chan arrival, 256)
	received := make(chan struct{})
	go func() {
		defer close(received)
		r.receive(ctx)
	}()
	r.began = time.Now()
	err := r.play(ctx)
	r.result.Seconds = seconds(time.Since(r.began))
	r.close(ctx)
	cancel()
	<-received
	if err == nil && r.result.Different > 0 {
		err = exit.With(exit.Unmet, fmt.Errorf("%w: %d differences", errDifferent, r.result.Different))
	}
	return r.result, err
}

func (r *Replayer) close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	_ = r.Connection.Close(ctx, 0, "") // it may have ended
}

// receive hands on what comes, until the connection ends.
func (r *Replayer) receive(ctx context.Context) {
	for {
		m, err := r.Connection.Receive(ctx)
		a := arrival{err: err}
		if err == nil {
			a.entry = NewEntry(In, &m)
			a.entry.Ack = r.came.add(&m)
		}
		select {
		case r.incoming <- a:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

func (r *Replayer) play(ctx context.Context) error {
	for {
		e, err := r.next()
		if errors.Is(err, io.EOF) {
			return r.settle(ctx)
		}
		if err != nil {
			return err
		}
		r.result.Lines++
		switch {
		case e.Type == Open:
		case e.Type == Close:
			return r.finish(ctx, &e)
		case e.Dir == Out:
			err = r.send(ctx, &e)
		case e.Type == Ack:
			r.result.Expected++
			err = r.expectAck(ctx, &e)
		default:
			r.result.Expected++
			err = r.expect(ctx, &e)
		}
		if err != nil {
			return err
		}
	}
}

func (r *Replayer) next() (Entry, error) {
	if e := r.pending; e != nil {
		r.pending = nil
		return *e, nil
	}
	return r.Reader.Next()
}

// peek is the next line, if it is a message that came; nil otherwise.
func (r *Replayer) peek() *Entry {
	if r.pending == nil {
		e, err := r.Reader.Next()
		if err != nil {
			return nil // next says so again
		}
		r.pending = &e
	}
	if e := r.pending; e.Dir == In && e.Type != Open && e.Type != Close && e.Type != Ack {
		return e
	}
	return nil
}

// due is when a line is to happen.
func (r *Replayer) due(e *Entry) time.Time {
	if r.Speed == 0 {
		return r.began
	}
	return r.began.Add(time.Duration(e.T / r.Speed * float64(time.Second)))
}

// send sends a message when it is its time.
func (r *Replayer) send(ctx context.Context, e *Entry) error {
	if wait := time.Until(r.due(e)); wait > 0 {
		if err := r.pause(ctx, wait); err != nil {
			return err
		}
	}
	if r.ended != nil {
		return r.lost(e)
	}
	m, _ := e.Message()
	if e.Type == Ack {
		m.Data = e.Args
	}
	if e.Redacted {
		if r.Secret == "" {
			return exit.With(exit.Failed, fmt.Errorf("line %d of the recording: a secret was taken out of what was sent, and there is none to send in its place", e.line))
		}
		m.Data = bytes.ReplaceAll(m.Data, []byte(redacted), []byte(r.Secret))
	}
	if e.Type == Ack {
		return r.acknowledge(e, m.Data)
	}
	if e.Ack > 0 {
		c := make(chan acknowledgement, 1)
		if r.acks == nil {
			r.acks = map[int]chan acknowledgement{}
		}
		r.acks[e.Ack] = c
		m.Acked = func(arguments []byte, err error) { c <- acknowledgement{arguments, err} }
	}
	if err := r.during(ctx, e, func(ctx context.Context) error { return r.Connection.Send(ctx, m) }); err != nil {
		if errors.Is(err, errAhead) {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if errors.Is(err, connection.ErrMessage) || errors.Is(err, connection.ErrReadOnly) {
			return fmt.Errorf("line %d of the recording: %w", e.line, err)
		}
		for until := time.Now().Add(closeTimeout); r.ended == nil && time.Now().Before(until); { // it is about to be told why
			if _, err := r.arrive(ctx, time.Until(until)); err != nil {
				return err
			}
		}
		if r.ended == nil {
			r.ended = err
		}
		return r.lost(e)
	}
	r.result.Sent++
	return nil
}

// pause waits. What comes meanwhile waits, too, or is counted where nothing is compared.
func (r *Replayer) pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	var incoming <-chan arrival
	if r.Mode == None && r.ended == nil {
		incoming = r.incoming
	}
	for {
		select {
		case a := <-incoming:
			if r.took(a); r.ended != nil {
				incoming = nil
			}
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// took counts what came.
func (r *Replayer) took(a arrival) {
	if a.err != nil {
		r.ended = a.err
		return
	}
	r.result.Received++
}

// arrive is what comes next, within a time; nil if nothing does.
func (r *Replayer) arrive(ctx context.Context, d time.Duration) (*Entry, error) {
	if a := r.held; a != nil {
		r.held = nil
		return &a.entry, nil
	}
	if r.ended != nil {
		return nil, nil
	}
	if len(r.ahead) > 0 {
		a := r.ahead[0]
		r.ahead[0] = arrival{}
		r.ahead = r.ahead[1:]
		r.waiting -= a.size()
		if r.took(a); a.err != nil {
			return nil, nil
		}
		return &a.entry, nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case a := <-r.incoming:
		if r.took(a); a.err != nil {
			return nil, nil
		}
		return &a.entry, nil
	case <-timer.C:
		return nil, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// beside is how long it waits for what may put two messages in order again.
const beside = 50 * time.Millisecond

// expect compares a message with the next that comes. One that is missing or too much does not make all that follow different.
func (r *Replayer) expect(ctx context.Context, want *Entry) error {
	if r.Mode == None {
		return nil
	}
	patience := r.Patience
	if r.Speed > 0 {
		patience += max(0, time.Until(r.due(want)))
	}
	got, err := r.arrive(ctx, patience)
	if err != nil {
		return err
	}
	if got == nil {
		if r.ended != nil {
			return r.lost(want)
		}
		return r.differs(Difference{What: "nothing came", Want: want})
	}
	what := r.differ(want, got)
	if what == "" {
		return nil
	}
	if next := r.peek(); next != nil && r.differ(next, got) == "" {
		r.held = &arrival{entry: *got}
		return r.differs(Difference{What: "it is missing", Want: want})
	}
	if second, err := r.arrive(ctx, beside); err != nil {
		return err
	} else if second != nil {
		if r.differ(want, second) == "" {
			return r.differs(Difference{What: "it is not in the recording", Got: got})
		}
		r.held = &arrival{entry: *second}
	}
	return r.differs(Difference{What: what, Want: want, Got: got})
}

// acknowledge answers an event that came, as it was answered when it was recorded.
func (r *Replayer) acknowledge(e *Entry, arguments []byte) error {
	f := r.came.take(e.Ack)
	if f == nil && r.Mode == None {
		return nil
	}
	if f == nil {
		return r.differs(Difference{What: "no event has come that wants this acknowledgement", Want: e})
	}
	if err := f(arguments); err != nil {
		return fmt.Errorf("line %d of the recording: %w", e.line, err)
	}
	r.result.Sent++
	return nil
}

// expectAck compares an acknowledgement with that of the same event: between events it may come sooner or later than it did.
func (r *Replayer) expectAck(ctx context.Context, want *Entry) error {
	c := r.acks[want.Ack]
	if r.Mode == None || c == nil {
		return nil
	}
	delete(r.acks, want.Ack)
	patience := r.Patience
	if r.Speed > 0 {
		patience += max(0, time.Until(r.due(want)))
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case a := <-c:
		if a.err != nil {
			return r.differs(Difference{What: "it is not acknowledged: " + a.err.Error(), Want: want})
		}
		r.result.Received++
		got := &Entry{Dir: In, Type: Ack, Ack: want.Ack, Args: a.arguments}
		if what := r.differ(want, got); what != "" {
			return r.differs(Difference{What: what, Want: want, Got: got})
		}
		return nil
	case <-timer.C:
		return r.differs(Difference{What: "nothing came", Want: want})
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (r *Replayer) differs(d Difference) error {
	r.result.Different++
	d.At = time.Since(r.began)
	if d.Want != nil {
		d.Line = d.Want.line
	}
	if r.Differ == nil {
		return nil
	}
	return r.Differ(d)
}

// lost is that the connection has ended before a line.
func (r *Replayer) lost(e *Entry) error {
	if !errors.Is(r.ended, io.EOF) && exit.Code(r.ended) == exit.Broken {
		return exit.With(exit.Broken, fmt.Errorf("line %d of the recording: the connection has ended before: %w", e.line, r.ended))
	}
	d := Difference{What: fmt.Sprintf("the server has closed before: %v", r.ended), Want: e}
	return errors.Join(r.differs(d), exit.With(exit.Unmet, fmt.Errorf("%w: the server has closed before line %d", errDifferent, e.line)))
}

// finish is the end as it was recorded: by this side, or by the server.
func (r *Replayer) finish(ctx context.Context, e *Entry) error {
	if e.Dir == Out {
		if err := r.pause(ctx, max(0, time.Until(r.due(e)))); err != nil {
			return err
		}
		if err := r.settle(ctx); err != nil {
			return err
		}
		_ = r.Connection.Close(ctx, e.Code, e.Reason) // it may have ended
		return nil
	}
	patience := r.Patience
	if r.Speed > 0 {
		patience += max(0, time.Until(r.due(e)))
	}
	for until := time.Now().Add(patience); r.ended == nil; {
		got, err := r.arrive(ctx, time.Until(until))
		switch {
		case err != nil:
			return err
		case got != nil && r.Mode != None:
			if err := r.differs(Difference{What: "it is not in the recording", Got: got}); err != nil {
				return err
			}
		case got == nil && r.ended == nil && r.Mode == None:
			return nil
		case got == nil && r.ended == nil:
			return r.differs(Difference{What: "the server has not closed", Want: e})
		}
	}
	if code, _ := ending(r.ended); r.Mode != None && r.Mode != Count && e.Code != 0 && code != e.Code {
		return r.differs(Difference{What: fmt.Sprintf("the server closes with %d instead of %d", code, e.Code), Want: e})
	}
	return nil
}

// settle waits for what the recording does not have.
func (r *Replayer) settle(ctx context.Context) error {
	for until := time.Now().Add(r.Settle); ; {
		got, err := r.arrive(ctx, time.Until(until))
		if err != nil || got == nil {
			return err
		}
		if r.Mode == None {
			continue
		}
		if err := r.differs(Difference{What: "it is not in the recording", Got: got}); err != nil {
			return err
		}
	}
}
