package timerwheel

import (
	"math/rand/v2"
	"testing"
	"time"
)

// A trial drives a wheel and a model of it by a program of bytes. The model is
// a map from timer to due tick; that the order within one Advance is open does
// not matter to it, because it is updated from within fire.
type trial struct {
	t       *testing.T
	program []byte
	wheel   *Wheel[int]
	timers  [24]Timer[int]
	model   map[int]int64
	now     time.Duration
}

func newTrial(t *testing.T, program []byte) *trial {
	t.Helper()
	r := &trial{t: t, program: program, model: map[int]int64{}}
	r.wheel = New[int](tick, 1<<(r.byte()%5))
	for i := range r.timers {
		r.timers[i].Value = i
	}
	return r
}

func (r *trial) byte() int {
	if len(r.program) == 0 {
		return 0
	}
	b := r.program[0]
	r.program = r.program[1:]
	return int(b)
}

func (r *trial) run() {
	for len(r.program) > 0 {
		switch op := r.byte(); op % 8 {
		case 0, 1, 2, 3:
			r.change()
		case 4, 5:
			r.advance(r.now + time.Duration(r.byte())*tick/50)
		case 6:
			r.advance(r.now + time.Duration(r.byte()-10)*tick*time.Duration(1+op/8))
		case 7:
			if next, ok := r.wheel.Next(); ok {
				r.advance(next)
			}
		}
		r.check()
	}
	// An owner that does as Next says sees every timer at its very tick.
	for range 100000 {
		next, ok := r.wheel.Next()
		if !ok {
			break
		}
		r.program = nil // nothing is scheduled any more: the end is in sight
		r.advance(next)
		r.check()
	}
	if len(r.model) != 0 {
		r.t.Fatalf("%d timers never fired", len(r.model))
	}
}

// change schedules, moves or stops a timer.
func (r *trial) change() {
	i := r.byte() % len(r.timers)
	timer := &r.timers[i]
	switch op := r.byte(); op % 8 {
	case 0:
		_, scheduled := r.model[i]
		if got := r.wheel.Stop(timer); got != scheduled {
			r.t.Fatalf("Stop of %d is %v, want %v", i, got, scheduled)
		}
		delete(r.model, i)
	default:
		at := r.now + time.Duration(r.byte()-8)*tick/8 + time.Duration(op/8)
		if op%8 == 7 {
			at += time.Duration(r.byte()) * tick
		}
		r.wheel.Schedule(timer, at)
		due := int64(at / tick)
		if time.Duration(due)*tick < at {
			due++
		}
		r.model[i] = max(due, int64(r.now/tick)+1)
	}
}

func (r *trial) advance(now time.Duration) {
	before := r.now
	r.now = max(r.now, now)
	current := int64(r.now / tick)
	r.wheel.Advance(now, func(i int) {
		due, ok := r.model[i]
		switch {
		case !ok:
			r.t.Fatalf("at %v timer %d fired, which was not scheduled", now, i)
		case due > current:
			r.t.Fatalf("at %v, tick %d, timer %d fired, which is due at tick %d", now, current, i, due)
		case due <= int64(before/tick):
			r.t.Fatalf("timer %d, due at tick %d, fired in the Advance after the right one", i, due)
		}
		delete(r.model, i)
		for n := r.byte() % 4; n > 0; n-- {
			r.change()
		}
		if len(r.model) != r.wheel.Len() {
			r.t.Fatalf("Len is %d, want %d", r.wheel.Len(), len(r.model))
		}
	})
	for i, due := range r.model {
		if due <= current {
			r.t.Fatalf("at %v, tick %d, timer %d did not fire, which was due at tick %d", now, current, i, due)
		}
	}
}

// check compares what the wheel says of itself, and verifies its lists.
func (r *trial) check() {
	w := r.wheel
	if w.Len() != len(r.model) {
		r.t.Fatalf("Len is %d, want %d", w.Len(), len(r.model))
	}
	next, ok := w.Next()
	if ok != (len(r.model) > 0) || ok && next <= r.now {
		r.t.Fatalf("at %v with %d timers Next is %v, %v", r.now, len(r.model), next, ok)
	}
	for i, due := range r.model {
		if next > time.Duration(due)*tick {
			r.t.Fatalf("Next is %v, later than timer %d is due, at tick %d", next, i, due)
		}
	}
	linked := 0
	for i := range w.slots {
		for at := &w.slots[i]; *at != nil; at = &(*at).next {
			if linked++; (*at).prev != at || (*at).due != r.model[(*at).Value] {
				r.t.Fatalf("the list of slot %d is broken at timer %d", i, (*at).Value)
			}
		}
	}
	if linked != w.count || w.firing != nil {
		r.t.Fatalf("%d timers linked, want %d", linked, w.count)
	}
}

func TestAgainstModel(t *testing.T) {
	n := 3000
	if testing.Short() {
		n = 300
	}
	for seed := range uint64(n) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		program := make([]byte, 1+rnd.IntN(600))
		for i := range program {
			program[i] = byte(rnd.Uint32())
		}
		newTrial(t, program).run()
		if t.Failed() {
			t.Fatalf("with seed %d", seed)
		}
	}
}

func FuzzWheel(f *testing.F) {
	f.Fuzz(func(t *testing.T, program []byte) {
		newTrial(t, program[:min(len(program), 2000)]).run()
	})
}
