package connect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"baro.dev/internal/cli/audience"
	"baro.dev/internal/cli/connection"
	"baro.dev/internal/cli/exit"
	"baro.dev/internal/cli/terminal"
)

var (
	errQuiet   = errors.New("no more answers")        // after the end of the input
	errTimeout = errors.New("the time is over")       // Options.Timeout
	errEnough  = errors.New("all that was asked for") // Options.Count, Options.Expect
)

func errWriting(err error) error { return fmt.Errorf("writing the output: %w", err) }

// pipe is one run.
type pipe struct {
	o      *Options
	c      connection.Connection
	out    *output
	notes  *notes
	ctx    context.Context
	cancel context.CancelCauseFunc

	last    atomic.Int64 // when a message came, or the input ended, in nanoseconds since 1970
	seen    int64        // messages
	matched int          // of Options.Expect
}

// Run connects, sends the lines of stdin, and writes what comes to stdout, until all that was asked for has come, the server closes, or, after the
// end of the input, no more answers come. The error has its exit code. It may return while a read of stdin still waits.
func Run(ctx context.Context, o *Options, stdin io.Reader, stdout, stderr io.Writer) error {
	p := &pipe{o: o, out: &output{o: o, w: stdout, terminal: terminal.Is(stdout)}, notes: &notes{w: stderr}}
	p.ctx, p.cancel = context.WithCancelCause(ctx)
	defer p.cancel(nil)
	defer audience.OnGone(stdout, func() { p.cancel(errGone) })()
	if o.Timeout > 0 {
		defer time.AfterFunc(o.Timeout, func() { p.cancel(errTimeout) }).Stop()
	}
	began := time.Now()
	options := *o.Connection
	options.Measure = options.Measure || o.Stats && options.Compression.Enabled
	options.OnState = p.state
	if o.Frames {
		options.OnFrame = p.notes.frame
	}
	c, err := connection.Dial(p.ctx, &options)
	if err != nil {
		if context.Cause(p.ctx) == errTimeout && p.unmet() == nil {
			return exit.With(exit.Unreachable, fmt.Errorf("no connection within %s", o.Timeout))
		}
		return p.verdict(ctx, err)
	}
	p.c = c
	in := &input{o: o, events: c.Info().Protocol == connection.SocketIO, send: c.Send, cork: func() {}, loose: func() {}, acked: p.out.acknowledged, most: int(o.maxMessage())}
	if k, ok := c.(connection.Corker); ok {
		in.cork, in.loose = k.Cork, k.Uncork
	}
	go p.feed(in, stdin)
	err = p.verdict(ctx, p.receive())
	if e := p.out.flush(); err == nil && e != errGone {
		err = e
	}
	p.leave(ctx)
	if o.Stats {
		p.notes.stats(c.Info(), time.Since(began))
	}
	return err
}

func (o *Options) maxMessage() int64 {
	if o.Connection.MaxMessage > 0 {
		return o.Connection.MaxMessage
	}
	return 16 << 20
}

// feed sends the input.
func (p *pipe) feed(in *input, stdin io.Reader) {
	if !p.c.Info().CanSend && len(p.o.Messages) == 0 {
		return // and the input is left alone
	}
	var err error
	if len(p.o.Messages) > 0 {
		for _, text := range p.o.Messages {
			if err = in.say(p.ctx, text); err != nil {
				break
			}
		}
	} else {
		err = in.run(p.ctx, stdin)
	}
	switch {
	case err != nil:
		p.cancel(err)
	case in.line > 0 && p.o.Wait >= 0 && p.o.Count == 0 && len(p.o.Expect) == 0:
		p.await()
	}
}

// await waits until no message has come for Options.Wait, and ends it then.
func (p *pipe) await() {
	for since := time.Now().UnixNano(); ; {
		since = max(since, p.last.Load())
		left := p.o.Wait - time.Since(time.Unix(0, since))
		if left <= 0 {
			p.cancel(errQuiet)
			return
		}
		timer := time.NewTimer(left)
		select {
		case <-timer.C:
		case <-p.ctx.Done():
			timer.Stop()
			return
		}
	}
}

// receive writes what comes, and returns why it is over.
func (p *pipe) receive() error {
	ready, cancel := context.WithCancel(context.Background()) // done: for what is there already
	cancel()
	for {
		m, err := p.c.Receive(ready)
		if err != nil && errors.Is(err, context.Canceled) {
			if err := p.out.flush(); err != nil {
				return err
			}
			m, err = p.c.Receive(p.ctx)
		}
		if err != nil {
			return err
		}
		p.last.Store(m.At.UnixNano())
		if err := p.out.add(&m); err != nil {
			return err
		}
		if p.enough(&m) {
			return errEnough
		}
	}
}

// enough reports whether with m all has come that was asked for.
func (p *pipe) enough(m *connection.Message) bool {
	p.seen++
	if p.matched < len(p.o.Expect) {
		text := m.Data
		if m.Kind == connection.Event {
			text = appendEvent(nil, m)
		}
		if p.o.Expect[p.matched].Match(text) {
			p.matched++
		}
	}
	switch {
	case len(p.o.Expect) > 0 && p.matched < len(p.o.Expect):
		return p.o.Count > 0 && p.seen >= p.o.Count // more is not waited for
	case len(p.o.Expect) > 0:
		return true
	}
	return p.o.Count > 0 && p.seen >= p.o.Count
}

// verdict is what the end means.
func (p *pipe) verdict(ctx context.Context, err error) error {
	if p.ctx.Err() != nil && ctx.Err() == nil {
		err = context.Cause(p.ctx)
	}
	unmet := p.unmet()
	switch {
	case ctx.Err() != nil:
		return exit.With(exit.Interrupted, context.Cause(ctx))
	case errors.Is(err, errGone):
		return nil
	case errors.Is(err, errEnough), errors.Is(err, errQuiet), errors.Is(err, errTimeout), errors.Is(err, io.EOF):
		if unmet == nil {
			return nil
		}
		return exit.With(exit.Unmet, fmt.Errorf("%w: %w", unmet, reason(err)))
	case errors.Is(err, connection.ErrMessage):
		return exit.With(exit.Failed, err)
	}
	return err
}

func reason(err error) error {
	if errors.Is(err, io.EOF) {
		return errors.New("the server has closed the connection")
	}
	return err
}

// unmet is what has not come that was asked for.
func (p *pipe) unmet() error {
	switch {
	case p.matched < len(p.o.Expect):
		return fmt.Errorf("no message matched %q", p.o.Expect[p.matched])
	case len(p.o.Expect) == 0 && p.seen < p.o.Count:
		return fmt.Errorf("%d of %d messages came", p.seen, p.o.Count)
	}
	return nil
}

// goodbye is how long the server may take to say it.
const goodbye = 2 * time.Second

// leave closes the connection.
func (p *pipe) leave(ctx context.Context) {
	code := 1000
	if ctx.Err() != nil {
		code = 1001
	}
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
	defer cancel()
	_ = p.c.Close(within, code, "") // whatever the server says to that
}
