package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// run is one run.
type run struct {
	o        *Options
	ctx      context.Context // done: the run is to end
	cancel   context.CancelCauseFunc
	start    time.Time
	workers  []*worker
	failures failures
	result   *Result
	// askers are those that ask, of all workers; listeners those who have subscribed.
	mu        sync.Mutex
	askers    []*asker
	listeners []*listener
	streams   []*stream

	total       *hdrhistogram.Histogram // of what has been taken from the tallies while measuring
	from, to    int64
	looked      int64
	lookedCount int64
}

// These end a run.
var (
	errTooMany = errors.New("there were more errors than --max-errors")
	errAllGone = errors.New("the server has closed all connections")
)

// Run puts load on the server until the time is over, or ctx is done, or there are too many errors. It returns what has been measured,
// and in the latter cases also an error; without a result if nothing could be measured. The error of options that make no sense is a
// *UsageError.
func Run(ctx context.Context, o Options) (*Result, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	notes, err := o.preflight()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r := &run{o: &o, ctx: ctx, cancel: cancel, start: time.Now(), total: newHistogram(), from: never, to: never}
	r.failures = failures{most: o.MaxErrors, stop: func() { cancel(errTooMany) }}
	r.result = &Result{
		Scenario: o.Scenario, URL: o.Target.URL.Redacted(), Transports: o.Transports, Loop: "closed", Rate: o.Rate, Began: r.start, Notes: notes,
		Generator: Generator{Workers: o.Workers},
	}
	if o.Rate > 0 {
		r.result.Loop = "open"
	}
	for range o.Workers {
		p, err := o.poller()
		if err != nil {
			r.stop()
			return nil, err
		}
		w := newWorker(r.start, &r.failures, p)
		r.workers = append(r.workers, w)
		w.goroutines.Go(w.run)
	}
	defer r.stop()
	if err := r.scenario(); err != nil && r.result.Seconds == 0 {
		if r.ctx.Err() != nil {
			_, err = r.why()
		}
		return nil, err
	}
	return r.finish()
}

func (o *Options) poller() (poller, error) {
	if o.portable {
		return newSleeper(), nil
	}
	return newPoller()
}

func (r *run) stop() {
	for _, w := range r.workers {
		w.stop()
	}
}

func (r *run) scenario() error {
	switch r.o.Scenario {
	case Connect:
		return r.connect()
	case Reconnect:
		return r.reconnect()
	case FanOut:
		return r.fanOut()
	default:
		return r.echo()
	}
}

// now is in nanoseconds since the run began.
func (r *run) now() int64 { return int64(time.Since(r.start)) }

// openAll opens n connections, spread over the ramp. open is told when the connection was due. openAll returns an error if none
// could be opened, or the run is to end.
func (r *run) openAll(n int, ramp time.Duration, open func(ctx context.Context, i int, due int64) error) error {
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	slots := make(chan struct{}, r.o.Opening)
	var opened sync.WaitGroup
	var first error
	var mu sync.Mutex
	failed := 0
	done := make(chan struct{})
	go func() {
		defer close(done)
		begin := r.now()
		for i := range n {
			due := begin + int64(float64(ramp)*float64(i)/float64(n))
			if d := due - r.now(); d > 0 {
				wait(ctx, time.Duration(d))
			}
			select {
			case <-ctx.Done():
			case slots <- struct{}{}:
				opened.Go(func() {
					defer func() { <-slots }()
					if ramp == 0 {
						due = r.now() // a closed loop: it follows one that is done
					}
					if err := open(ctx, i, due); err != nil && ctx.Err() == nil {
						r.failures.add(err)
						mu.Lock()
						failed++
						if first == nil {
							first = err
						}
						mu.Unlock()
					}
				})
			}
			if ctx.Err() != nil {
				break
			}
		}
		opened.Wait()
	}()
	r.watch("opening", 0, done)
	cancel()
	<-done
	if r.ctx.Err() != nil {
		return context.Cause(r.ctx)
	}
	if failed == n {
		return &OpenError{first}
	}
	return nil
}

// OpenError says that no connection at all could be opened.
type OpenError struct{ Err error }

func (e *OpenError) Error() string { return fmt.Sprintf("no connection could be opened: %v", e.Err) }

func (e *OpenError) Unwrap() error { return e.Err }

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// workerOf is whose a connection is.
func (r *run) workerOf(i int) *worker { return r.workers[i%len(r.workers)] }

func (r *run) transport(i int) Transport { return r.o.Transports[i%len(r.o.Transports)] }
