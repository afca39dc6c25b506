package load

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"time"

	"baro.dev/internal/cli/exit"
)

// finish closes the connections and puts the result together.
func (r *run) finish() (*Result, error) {
	_, last, conns := r.sum()
	r.total.Merge(last)
	res := r.result
	if r.o.Scenario != FanOut {
		res.Connections = conns
	}
	r.close()
	c := r.addUp()
	late, answers := newHistogram(), newHistogram()
	for _, w := range r.workers {
		w.mu.Lock()
		late.Merge(w.tally.late)
		answers.Merge(w.tally.answers)
		w.mu.Unlock()
	}
	res.histogram = r.total
	res.Messages, res.BytesIn, res.BytesOut = r.total.TotalCount(), c.bytesIn, c.bytesOut
	res.measured = res.Messages
	if r.o.Scenario == Echo {
		res.measured = c.answered
	}
	res.Lost, res.Duplicated, res.Reordered, res.Unsent = c.lost, c.duplicated, c.reordered, c.unsent
	if res.Seconds > 0 {
		res.PerSecond = float64(c.arrived) / res.Seconds
		if r.o.Scenario == FanOut {
			res.Published = float64(c.answered) / res.Seconds
		}
	}
	res.Latency, res.Answers = latencyOf(r.total, true), latencyOf(answers, false)
	r.failures.mu.Lock()
	res.Errors, res.ErrorCount = maps.Clone(r.failures.kinds), r.failures.total
	res.failure = r.failures.first
	r.failures.mu.Unlock()
	if res.Errors == nil {
		res.Errors = map[string]int64{}
	}
	r.judge(latencyOf(late, false))
	if r.ctx.Err() == nil {
		return res, nil
	}
	res.Interrupted = true
	var err error
	res.Ended, err = r.why()
	return res, err
}

// why says why the run was ended early, and gives it an exit code.
func (r *run) why() (string, error) {
	err := context.Cause(r.ctx)
	if !errors.Is(err, errTooMany) && !errors.Is(err, errAllGone) {
		return "interrupted", exit.With(exit.Interrupted, err)
	}
	_, first := r.failures.look()
	code := exit.Failed
	if errors.Is(err, errAllGone) {
		code = exit.Broken
	}
	err = fmt.Errorf("%w; the first error: %w", err, first)
	return err.Error(), exit.With(code, err)
}

func (r *run) addUp() (c counts) {
	for _, w := range r.workers {
		w.mu.Lock()
		c.add(&w.tally.counts)
		w.mu.Unlock()
	}
	return c
}

// close says goodbye over all connections, and ends those that servers do not.
func (r *run) close() {
	each := func(f func(*conn)) (left int) {
		for _, w := range r.workers {
			w.do(func() {
				for c := range w.conns {
					f(c)
				}
				left += len(w.conns)
			})
		}
		return left
	}
	end := time.Now().Add(goodbyeTime)
	for each((*conn).shut) > 0 && time.Now().Before(end) {
		time.Sleep(10 * time.Millisecond)
	}
	each(func(c *conn) { c.end(nil) })
}

// When the generator is taken for the bottleneck.
const (
	tooBusy   = 0.9
	tooHungry = 0.1                  // of the time, without a processor to run on
	tooLate   = 2 * time.Millisecond // one message in a hundred
)

// judge says whether the generator was up to it.
func (r *run) judge(late *Latency) {
	g := &r.result.Generator
	g.Late = late
	wall := r.result.Seconds
	if wall <= 0 {
		return
	}
	known := false
	for _, w := range r.workers {
		w.mu.Lock()
		if n := len(w.marked); n >= 2 && w.marked[n-1].ran > 0 {
			known = true
			g.Busy = max(g.Busy, (w.marked[n-1].ran-w.marked[n-2].ran).Seconds()/wall)
			g.Waited = max(g.Waited, (w.marked[n-1].waited-w.marked[n-2].waited).Seconds()/wall)
		}
		w.mu.Unlock()
	}
	if !known {
		g.Busy = g.CPU / wall / float64(runtime.GOMAXPROCS(0))
	} else if r.o.Scenario == Connect || r.o.Scenario == Reconnect { // others than the workers do that
		g.Busy = max(g.Busy, g.CPU/wall/float64(runtime.GOMAXPROCS(0)))
	}
	note := func(format string, args ...any) {
		g.Bottleneck = true
		r.result.Notes = append(r.result.Notes, fmt.Sprintf(format, args...))
	}
	if g.Busy > tooBusy {
		note("The generator was busy %.0f %% of the time: the figures are rather its own than the server's. More --workers, if there are "+
			"processors for them, or another machine, tell more.", 100*g.Busy)
	}
	if g.Waited > tooHungry {
		note("The generator had no processor to run on for %.0f %% of the time: others on this machine, the server perhaps, had it. "+
			"Latencies have that in them.", 100*g.Waited)
	}
	if late != nil && late.P99 > tooLate {
		note("The generator was late: one message in a hundred was sent %v or more after it was due. Latencies have that in them.", round(late.P99))
	}
}
