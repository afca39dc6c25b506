package timerwheel

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"
	"unsafe"
)

const (
	tick  = 10 * time.Millisecond
	slots = 8
)

// advance returns what fires at now, sorted.
func advance(w *Wheel[int], now time.Duration) (fired []int) {
	w.Advance(now, func(v int) { fired = append(fired, v) })
	slices.Sort(fired)
	return fired
}

func TestFiresWithinATick(t *testing.T) {
	for _, c := range []struct{ start, at, due time.Duration }{
		{0, 0, tick},
		{0, -time.Hour, tick},
		{0, math.MinInt64, tick},
		{0, 1, tick},
		{0, tick - 1, tick},
		{0, tick, tick},
		{0, tick + 1, 2 * tick},
		{0, 7 * tick, 7 * tick},
		{0, 8 * tick, 8 * tick},
		{0, 8*tick + 1, 9 * tick},
		{0, 1000*tick - 1, 1000 * tick},
		{3*tick + 5, 2 * tick, 4 * tick},
		{3*tick + 5, 3*tick + 5, 4 * tick},
		{3*tick + 5, 3*tick + 6, 4 * tick},
		{12345 * tick, 12360 * tick, 12360 * tick},
	} {
		t.Run(fmt.Sprintf("%v at %v", c.at, c.start), func(t *testing.T) {
			for _, step := range []time.Duration{1e6, tick - 1, tick, tick + 1, 5 * tick, time.Hour} {
				w, timer := New[int](tick, slots), Timer[int]{Value: 1}
				advance(w, c.start)
				w.Schedule(&timer, c.at)
				for now := c.start; ; now += step {
					fired := advance(w, now)
					if want := now >= c.due; want != (len(fired) == 1) {
						t.Fatalf("steps of %v: at %v %d timers fired, due at %v", step, now, len(fired), c.due)
					}
					if now >= c.due {
						break
					}
				}
				if _, ok := w.Next(); ok || w.Len() != 0 {
					t.Fatalf("%d timers left", w.Len())
				}
			}
		})
	}
}

func TestNeverFiresInAHundredYears(t *testing.T) {
	w, timer := New[int](tick, slots), Timer[int]{}
	w.Schedule(&timer, math.MaxInt64)
	const century = 100 * 365 * 24 * time.Hour
	for now := time.Duration(0); now < century; now += century / 1000 {
		if len(advance(w, now)) != 0 {
			t.Fatalf("fired at %v", now)
		}
	}
	if !w.Stop(&timer) {
		t.Fatal("was not scheduled")
	}
}

func TestMove(t *testing.T) {
	w := New[int](tick, slots)
	timer := Timer[int]{Value: 1}
	w.Schedule(&timer, 3*tick)
	w.Schedule(&timer, 6*tick)   // later
	w.Schedule(&timer, 5*tick)   // earlier, yet after its first place
	w.Schedule(&timer, 100*tick) // beyond a revolution
	w.Schedule(&timer, 4*tick)
	if w.Len() != 1 {
		t.Fatalf("%d timers", w.Len())
	}
	for now := time.Duration(0); now < 300*tick; now += tick {
		if fired := advance(w, now); (len(fired) == 1) != (now == 4*tick) {
			t.Fatalf("at %v: %v", now, fired)
		}
	}
}

func TestStop(t *testing.T) {
	w := New[int](tick, slots)
	var timers [5]Timer[int]
	if w.Stop(&timers[0]) {
		t.Fatal("stopped what was never scheduled")
	}
	for i := range timers {
		timers[i].Value = i
		w.Schedule(&timers[i], tick)
	}
	for _, i := range []int{0, 2, 4} { // both ends and the middle of a list
		if !w.Stop(&timers[i]) || w.Stop(&timers[i]) {
			t.Fatalf("timer %d was not stopped just once", i)
		}
	}
	if fired := advance(w, time.Second); !slices.Equal(fired, []int{1, 3}) || w.Len() != 0 {
		t.Fatalf("fired %v, %d left", fired, w.Len())
	}
	if w.Stop(&timers[1]) {
		t.Fatal("stopped what has fired")
	}
}

func TestFireSchedulesItself(t *testing.T) {
	w := New[*Timer[int]](tick, slots)
	var timer Timer[*Timer[int]]
	fired := 0
	w.Schedule(&timer, tick)
	again := func(*Timer[int]) {
		fired++
		w.Schedule(&timer, 0)
	}
	w.Advance(50*tick, again)
	if fired != 1 {
		t.Fatalf("fired %d times in one Advance", fired)
	}
	w.Advance(50*tick+1, again)
	w.Advance(51*tick, again)
	if fired != 2 || w.Len() != 1 {
		t.Fatalf("fired %d times, %d left", fired, w.Len())
	}
}

func TestFireStopsAndMovesTheOthers(t *testing.T) {
	const n = 100
	w := New[int](tick, slots)
	var timers [n]Timer[int]
	for i := range timers {
		timers[i].Value = i
		w.Schedule(&timers[i], time.Duration(1+i%20)*tick)
	}
	fired := 0
	w.Advance(time.Second, func(i int) {
		fired++
		for j := range timers {
			switch {
			case j == i:
			case j%2 == 0:
				w.Stop(&timers[j])
			default:
				w.Schedule(&timers[j], 2*time.Second)
			}
		}
	})
	if fired != 1 || w.Len() != n/2 && w.Len() != n/2-1 {
		t.Fatalf("fired %d times, %d left", fired, w.Len())
	}
	left := w.Len()
	if got := advance(w, 2*time.Second); len(got) != left {
		t.Fatalf("%d of %d fired", len(got), left)
	}
}

func TestPanicInFireLosesNoTimer(t *testing.T) {
	w := New[int](tick, slots)
	var timers [30]Timer[int]
	for i := range timers {
		timers[i].Value = i
		w.Schedule(&timers[i], time.Duration(1+i/3)*tick)
	}
	seen := map[int]bool{}
	for w.Len() > 0 {
		func() {
			defer func() {
				if recover() == nil {
					t.Fatal("no panic")
				}
			}()
			if next, ok := w.Next(); !ok || next > time.Second {
				t.Fatalf("with %d timers left Next is %v, %v", w.Len(), next, ok)
			}
			w.Advance(time.Second, func(i int) {
				if seen[i] {
					t.Errorf("timer %d fired twice", i)
				}
				seen[i] = true
				panic(i)
			})
		}()
	}
	if len(seen) != len(timers) {
		t.Fatalf("%d of %d fired", len(seen), len(timers))
	}
}

func TestTimeDoesNotGoBack(t *testing.T) {
	w, timer := New[int](tick, slots), Timer[int]{}
	advance(w, time.Second)
	w.Schedule(&timer, time.Second+tick)
	if len(advance(w, 0)) != 0 || len(advance(w, -time.Hour)) != 0 || len(advance(w, time.Second)) != 0 {
		t.Fatal("fired before its time")
	}
	if len(advance(w, time.Second+tick)) != 1 {
		t.Fatal("did not fire")
	}
}

func TestNext(t *testing.T) {
	w := New[int](tick, slots)
	var a, b Timer[int]
	want := func(want time.Duration) {
		t.Helper()
		if got, ok := w.Next(); !ok || got != want {
			t.Fatalf("Next is %v, %v; want %v", got, ok, want)
		}
	}
	if _, ok := w.Next(); ok {
		t.Fatal("an empty wheel wants to be advanced")
	}
	w.Schedule(&a, 5*tick-1)
	want(5 * tick)
	w.Schedule(&b, 3*tick)
	want(3 * tick)
	w.Stop(&b)
	want(5 * tick)
	w.Schedule(&b, tick)
	want(tick)
	advance(w, tick)
	want(5 * tick)
	w.Schedule(&a, 7*tick) // moved later: found at its old place first
	want(5 * tick)
	advance(w, 5*tick)
	want(7 * tick)
	w.Schedule(&b, 6*tick)
	w.Advance(6*tick, func(int) { want(7 * tick) })
	w.Stop(&a)
	if _, ok := w.Next(); ok {
		t.Fatal("an empty wheel wants to be advanced")
	}
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []struct {
		tick  time.Duration
		slots int
	}{{0, 8}, {-1, 8}, {tick, 0}, {tick, -1}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("New(%v, %d) does not panic", c.tick, c.slots)
				}
			}()
			New[int](c.tick, c.slots)
		}()
	}
	for given, want := range map[int]int{1: 1, 2: 2, 3: 4, 500: 512, 512: 512} {
		if got := len(New[int](tick, given).slots); got != want {
			t.Errorf("%d slots became %d, want %d", given, got, want)
		}
	}
}

func TestSizeAndAllocations(t *testing.T) {
	if n := unsafe.Sizeof(Timer[*int]{}); n > 40 {
		t.Errorf("a Timer takes %d bytes", n)
	}
	w := New[*int](tick, slots)
	var timers [100]Timer[*int]
	now, fired := time.Duration(0), 0
	fire := func(*int) { fired++ }
	if n := testing.AllocsPerRun(1000, func() {
		for i := range timers {
			w.Schedule(&timers[i], now+time.Duration(i)*tick)
		}
		w.Stop(&timers[50])
		w.Next()
		now += 60 * tick
		w.Advance(now, fire)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if fired == 0 {
		t.Error("nothing fired")
	}
}
