package topics

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"testing"
)

// A subscriber is what a connection would be.
type subscriber struct {
	id     int
	topics *Set[*subscriber]
}

func newRegistry() *Registry[*subscriber] {
	return New(func(s *subscriber) **Set[*subscriber] { return &s.topics })
}

func newSubscribers(n int) []*subscriber {
	list := make([]*subscriber, n)
	for i := range list {
		list[i] = &subscriber{id: i}
	}
	return list
}

// names returns n names of topics.
func names(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("topic-%06d", i)
	}
	return list
}

// A pair is a subscription, known by the time at which it began.
type pair struct {
	s     *subscriber
	topic string
}

// A model does everything twice: with a Registry, and with a map that takes its time.
type model struct {
	t           *testing.T
	r           *Registry[*subscriber]
	subscribers []*subscriber
	names       []string
	since       map[pair]int
	clock       int
	walks       []*walk
}

func newModel(t *testing.T) *model {
	return &model{t: t, r: newRegistry(), subscribers: newSubscribers(24), names: names(40), since: map[pair]int{}}
}

func (m *model) subscribe(s *subscriber, topic string) {
	p := pair{s, topic}
	_, had := m.since[p]
	if added := m.r.Subscribe(s, topic); added == had {
		m.t.Fatalf("Subscribe(%d, %s) = %t", s.id, topic, added)
	}
	if !had {
		m.clock++
		m.since[p] = m.clock
	}
}

func (m *model) unsubscribe(s *subscriber, topic string) {
	p := pair{s, topic}
	_, had := m.since[p]
	if removed := m.r.Unsubscribe(s, topic); removed != had {
		m.t.Fatalf("Unsubscribe(%d, %s) = %t", s.id, topic, removed)
	}
	m.gone(p)
}

func (m *model) leave(s *subscriber) {
	m.r.Leave(s)
	for _, topic := range m.names {
		m.gone(pair{s, topic})
	}
}

func (m *model) gone(p pair) {
	for _, w := range m.walks {
		if _, ok := w.stay[p]; ok && !w.visited[p] {
			w.disturbed = true
		}
	}
	delete(m.since, p)
}

// A walk is an iteration under way: over the subscribers of a topic, or the topics of a subscriber.
type walk struct {
	next      func() (pair, bool)
	stop      func()
	stay      map[pair]int // what it has to visit, unless it is removed
	visited   map[pair]bool
	started   int
	byTopic   *topic[*subscriber] // nil for the topics of a subscriber
	disturbed bool                // something was removed before it was visited
}

func (m *model) begin(over iter.Seq[pair], byTopic *topic[*subscriber], of func(pair) bool) {
	w := &walk{byTopic: byTopic, started: m.clock, stay: map[pair]int{}, visited: map[pair]bool{}}
	for p, since := range m.since {
		if of(p) {
			w.stay[p] = since
		}
	}
	w.next, w.stop = iter.Pull(over)
	m.walks = append(m.walks, w)
	m.advance(len(m.walks) - 1) // an iteration begins with its first step
}

func (m *model) walkSubscribers(topic string) {
	m.begin(func(yield func(pair) bool) {
		for s := range m.r.All(topic) {
			if !yield(pair{s, topic}) {
				return
			}
		}
	}, m.r.topics[topic], func(p pair) bool { return p.topic == topic })
}

func (m *model) walkTopics(s *subscriber) {
	m.begin(func(yield func(pair) bool) {
		for topic := range m.r.Topics(s) {
			if !yield(pair{s, topic}) {
				return
			}
		}
	}, nil, func(p pair) bool { return p.s == s })
}

// advance takes a step of a walk, and looks at all of it when that was the last.
func (m *model) advance(i int) {
	w := m.walks[i]
	p, ok := w.next()
	if ok {
		since, subscribed := m.since[p]
		again := w.visited[p] && (w.byTopic != nil || !w.disturbed)
		late := since > w.started && (w.byTopic != nil || !w.disturbed)
		if !subscribed || again || late {
			m.t.Fatalf("%d, %s is visited: subscribed %t, visited before %t, added since %t",
				p.s.id, p.topic, subscribed, again, late)
		}
		w.visited[p] = true
		return
	}
	for p, since := range w.stay {
		if m.since[p] == since && !w.visited[p] {
			m.t.Fatalf("%d, %s is not visited", p.s.id, p.topic)
		}
	}
	m.end(i)
}

func (m *model) end(i int) {
	m.walks[i].stop()
	m.walks = slices.Delete(m.walks, i, i+1)
}

// run does what input says, an operation every three bytes.
func (m *model) run(input []byte) {
	for n := 0; len(input) >= 3; n++ {
		s, topic := m.subscribers[int(input[1])%len(m.subscribers)], m.names[int(input[2])%len(m.names)]
		switch input[0] % 16 {
		case 0, 1, 2:
			m.subscribe(s, topic)
		case 3, 4:
			m.unsubscribe(s, topic)
		case 5:
			m.leave(s)
		case 6: // to many topics
			for _, name := range m.names[:int(input[2])%(len(m.names)+1)] {
				m.subscribe(s, name)
			}
		case 7: // by many subscribers
			for _, one := range m.subscribers[:int(input[1])%(len(m.subscribers)+1)] {
				m.subscribe(one, topic)
			}
		case 8:
			for _, name := range m.names[int(input[2])%(len(m.names)+1):] {
				m.unsubscribe(s, name)
			}
		case 9:
			for _, one := range m.subscribers[int(input[1])%(len(m.subscribers)+1):] {
				m.unsubscribe(one, topic)
			}
		case 10:
			m.walkSubscribers(topic)
		case 11:
			m.walkTopics(s)
		case 12:
			if len(m.walks) > 0 {
				m.end(int(input[1]) % len(m.walks))
			}
		default:
			if len(m.walks) > 0 {
				m.advance(int(input[1]) % len(m.walks))
			}
		}
		m.compare(s, topic)
		if n%8 == 0 {
			m.check()
		}
		input = input[3:]
	}
	for len(m.walks) > 0 {
		m.advance(0)
	}
	m.check()
}

// compare asks for s and topic.
func (m *model) compare(s *subscriber, topic string) {
	count, length := 0, 0
	for p := range m.since {
		if p.topic == topic {
			count++
		}
		if p.s == s {
			length++
		}
	}
	_, has := m.since[pair{s, topic}]
	if m.r.Has(s, topic) != has || m.r.Count(topic) != count || s.topics.Len() != length {
		m.t.Fatalf("Has %t, Count %d, Len %d, and not %t, %d, %d",
			m.r.Has(s, topic), m.r.Count(topic), s.topics.Len(), has, count, length)
	}
}

// check looks at all there is.
func (m *model) check() {
	m.t.Helper()
	checkInvariants(m.t, m.r, m.subscribers)
	found := map[pair]bool{}
	for topic := range m.r.topics {
		for s := range m.r.All(topic) {
			found[pair{s, topic}] = true
		}
	}
	for p := range m.since {
		if !found[p] {
			m.t.Fatalf("%d is not in %s", p.s.id, p.topic)
		}
	}
	if len(found) != len(m.since) {
		m.t.Fatalf("%d subscriptions, and not %d", len(found), len(m.since))
	}
	for _, topic := range m.r.topics {
		cursors, walks := 0, 0
		for c := topic.cursors; c != nil; c = c.next {
			cursors++
		}
		for _, w := range m.walks {
			if w.byTopic == topic {
				walks++
			}
		}
		if cursors != walks {
			m.t.Fatalf("%d cursors for %d iterations", cursors, walks)
		}
	}
}

// FuzzRegistry does the same to a Registry and to a map, with iterations under way.
func FuzzRegistry(f *testing.F) {
	f.Fuzz(func(t *testing.T, input []byte) {
		newModel(t).run(input[:min(len(input), 3000)])
	})
}

// What the fuzzer does, for those who only test: at random.
func TestModel(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 0))
		input := make([]byte, 3*r.IntN(400))
		for i := range input {
			input[i] = byte(r.Uint32())
		}
		few := byte(1 + r.IntN(40)) // so that iterations meet the changes
		for i := 1; i < len(input); i += 3 {
			input[i], input[i+1] = input[i]%few, input[i+1]%few
		}
		newModel(t).run(input)
	}
}
