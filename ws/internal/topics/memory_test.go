package topics

import (
	"fmt"
	"runtime"
	"testing"
	"unsafe"
)

// heapOf is how many bytes of the heap stay after f, for each of n.
func heapOf(n int, f func()) float64 {
	var before, after runtime.MemStats
	settle := func(m *runtime.MemStats) {
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(m)
	}
	settle(&before)
	f()
	settle(&after)
	return (float64(after.HeapAlloc) - float64(before.HeapAlloc)) / float64(n)
}

// Bytes of the heap for each subscription, the subscribers' own structs and the callers' strings not counted.
func TestMemory(t *testing.T) {
	const n, few = 100_000, 20
	for _, test := range []struct {
		name                string
		subscribers, topics int // each subscribes to each
		bound               float64
	}{
		{"100k subscribers, one topic", n, 1, 56},
		{"100k subscribers, two topics", n, 2, 64},
		{"100k subscribers, ten topics", n, 10, 96},
		{"one subscriber, 100k topics", 1, n, 256},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, s, topics := newRegistry(), newSubscribers(test.subscribers), names(test.topics)
			per := test.subscribers * test.topics
			got := heapOf(per, func() {
				for _, one := range s {
					for _, topic := range topics {
						r.Subscribe(one, topic)
					}
				}
			})
			t.Logf("%.1f bytes a subscription", got)
			if got > test.bound {
				t.Errorf("%.1f bytes a subscription, more than %v", got, test.bound)
			}
			// A few are left, of subscribers or of topics, and memory as if there had hardly been more.
			freed := heapOf(1, func() {
				for _, one := range s[min(few, len(s)):] {
					r.Leave(one)
				}
				for _, topic := range topics[min(few, len(topics)):] {
					for _, one := range s[:min(few, len(s))] {
						r.Unsubscribe(one, topic)
					}
				}
			})
			if left := got*float64(per) + freed; left > 32<<10 {
				t.Errorf("%.0f bytes are left", left)
			}
			if r.Count(topics[0]) != min(few, len(s)) || s[0].topics.Len() != min(few, len(topics)) {
				t.Error("not as many are left as should be")
			}
			runtime.KeepAlive(topics)
		})
	}
}

// One topic costs a subscriber its Set, and the topic an entry.
func TestSizes(t *testing.T) {
	word := int(unsafe.Sizeof(uintptr(0)))
	for _, test := range []struct {
		value any
		size  uintptr
		words int
	}{
		{"Set", unsafe.Sizeof(Set[*subscriber]{}), 3},
		{"member", unsafe.Sizeof(member[*subscriber]{}), 2},
		{"subscription", unsafe.Sizeof(subscription[*subscriber]{}), 2},
		{"topic", unsafe.Sizeof(topic[*subscriber]{}), 6},
	} {
		if int(test.size) != test.words*word {
			t.Error(fmt.Sprint(test.value), "has", test.size, "bytes, and not", test.words, "words")
		}
	}
}
