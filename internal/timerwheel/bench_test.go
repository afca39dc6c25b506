package timerwheel

import (
	"math/rand/v2"
	"testing"
	"time"
)

const million = 1 << 20

// A conn is as large as a small connection, so that neighbours in a list are
// no neighbours in memory.
type conn struct {
	timer Timer[*conn]
	_     [96]byte
}

// newConns returns a wheel as a server would have it, connections in random
// order, and, if asked to, their timers scheduled evenly over a minute.
func newConns(scheduled bool) (*Wheel[*conn], []*conn) {
	w, conns := New[*conn](100*time.Millisecond, 1024), make([]*conn, million)
	all := make([]conn, million)
	for i, at := range rand.Perm(million) {
		c := &all[at]
		conns[i], c.timer.Value = c, c
		if scheduled {
			w.Schedule(&c.timer, time.Duration(i)*time.Minute/million)
		}
	}
	return w, conns
}

func BenchmarkSchedule(b *testing.B) {
	b.Run("then-stop", func(b *testing.B) {
		w, conns := newConns(true)
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			c := conns[i%million]
			w.Stop(&c.timer)
			w.Schedule(&c.timer, time.Minute)
		}
	})
	b.Run("later", func(b *testing.B) {
		w, conns := newConns(true)
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			w.Schedule(&conns[i%million].timer, time.Minute+time.Duration(i))
		}
	})
	b.Run("earlier", func(b *testing.B) {
		w, conns := newConns(true)
		b.ReportAllocs()
		at := time.Minute + 10*time.Second
		for i := 0; b.Loop(); i++ {
			if i%million == 0 {
				at -= time.Second
			}
			w.Schedule(&conns[i%million].timer, at)
		}
	})
}

// BenchmarkAdvance advances tick by tick over a million timers, each of which
// is due once a minute: an operation is a tick.
func BenchmarkAdvance(b *testing.B) {
	b.Run("fire", func(b *testing.B) {
		w, _ := newConns(true)
		benchmarkAdvance(b, w, func(now time.Duration, c *conn) { w.Schedule(&c.timer, now+time.Minute) })
	})
	// Every connection hears something just before its time: its timer is
	// moved a minute on, and carried over instead of fired.
	b.Run("carry-over", func(b *testing.B) {
		w, conns := newConns(true)
		moved, now := 0, time.Duration(0)
		b.ReportAllocs()
		for b.Loop() {
			now += w.tick
			for ; time.Duration(moved)*time.Minute/million <= now; moved++ {
				w.Schedule(&conns[moved%million].timer, time.Duration(moved+million)*time.Minute/million)
			}
			w.Advance(now, func(*conn) { b.Fatal("fired") })
		}
	})
	b.Run("nothing-due", func(b *testing.B) {
		w, conns := newConns(false)
		w.Schedule(&conns[0].timer, 1<<62)
		benchmarkAdvance(b, w, func(time.Duration, *conn) { b.Fatal("fired") })
	})
}

func benchmarkAdvance(b *testing.B, w *Wheel[*conn], fire func(time.Duration, *conn)) {
	b.Helper()
	now := time.Duration(0)
	f := func(c *conn) { fire(now, c) }
	b.ReportAllocs()
	for b.Loop() {
		now += w.tick
		w.Advance(now, f)
	}
}

func BenchmarkNext(b *testing.B) {
	w, _ := newConns(true)
	b.ReportAllocs()
	for b.Loop() {
		w.Next()
	}
}
