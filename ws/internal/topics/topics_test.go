package topics

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

func TestRegistry(t *testing.T) {
	type step struct {
		do    string // + subscribes, - unsubscribes, . leaves
		who   int
		topic string
		want  bool
		a, b  string // the subscribers of topics a and b afterwards
	}
	for name, steps := range map[string][]step{
		"nobody":        {{"-", 0, "a", false, "", ""}, {".", 0, "", false, "", ""}},
		"twice":         {{"+", 0, "a", true, "0", ""}, {"+", 0, "a", false, "0", ""}},
		"other's":       {{"+", 0, "a", true, "0", ""}, {"-", 1, "a", false, "0", ""}},
		"other topic":   {{"+", 0, "a", true, "0", ""}, {"-", 0, "b", false, "0", ""}},
		"and again":     {{"+", 0, "a", true, "0", ""}, {"-", 0, "a", true, "", ""}, {"+", 0, "a", true, "0", ""}},
		"first of two":  {{"+", 0, "a", true, "0", ""}, {"+", 1, "a", true, "01", ""}, {"-", 0, "a", true, "1", ""}},
		"second of two": {{"+", 0, "a", true, "0", ""}, {"+", 1, "a", true, "01", ""}, {"-", 1, "a", true, "0", ""}},
		"first topic": {
			{"+", 0, "a", true, "0", ""}, {"+", 0, "b", true, "0", "0"}, {"-", 0, "a", true, "", "0"}, {"-", 0, "b", true, "", ""},
		},
		"leaving": {
			{"+", 0, "a", true, "0", ""}, {"+", 1, "b", true, "0", "1"}, {"+", 0, "b", true, "0", "01"},
			{".", 0, "", false, "", "1"}, {".", 0, "", false, "", "1"}, {"+", 0, "a", true, "0", "1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, subscribers := newRegistry(), newSubscribers(2)
			for i, s := range steps {
				who, got := subscribers[s.who], false
				switch s.do {
				case "+":
					got = r.Subscribe(who, s.topic)
				case "-":
					got = r.Unsubscribe(who, s.topic)
				default:
					r.Leave(who)
				}
				if a, b := members(r, "a"), members(r, "b"); got != s.want || a != s.a || b != s.b {
					t.Fatalf("step %d: %t, a %q, b %q", i, got, a, b)
				}
				topics := 0
				for topic, who := range map[string]string{"a": s.a, "b": s.b} {
					if r.Count(topic) != len(who) {
						t.Errorf("step %d: Count(%s) = %d", i, topic, r.Count(topic))
					}
					if who != "" {
						topics++
					}
					for _, one := range subscribers {
						if want := strings.Contains(who, digit(one)); r.Has(one, topic) != want {
							t.Errorf("step %d: Has(%d, %s) = %t", i, one.id, topic, !want)
						}
					}
				}
				if r.Len() != topics {
					t.Errorf("step %d: %d topics", i, r.Len())
				}
				checkInvariants(t, r, subscribers)
			}
		})
	}
}

// members returns the subscribers of topic, in order.
func members(r *Registry[*subscriber], topic string) string {
	var list []string
	for s := range r.All(topic) {
		list = append(list, digit(s))
	}
	slices.Sort(list)
	return strings.Join(list, "")
}

func digit(s *subscriber) string { return string(rune('0' + s.id)) }

func TestTopics(t *testing.T) {
	for _, n := range []int{0, 1, 2, 8, 9, 100} {
		r, s, want := newRegistry(), newSubscribers(1)[0], names(n)
		for _, topic := range want {
			r.Subscribe(s, topic)
		}
		got := slices.Sorted(r.Topics(s))
		if !slices.Equal(got, want) || s.topics.Len() != n || r.Len() != n {
			t.Errorf("%d topics: %q, %d, %d", n, got, s.topics.Len(), r.Len())
		}
		for range r.Topics(s) {
			break
		}
		var left []string
		for topic := range r.Topics(s) {
			left = append(left, topic)
			r.Unsubscribe(s, topic)
		}
		if slices.Sort(left); !slices.Equal(left, want) || s.topics != nil || r.Len() != 0 {
			t.Errorf("%d topics, each unsubscribed when its turn came: %q, and %d stay", n, left, s.topics.Len())
		}
	}
}

// A topic's name outlives what it was cut from, and does not keep it alive.
func TestNameIsCopied(t *testing.T) {
	r, s := newRegistry(), newSubscribers(1)[0]
	message := strings.Repeat("x", 1<<10)
	name := message[:5]
	r.Subscribe(s, name)
	for topic := range r.Topics(s) {
		if topic != name || unsafe.StringData(topic) == unsafe.StringData(name) {
			t.Errorf("%q is a part of the message", topic)
		}
	}
}

// Topics and subscribers that were many give their memory back one by one, in whatever order they go.
func TestShrinking(t *testing.T) {
	const n = 3000
	orders := map[string]func() []int{
		"first to last": func() []int { return sequence(n) },
		"last to first": func() []int { l := sequence(n); slices.Reverse(l); return l },
		"at random":     func() []int { return rand.New(rand.NewPCG(1, 2)).Perm(n) },
	}
	for name, order := range orders {
		t.Run("topics/"+name, func(t *testing.T) {
			r, s, topics := newRegistry(), newSubscribers(1), names(n)
			for _, topic := range topics {
				r.Subscribe(s[0], topic)
			}
			for i, at := range order() {
				r.Unsubscribe(s[0], topics[at])
				if i%50 == 0 || i > n-50 {
					checkInvariants(t, r, s)
				}
			}
		})
		t.Run("subscribers/"+name, func(t *testing.T) {
			r, s := newRegistry(), newSubscribers(n)
			for _, one := range s {
				r.Subscribe(one, "a")
				r.Subscribe(one, "b")
			}
			for i, at := range order() {
				if i%2 == 0 {
					r.Leave(s[at])
				} else {
					r.Unsubscribe(s[at], "a")
					r.Unsubscribe(s[at], "b")
				}
				if i%50 == 0 || i > n-50 {
					checkInvariants(t, r, s)
				}
			}
		})
	}
}

func sequence(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}

func TestAllocations(t *testing.T) {
	const n = 100
	r, s, topics := newRegistry(), newSubscribers(n), names(n)
	for _, one := range s {
		for _, topic := range topics {
			r.Subscribe(one, topic)
		}
	}
	visited := 0
	for name, f := range map[string]func(){
		"Subscribe, already": func() { r.Subscribe(s[7], topics[7]) },
		"Has":                func() { r.Has(s[7], topics[7]) },
		"Count":              func() { r.Count(topics[7]) },
		"unsubscribe and subscribe, one of many": func() {
			r.Unsubscribe(s[7], topics[7])
			r.Subscribe(s[7], topics[7])
		},
		"All": func() {
			for range r.All(topics[7]) {
				visited++
			}
		},
		"All, within All": func() {
			for range r.All(topics[7]) {
				for range r.All(topics[7]) {
					visited++
				}
			}
		},
		"Topics": func() {
			for range r.Topics(s[7]) {
				visited++
			}
		},
	} {
		if allocs := testing.AllocsPerRun(10, f); allocs != 0 {
			t.Errorf("%s: %v allocations", name, allocs)
		}
	}
	if visited == 0 {
		t.Error("nobody was visited")
	}
	// Its Set is all that a subscriber of one topic needs, where the topic has room.
	newcomers, i := newSubscribers(12), 0
	if allocs := testing.AllocsPerRun(10, func() { r.Subscribe(newcomers[i], topics[0]); i++ }); allocs != 1 {
		t.Errorf("first topic: %v allocations", allocs)
	}
}
