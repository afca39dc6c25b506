package topics

import (
	"iter"
	"testing"
)

// fill subscribes n subscribers to topic a.
func fill(n int) (*Registry[*subscriber], []*subscriber) {
	r, s := newRegistry(), newSubscribers(n)
	for _, one := range s {
		r.Subscribe(one, "a")
	}
	return r, s
}

// At every step of an iteration, every set of subscribers goes, and some come back: who stays is visited once, who is
// gone is not visited any more, and who came late is not visited either.
func TestRemovalWhileIterating(t *testing.T) {
	const most = 6
	for n := 1; n <= most; n++ {
		for at := range n {
			for gone := range 1 << n {
				for _, back := range []int{0, gone, gone & 0b010101} {
					r, s := fill(n)
					visits, step, passed := make([]int, n), 0, 0
					for one := range r.All("a") {
						if visits[one.id]++; step == at {
							for i := range n {
								if visits[i] > 0 {
									passed |= 1 << i
								}
								if gone&(1<<i) != 0 {
									r.Unsubscribe(s[i], "a")
								}
							}
							for i := range n {
								if back&(1<<i) != 0 {
									r.Subscribe(s[i], "a")
								}
							}
						}
						step++
					}
					for i, got := range visits {
						want := 1
						if gone&(1<<i) != 0 && passed&(1<<i) == 0 {
							want = 0
						}
						if got != want {
							t.Fatalf("%d of %d visited %d times, when at step %d %b left and %b came back", i, n, got, at, gone, back)
						}
					}
					checkInvariants(t, r, s)
				}
			}
		}
	}
}

// The same for iterations within an iteration: at each step of the inner one, one subscriber leaves.
func TestRemovalWhileNested(t *testing.T) {
	const n = 6
	for outer := range n {
		for inner := range n {
			for gone := range n {
				r, s := fill(n)
				var outerVisits, innerVisits [n]int
				o := 0
				left := false // and whether each of the iterations had visited it before
				var outerHad, innerHad int
				for one := range r.All("a") {
					outerVisits[one.id]++
					if o == outer {
						i := 0
						for two := range r.All("a") {
							innerVisits[two.id]++
							if i == inner {
								outerHad, innerHad, left = outerVisits[gone], innerVisits[gone], true
								r.Leave(s[gone])
							}
							i++
						}
					}
					o++
				}
				for i := range n {
					wantOuter, wantInner := 1, 1
					if i == gone && left {
						wantOuter, wantInner = outerHad, innerHad
					}
					if outerVisits[i] != wantOuter || innerVisits[i] != wantInner {
						t.Fatalf("%d left at steps %d and %d: %d visited %d and %d times",
							gone, outer, inner, i, outerVisits[i], innerVisits[i])
					}
				}
			}
		}
	}
}

// A topic whose last subscriber goes and which begins anew is another: its iteration is over.
func TestTopicBeginsAnewWhileIterating(t *testing.T) {
	r, s := fill(3)
	visits := 0
	for range r.All("a") {
		visits++
		for _, one := range s {
			r.Leave(one)
		}
		for _, one := range s {
			r.Subscribe(one, "a")
		}
	}
	if visits != 1 || r.Count("a") != 3 {
		t.Errorf("%d visits, %d subscribers", visits, r.Count("a"))
	}
	checkInvariants(t, r, s)
}

// However an iteration ends, no trace of it is left, and its cursor serves the next.
func TestIterationEnds(t *testing.T) {
	for name, walk := range map[string]func(iter.Seq[*subscriber]){
		"to its end": func(all iter.Seq[*subscriber]) {
			for range all {
			}
		},
		"by break": func(all iter.Seq[*subscriber]) {
			for range all {
				break
			}
		},
		"by panic": func(all iter.Seq[*subscriber]) {
			defer func() { _ = recover() }()
			for range all {
				panic("handler")
			}
		},
		"the first before the second": func(all iter.Seq[*subscriber]) {
			next1, stop1 := iter.Pull(all)
			next2, stop2 := iter.Pull(all)
			next3, stop3 := iter.Pull(all)
			next1()
			next2()
			next3()
			stop2()
			stop1()
			stop3()
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, s := fill(5)
			for range 3 {
				walk(r.All("a"))
				walk(r.All("nobody's"))
			}
			if r.topics["a"].cursors != nil {
				t.Error("an iteration is still under way")
			}
			spare := 0
			for c := r.spare; c != nil; c = c.next {
				spare++
			}
			if spare < 1 || spare > 3 {
				t.Errorf("%d spare cursors", spare)
			}
			checkInvariants(t, r, s)
		})
	}
}
