package load

import (
	"math"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// settle is how long is waited between the last connection and the first message: a server may have answered a subscriber before it
// has it on its list.
const settle = 200 * time.Millisecond

// tick is how often is looked at what has come.
const tick = time.Second

// ask has the askers ask from begin on: at the rate, or as they are answered.
func (r *run) ask(begin int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	of := make(map[*worker][]*asker)
	for _, a := range r.askers {
		of[a.conn.worker] = append(of[a.conn.worker], a)
	}
	before := 0
	for _, w := range r.workers {
		askers := of[w]
		if len(askers) == 0 {
			continue
		}
		if r.o.Rate > 0 {
			share := r.o.Rate * float64(len(askers)) / float64(len(r.askers))
			offset := float64(time.Second) / r.o.Rate * float64(before)
			s := &schedule{worker: w, askers: askers, begin: begin + int64(offset), interval: float64(time.Second) / share}
			w.do(func() { w.pace = s })
		} else {
			w.do(func() { w.pace = &starter{askers: askers, begin: begin} })
		}
		before++
	}
}

// A starter has askers of a closed loop begin.
type starter struct {
	askers []*asker
	begin  int64
}

func (s *starter) due(now int64) int64 {
	if now < s.begin {
		return s.begin
	}
	for _, a := range s.askers {
		if !a.conn.over {
			a.started = true
			a.refill(now)
		}
	}
	s.askers, s.begin = nil, never
	return never
}

// measure has the load go on for the warm-up and the time that is measured, and waits for what comes late.
func (r *run) measure(outstanding func() int64) {
	begin := r.now() + int64(settle)
	r.window(begin+int64(r.o.WarmUp), begin+int64(r.o.WarmUp)+int64(r.o.Duration))
	r.ask(begin)
	if r.watch("warm-up", time.Duration(r.from-r.now()), r.after(r.from)) {
		r.mark()
		before := processorTime()
		r.watch("measuring", r.o.Duration, r.after(r.to))
		r.mark()
		r.result.Generator.CPU = (processorTime() - before).Seconds()
	}
	interrupted := r.ctx.Err() != nil
	if interrupted {
		r.window(r.from, max(min(r.to, r.now()), r.from))
	}
	r.result.Seconds = time.Duration(r.to - r.from).Seconds()
	r.drain(outstanding, interrupted)
}

// window says what is measured.
func (r *run) window(from, to int64) {
	r.from, r.to = from, to
	for _, w := range r.workers {
		w.do(func() { w.tally.from, w.tally.to = from, to })
	}
}

// drain waits for what is outstanding, as long as something comes.
func (r *run) drain(outstanding func() int64, interrupted bool) {
	patience := r.o.Drain
	if interrupted {
		patience = min(patience, time.Second)
	}
	const step = 10 * time.Millisecond
	left, since, shown := outstanding(), time.Now(), time.Now()
	for left > 0 && time.Since(since) < patience {
		time.Sleep(step)
		if now := outstanding(); now != left {
			left, since = now, time.Now()
			if interrupted {
				patience /= 2 // it is to end
			}
		}
		if time.Since(shown) >= tick {
			shown = time.Now()
			r.look("waiting for the rest", 0, patience)
		}
	}
	if interrupted {
		return
	}
	now := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range r.askers {
		a.conn.worker.do(func() { a.giveUp(now) })
	}
}

// mark has the workers take their threads' times.
func (r *run) mark() {
	for _, w := range r.workers {
		w.do(func() { w.marks++ })
	}
}

// after is closed at a time, or when the run is to end.
func (r *run) after(at int64) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		if at != math.MaxInt64 {
			wait(r.ctx, time.Duration(at-r.now()))
		}
	}()
	return done
}

// watch looks at what has come, about once a second, until done is closed. It returns whether the run goes on.
func (r *run) watch(phase string, of time.Duration, done <-chan struct{}) bool {
	begin := time.Now()
	t := time.NewTicker(tick)
	defer t.Stop()
	for {
		select {
		case <-done:
			r.look(phase, time.Since(begin), of)
			return r.ctx.Err() == nil
		case <-r.ctx.Done():
			return false
		case <-t.C:
			r.look(phase, time.Since(begin), of)
		}
	}
}

// sum adds up the counts of all workers and takes the latencies since the last time.
func (r *run) sum() (c counts, h *hdrhistogram.Histogram, conns int) {
	h = newHistogram()
	for _, w := range r.workers {
		var taken *hdrhistogram.Histogram
		w.mu.Lock()
		c.add(&w.tally.counts)
		conns += len(w.conns)
		taken = w.tally.take()
		w.mu.Unlock()
		h.Merge(taken)
	}
	return c, h, conns
}

// look takes what has come since the last time, and tells of it.
func (r *run) look(phase string, elapsed, of time.Duration) {
	c, h, conns := r.sum()
	r.total.Merge(h)
	now, count := r.now(), c.arrived
	p := Progress{Phase: phase, Elapsed: elapsed, Of: of, Connections: conns}
	p.P50, p.P99 = time.Duration(h.ValueAtQuantile(50)), time.Duration(h.ValueAtQuantile(99))
	since := time.Duration(now - max(r.looked, min(r.from, now)))
	if since > 0 {
		p.PerSecond = float64(count-r.lookedCount) / since.Seconds()
	}
	if (phase == "measuring" || r.o.Scenario == Connect && phase == "opening") && since > tick/4 {
		r.result.Series = append(r.result.Series, Point{
			At: time.Duration(now - r.from).Seconds(), PerSecond: p.PerSecond, P50: p.P50, P99: p.P99, Max: time.Duration(h.Max()),
		})
	}
	r.looked, r.lookedCount = now, count
	if conns == 0 && (phase == "measuring" || phase == "holding") {
		r.cancel(errAllGone)
	}
	p.Errors, _ = r.failures.look()
	if r.o.Progress != nil {
		r.o.Progress(p)
	}
}
