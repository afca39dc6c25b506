//go:build linux

package eventloop_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"baro.dev/internal/eventloop"
	"baro.dev/internal/eventloop/eventlooptest"
)

// trial is a group on a simulated system, and peers, that do whatever a random generator says, step by step. After each step
// everything has come that had to come.
type trial struct {
	t     *testing.T
	rng   *rand.Rand
	sys   *eventlooptest.System
	group *eventloop.Group
	began time.Time
	all   []*actor
	quiet bool // no more is begun
}

func (r *trial) failf(format string, args ...any) { r.t.Errorf(format, args...) }

func (r *trial) open() *actor {
	a := &actor{
		trial: r, far: r.sys.Open(), name: fmt.Sprint("#", len(r.all)),
		rng: rand.New(rand.NewPCG(r.rng.Uint64(), 0)),
	}
	if r.rng.IntN(2) == 0 {
		a.far.Room(r.rng.IntN(100))
	}
	r.all = append(r.all, a)
	return a
}

// step has the peers do something, and the loops go on until they have done all that follows.
func (r *trial) step() {
	for range r.rng.IntN(12) {
		if len(r.all) == 0 || r.rng.IntN(8) == 0 {
			r.join(r.open())
			continue
		}
		a := r.all[r.rng.IntN(len(r.all))]
		switch r.rng.IntN(12) {
		case 0, 1, 2, 3:
			if !a.ended && !a.far.Closed() {
				p := fmt.Appendf(nil, "%s:%d;", a.name, len(a.fed))
				a.fed = append(a.fed, p...)
				a.far.Feed(p)
			}
		case 4, 5:
			a.far.Room(r.rng.IntN(80))
		case 6:
			if r.rng.IntN(5) == 0 {
				a.ended = true
				a.far.End()
			}
		case 7:
			if r.rng.IntN(10) == 0 {
				a.ended = true
				a.far.Reset()
			}
		case 8:
			a.far.Spurious(syscall.EPOLLIN)
		default:
			if a.Loop() != nil {
				a.posted.Add(1)
				a.Conn.Attend()
			}
		}
	}
	r.sys.Resume()
	if r.rng.IntN(3) == 0 {
		time.Sleep(time.Duration(r.rng.Int64N(int64(5 * time.Second))))
	}
	r.sys.Pause()
	synctest.Wait() // for those that are attended after their loop has ended
	r.check()
}

func (r *trial) join(a *actor) {
	if err := r.group.Join(&a.Conn, a, a.far.Fd()); err != nil {
		r.t.Fatal(err)
	}
	a.started = true
	a.posted.Add(1)
	if err := a.Start(); err != nil {
		r.t.Fatal(err)
	}
}

// check checks that nothing is missing.
func (r *trial) check() {
	now := time.Since(r.began)
	for _, a := range r.all {
		a.seen = append(a.seen, a.far.Output()...)
		switch {
		case a.heard != a.posted.Load():
			r.failf("%s: Attend has come after %d of %d posts", a.name, a.heard, a.posted.Load())
		case !bytes.HasPrefix(a.fed, a.got):
			r.failf("%s: %q was sent, %q was read", a.name, a.fed, a.got)
		case !bytes.Equal(a.sent, a.seen):
			r.failf("%s: %q was written, %q has come", a.name, a.sent, a.seen)
		case a.closed != a.far.Closed():
			r.failf("%s: closed %v, its descriptor %v", a.name, a.closed, a.far.Closed())
		case a.closed:
		case a.dirty != 0:
			r.failf("%s: not flushed", a.name)
		case a.again:
			r.failf("%s: not read again", a.name)
		case !a.readable && (a.far.Unread() > 0 || a.ended && !a.over):
			r.failf("%s: nobody has told it that there is something to read", a.name)
		case a.blocked && a.far.HasRoom():
			r.failf("%s: nobody has told it that there is room", a.name)
		case a.due > 0 && now > a.due+eventloop.TimerTick:
			r.failf("%s: its timer, due at %v, has not fired at %v", a.name, a.due, now)
		}
	}
}

// run takes some steps, and then has everybody read and write all there is.
func (r *trial) run() {
	defer func() {
		r.group.Close()
		r.sys.Resume()
		time.Sleep(time.Second)
	}()
	r.sys.Pause()
	for range 60 {
		if r.step(); r.t.Failed() {
			return
		}
	}
	r.quiet = true
	for _, a := range r.all {
		a.far.Room(eventlooptest.Unlimited)
		a.posted.Add(1)
		a.Conn.Attend()
	}
	r.sys.Run()
	synctest.Wait()
	r.check()
	for _, a := range r.all {
		if !a.closed && !a.ended && (!bytes.Equal(a.fed, a.got) || len(a.out) > 0) {
			r.failf("%s: %q of %q was read, and %q is not written", a.name, a.got, a.fed, a.out)
		}
	}
}

// A loop, whatever happens to it and on it: every event comes, in order, and nothing after Close.
func TestModel(t *testing.T) {
	seeds := 150
	if testing.Short() {
		seeds = 40
	}
	for seed := range seeds {
		simulated(t, 1, func(t *testing.T, s *eventlooptest.System, _ *eventloop.Group) {
			r := &trial{t: t, rng: rand.New(rand.NewPCG(uint64(seed), 7)), sys: s, began: time.Now()}
			s.Shuffle = rand.New(rand.NewPCG(uint64(seed), 8)).Shuffle
			r.group = eventloop.NewGroup(1+seed%3, s.NewKernel, func(l *eventloop.Loop) { l.Local = time.Now() })
			if r.run(); t.Failed() {
				t.Logf("seed %d", seed)
			}
		})
		if t.Failed() {
			return
		}
	}
}
