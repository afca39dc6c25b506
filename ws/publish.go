package ws

import (
	"slices"
	"sync"

	"baro.dev/ws/internal/topics"
)

// Subscribe has the connection get what Server.Publish publishes on topic from now on. It may be called from OnOpen
// on, by any goroutine; subscribing again changes nothing. A connection that has ended returns why; it leaves all its
// topics by itself.
//
// A topic exists while somebody has subscribed to it, and costs nothing otherwise. Who lets a peer choose topics should bound
// their number (Topics) and their length.
func (s *Socket) Subscribe(topic string) error {
	h := s.hub()
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.flags.has(departed) {
		if err := s.Err(); err != nil {
			return err
		}
		return ErrClosed
	}
	h.registry.Subscribe(s, topic)
	return nil
}

// Unsubscribe ends a subscription. It reports whether there was one. What was published a moment before may
// still come, or not any more.
func (s *Socket) Unsubscribe(topic string) bool {
	h := s.hub()
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.registry.Unsubscribe(s, topic)
}

// Subscribed reports whether the connection has subscribed to topic.
func (s *Socket) Subscribed(topic string) bool {
	h := s.hub()
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.registry.Has(s, topic)
}

// Topics returns the number of topics that the connection has subscribed to.
func (s *Socket) Topics() int {
	h := s.hub()
	h.mu.Lock()
	defer h.mu.Unlock()
	return s.topics.Len()
}

// Publish sends a message to all connections that have subscribed to topic. It is encoded once, and does not wait: the
// event loops send it, and what is published in quick succession leaves in one write for each connection. data is the
// caller's again when Publish returns. Text must be valid UTF-8.
//
// Messages that one goroutine publishes arrive in that order, on whatever topics; there is no order between Publish and
// Send. A connection whose queue is full is closed, or goes without the message, as Queue.Full says; with Block it is
// closed, since a publisher waits for nobody.
func (s *Server) Publish(topic string, t MessageType, data []byte) error {
	if s.Subscribers(topic) == 0 {
		return checkMessage(t, data)
	}
	m, err := NewPreparedMessage(t, slices.Clone(data))
	if err == nil {
		s.PublishPrepared(topic, m)
	}
	return err
}

// PublishPrepared is Publish for a prepared message.
func (s *Server) PublishPrepared(topic string, m *PreparedMessage) {
	s.eachHub(func(h *hub) { h.publish(publication{topic: topic, m: m}) })
}

// Subscribers returns the number of connections that have subscribed to topic.
func (s *Server) Subscribers(topic string) int {
	n := 0
	s.eachHub(func(h *hub) {
		h.mu.Lock()
		n += h.registry.Count(topic)
		h.mu.Unlock()
	})
	return n
}

// hub knows who has subscribed to what, among the connections of one event loop, or among those that have none.
type hub struct {
	wake func() // has deliver called soon

	mu       sync.Mutex
	registry *topics.Registry[*Socket]
	pending  []publication
	bytes    int // of pending
	spare    []publication
	busy     bool // somebody delivers what was pending

	delivering sync.Mutex // held by whoever delivers
	targets    []*Socket
}

const (
	// maxPending is how many bytes of publications wait for the one who delivers. A publisher that finds more delivers itself:
	// so who publishes faster than that is slowed down, and nothing piles up but in the queues of connections, which have a bound.
	maxPending = 1 << 20
	// publicationBytes is what a publication counts besides its bytes.
	publicationBytes = 64
)

// publication is a message on its way to the subscribers of a topic, or to those that Multicast was given.
type publication struct {
	topic string
	to    []*Socket // instead of a topic; none but those of this hub
	m     *PreparedMessage
}

// together reports whether p and q go to the same connections.
func (p *publication) together(q *publication) bool {
	if len(p.to) > 0 || len(q.to) > 0 {
		return len(p.to) > 0 && len(q.to) > 0 && &p.to[0] == &q.to[0]
	}
	return p.topic == q.topic
}

func newHub() *hub {
	return &hub{registry: topics.New(func(s *Socket) **topics.Set[*Socket] { return &s.topics })}
}

func (h *hub) publish(p publication) {
	h.mu.Lock()
	if h.registry.Count(p.topic) == 0 {
		h.mu.Unlock()
		return
	}
	h.post(p) // unlocks
}

// post has publications delivered soon. mu is held, and released.
func (h *hub) post(all ...publication) {
	first := len(h.pending) == 0
	h.pending = append(h.pending, all...)
	for i := range all {
		h.bytes += len(all[i].m.frame) + publicationBytes
	}
	tooMany := h.bytes > maxPending
	h.mu.Unlock()
	switch {
	case tooMany:
		h.deliverNow()
	case first:
		h.wake()
	}
}

// deliverPending is deliverNow if there is anything to deliver, or anything being delivered, which it waits for.
func (h *hub) deliverPending() {
	h.mu.Lock()
	pending := len(h.pending) > 0 || h.busy
	h.mu.Unlock()
	if pending {
		h.deliverNow()
	}
}

// deliverNow delivers on the caller's goroutine.
func (h *hub) deliverNow() {
	h.delivering.Lock()
	sent := h.deliver((*Socket).flushRun)
	h.delivering.Unlock()
	tell(sent)
	h.rewake()
}

// tell calls what OnSent was given.
func tell(sent []func()) {
	for _, f := range sent {
		f()
	}
}

// rewake is called after delivering: whoever was woken meanwhile has not waited.
func (h *hub) rewake() {
	h.mu.Lock()
	more := len(h.pending) > 0
	h.mu.Unlock()
	if more {
		h.wake()
	}
}

// portableHub is the hub of the connections that have no event loop. A goroutine delivers while there is something.
func (s *Server) portableHub() *hub {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.portable == nil {
		h := newHub()
		h.wake = func() { go func() { tell(h.tryDeliver((*Socket).flushRun)) }() }
		s.portable = h
	}
	return s.portable
}

func (s *Socket) flushRun() {
	s.mu.Lock()
	s.flushLocked()
}

// leave ends all subscriptions of a connection that has ended.
func (h *hub) leave(s *Socket) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s.flags.set(departed)
	h.registry.Leave(s)
}

// tryDeliver delivers, unless somebody else does, who will see to what has come since.
func (h *hub) tryDeliver(later func(*Socket)) (sent []func()) {
	if h.delivering.TryLock() {
		sent = h.deliver(later)
		h.delivering.Unlock()
		h.rewake()
	}
	return sent
}

// deliver sends what is pending. delivering is held. Publications on one topic that follow one another are sent as
// one; if there is more than one such run, later is called for each connection, and has to flush it. After that the caller calls
// what it is given.
func (h *hub) deliver(later func(*Socket)) (sent []func()) {
	h.mu.Lock()
	all := h.pending
	h.pending, h.spare, h.bytes = h.spare[:0], nil, 0
	h.busy = true
	h.mu.Unlock()
	for rest := all; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].together(&rest[0]) {
			n++
		}
		h.deliverRun(rest[:n], n == len(all), later)
		for i := range rest[:n] {
			if f := rest[i].m.sent; f != nil {
				sent = append(sent, f)
			}
		}
		rest = rest[n:]
	}
	clear(all)
	h.mu.Lock()
	h.spare, h.busy = all[:0], false
	h.mu.Unlock()
	return sent
}

// maxRun is how many bytes are sent as one at most.
const maxRun = 64 << 10

// deliverRun sends messages on one topic.
func (h *hub) deliverRun(run []publication, now bool, later func(*Socket)) {
	targets := run[0].to
	cast := len(targets) > 0
	if !cast {
		h.mu.Lock()
		targets = slices.AppendSeq(h.targets[:0], h.registry.All(run[0].topic))
		h.mu.Unlock()
		defer func() {
			clear(targets)
			h.targets = targets[:0]
		}()
	}
	for len(run) > 0 {
		frames, n := joined(run)
		now = now && n == len(run)
		for _, s := range targets {
			s.sendRun(run[:n], frames, now)
			if cast {
				s.place.casts.Add(int32(-n))
			}
			if !now {
				later(s)
			}
		}
		run = run[n:]
	}
}

// joined returns the frames of the first n messages, one behind the other.
func joined(run []publication) (frames []byte, n int) {
	if len(run) == 1 {
		return run[0].m.frame, 1
	}
	size := 0
	for n < len(run) && (n == 0 || size+len(run[n].m.frame) <= maxRun) {
		size += len(run[n].m.frame)
		n++
	}
	frames = make([]byte, 0, size)
	for _, p := range run[:n] {
		frames = append(frames, p.m.frame...)
	}
	return frames, n
}
