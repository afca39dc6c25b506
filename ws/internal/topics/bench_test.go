package topics

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// BenchmarkSubscribe unsubscribes a subscriber that has many topics from one at random, and subscribes it again: an
// operation is both.
func BenchmarkSubscribe(b *testing.B) {
	for _, n := range []int{1, 8, 1000, 100_000} {
		for _, shared := range []bool{true, false} {
			b.Run(fmt.Sprintf("topics=%d/shared=%t", n, shared), func(b *testing.B) {
				r, s, topics := newRegistry(), newSubscribers(2), names(n)
				for _, topic := range topics {
					r.Subscribe(s[0], topic)
					if shared { // a topic stays when s[0] goes
						r.Subscribe(s[1], topic)
					}
				}
				order := rand.Perm(n)
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					topic := topics[order[i%n]]
					if !r.Unsubscribe(s[0], topic) || !r.Subscribe(s[0], topic) {
						b.Fatal("not subscribed")
					}
				}
			})
		}
	}
}

// BenchmarkSubscribers does the same to a topic that has many subscribers, of one topic each.
func BenchmarkSubscribers(b *testing.B) {
	for _, n := range []int{1, 1000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("subscribers=%d", n), func(b *testing.B) {
			r, s := fill(n)
			order := rand.Perm(n)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				one := s[order[i%n]]
				if !r.Unsubscribe(one, "a") || !r.Subscribe(one, "a") {
					b.Fatal("not subscribed")
				}
			}
		})
	}
}

// BenchmarkGrow subscribes one to many topics, or many to one; an operation is a subscription.
func BenchmarkGrow(b *testing.B) {
	const n = 100_000
	topics := names(n)
	for name, f := range map[string]func(r *Registry[*subscriber], s []*subscriber, i int){
		"topics":      func(r *Registry[*subscriber], s []*subscriber, i int) { r.Subscribe(s[0], topics[i]) },
		"subscribers": func(r *Registry[*subscriber], s []*subscriber, i int) { r.Subscribe(s[i], "a") },
	} {
		b.Run(name, func(b *testing.B) {
			var r *Registry[*subscriber]
			var s []*subscriber
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if i%n == 0 {
					b.StopTimer()
					r, s = newRegistry(), newSubscribers(n)
					b.StartTimer()
				}
				f(r, s, i%n)
			}
		})
	}
}

// BenchmarkLeave reports what leaving costs for each topic.
func BenchmarkLeave(b *testing.B) {
	for _, n := range []int{1, 8, 1000, 100_000} {
		for _, shared := range []bool{true, false} {
			b.Run(fmt.Sprintf("topics=%d/shared=%t", n, shared), func(b *testing.B) {
				r, s, topics := newRegistry(), newSubscribers(2), names(n)
				b.ReportAllocs()
				for b.Loop() {
					b.StopTimer()
					for _, topic := range topics {
						r.Subscribe(s[0], topic)
						if shared {
							r.Subscribe(s[1], topic)
						}
					}
					b.StartTimer()
					r.Leave(s[0])
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/topic")
			})
		}
	}
}

// BenchmarkLeaveAll has all of 100,000 subscribers leave a topic, at random, as when a network fails; an operation is
// one of them.
func BenchmarkLeaveAll(b *testing.B) {
	const n = 100_000
	order := rand.Perm(n)
	r, s := fill(n)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i > 0 && i%n == 0 {
			b.StopTimer()
			r, s = fill(n)
			b.StartTimer()
		}
		r.Leave(s[order[i%n]])
	}
}

// A busyConn is as large as a connection, and its neighbours in a list are no neighbours in memory.
type busyConn struct {
	topics *Set[*busyConn]
	_      [24]uint64
	queue  []uint16
	dirty  bool
	_      [24]uint64
}

// BenchmarkAll publishes to all subscribers of a topic what a loop would note for its next turn, and, beside it, to a
// slice of pointers to them.
func BenchmarkAll(b *testing.B) {
	for _, n := range []int{1, 1000, 10_000, 100_000} {
		r := New(func(c *busyConn) **Set[*busyConn] { return &c.topics })
		conns, list := make([]busyConn, n), make([]*busyConn, n)
		for i, at := range rand.Perm(n) {
			list[i] = &conns[at]
			list[i].queue = make([]uint16, 0, 4)
			r.Subscribe(list[i], "a")
		}
		dirty := make([]*busyConn, 0, n)
		post := func(c *busyConn) {
			if !c.dirty {
				c.dirty = true
				dirty = append(dirty, c)
			}
			c.queue = append(c.queue, 1)
		}
		turn := func() {
			for _, c := range dirty {
				c.dirty, c.queue = false, c.queue[:0]
			}
			dirty = dirty[:0]
		}
		for name, publish := range map[string]func(){
			"registry": func() {
				for c := range r.All("a") {
					post(c)
				}
			},
			"slice": func() {
				for _, c := range list {
					post(c)
				}
			},
		} {
			b.Run(fmt.Sprintf("subscribers=%d/%s", n, name), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					publish()
					turn()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/subscriber")
			})
		}
	}
}

// BenchmarkWalk iterates and does next to nothing: what it costs more than the slice is the call of the loop's body.
func BenchmarkWalk(b *testing.B) {
	const n = 10_000
	r, s := fill(n)
	for name, walk := range map[string]func() int{
		"registry": func() (sum int) {
			for one := range r.All("a") {
				sum += one.id
			}
			return sum
		},
		"slice": func() (sum int) {
			for _, one := range s {
				sum += one.id
			}
			return sum
		},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if walk() != n*(n-1)/2 {
					b.Fatal("not everybody")
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/subscriber")
		})
	}
}
