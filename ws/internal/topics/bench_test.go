package topics

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
)

// BenchmarkSubscribe unsubscribes a subscriber that has many topics from one at random, and subscribes it again: an operation is both.
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

// BenchmarkLeave reports what leaving costs for each topic, of 1, or 100,000 together with another subscriber.
func BenchmarkLeave(b *testing.B) {
	for _, n := range []int{1, 8, 1000, 100_000} {
		b.Run(fmt.Sprintf("topics=%d", n), func(b *testing.B) {
			r, s, topics := newRegistry(), newSubscribers(2), names(n)
			for _, topic := range topics {
				r.Subscribe(s[0], topic)
			}
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				for _, topic := range topics {
					r.Subscribe(s[1], topic)
				}
				b.StartTimer()
				r.Leave(s[1])
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/topic")
		})
	}
}

// BenchmarkLeaveAll has all of 100,000 subscribers leave a topic, at random, as when a network fails; an operation is one.
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

// BenchmarkAll iterates, beside a slice of pointers; the subscribers are where the allocator put them.
func BenchmarkAll(b *testing.B) {
	for _, n := range []int{1, 1000, 10_000, 100_000} {
		r, s := fill(n)
		per := func(b *testing.B) {
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/subscriber")
		}
		sum := 0
		for _, touch := range []bool{false, true} {
			b.Run(fmt.Sprintf("subscribers=%d/touch=%t/registry", n, touch), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					for one := range r.All("a") {
						if touch {
							sum += one.id
						} else if one == nil {
							sum++
						}
					}
				}
				per(b)
			})
			b.Run(fmt.Sprintf("subscribers=%d/touch=%t/slice", n, touch), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					for _, one := range s {
						if touch {
							sum += one.id
						} else if one == nil {
							sum++
						}
					}
				}
				per(b)
			})
		}
		runtime.KeepAlive(sum)
	}
}
