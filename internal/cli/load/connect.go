package load

import (
	"context"
	"time"
)

// connect opens connections and holds them.
func (r *run) connect() error {
	o := r.o
	r.window(0, never)
	ramp := o.Ramp
	if o.Rate > 0 {
		ramp = time.Duration(float64(o.Connections) / o.Rate * float64(time.Second))
	}
	if ramp > 0 {
		r.result.Loop = "open"
	}
	r.mark()
	begin, before := r.now(), processorTime()
	err := r.openAll(o.Connections, ramp, r.openIdle)
	r.to = r.now()
	r.mark()
	r.from = begin
	r.result.Generator.CPU = (processorTime() - before).Seconds()
	r.result.Seconds = time.Duration(r.to - r.from).Seconds()
	if err != nil {
		return err
	}
	held := r.now()
	r.watch("holding", o.Duration, r.after(held+int64(o.Duration)))
	_, _, conns := r.sum()
	r.result.Held = &Held{Seconds: time.Duration(r.now() - held).Seconds(), Connections: conns}
	return nil
}

// openIdle opens a connection that nothing is said over.
func (r *run) openIdle(ctx context.Context, i int, due int64) error {
	if err := r.receive(ctx, i, r.transport(i), r.o.Target.URL, "", newListener(0, 1, nil, noMark)); err != nil {
		return err
	}
	w := r.workerOf(i)
	w.mu.Lock()
	w.tally.came(due, w.now())
	w.mu.Unlock()
	return nil
}

// noMark is a mark that nothing has.
var noMark = []byte("b!------")

// reconnect cuts all connections, which come back at once, again and again.
func (r *run) reconnect() error {
	o := r.o
	if err := r.openAll(o.Connections, o.Ramp, r.openIdle); err != nil {
		return err
	}
	_, _, n := r.sum() // and forget how long that took
	begin := r.now()
	r.window(begin, never)
	r.mark()
	before := processorTime()
	for r.ctx.Err() == nil && r.now() < begin+int64(o.Duration) {
		r.storm(n)
		r.watch("resting", o.Pause, r.after(r.now()+int64(o.Pause)))
	}
	r.mark()
	r.result.Generator.CPU = (processorTime() - before).Seconds()
	r.result.Seconds = time.Duration(r.now() - begin).Seconds()
	return nil
}

// Between attempts of one connection to come back there is a pause, longer each time.
const (
	firstPause = 50 * time.Millisecond
	lastPause  = 5 * time.Second
)

// storm cuts all connections and has n come back.
func (r *run) storm(n int) {
	cut := r.now()
	for _, w := range r.workers {
		w.do(func() {
			for c := range w.conns {
				c.farewell = true
				c.end(nil)
			}
		})
	}
	errorsBefore, _ := r.failures.look()
	_ = r.openAll(n, 0, func(ctx context.Context, i int, _ int64) error {
		for pause := firstPause; ; pause = min(2*pause, lastPause) {
			err := r.openIdle(ctx, i, cut)
			if err == nil || ctx.Err() != nil {
				return err
			}
			r.failures.add(err)
			wait(ctx, pause)
		}
	})
	s := Storm{Connections: n}
	errorsNow, _ := r.failures.look()
	if s.Errors = errorsNow - errorsBefore; r.ctx.Err() == nil {
		s.All = time.Duration(r.now() - cut)
	}
	r.result.Storms = append(r.result.Storms, s)
}
