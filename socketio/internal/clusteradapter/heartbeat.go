package clusteradapter

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// maxServers is of how many servers heartbeats are noted: so many uids may a stranger make up.
const maxServers = 10_000

// heartbeats know the other servers by what they send.
type heartbeats struct {
	adapter *Adapter

	mu    sync.Mutex
	seen  map[string]time.Time
	last  time.Time // when this server has sent a heartbeat
	timer *time.Timer
	ended bool
}

func newHeartbeats(a *Adapter) *heartbeats {
	return &heartbeats{adapter: a, seen: map[string]time.Time{}}
}

// Start tells the others that this server is there. Without heartbeats it does nothing. The adapter for a broker calls it when it
// hears the others.
func (a *Adapter) Start() {
	h := a.beats
	if h == nil {
		return
	}
	a.tell(a.Message(InitialHeartbeat))
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last = time.Now()
	if h.timer == nil && !h.ended {
		h.timer = time.AfterFunc(h.period(), h.turn)
	}
}

// period is how often it is looked who has gone, and whether it is time to be heard.
func (h *heartbeats) period() time.Duration {
	return min(h.adapter.options.HeartbeatInterval, h.adapter.options.HeartbeatTimeout/4, time.Second)
}

func (h *heartbeats) turn() {
	now := time.Now()
	var gone []string
	h.mu.Lock()
	if h.ended {
		h.mu.Unlock()
		return
	}
	for uid, at := range h.seen {
		if now.Sub(at) > h.adapter.options.HeartbeatTimeout {
			delete(h.seen, uid)
			gone = append(gone, uid)
		}
	}
	due := now.Sub(h.last) >= h.adapter.options.HeartbeatInterval-h.period()/2
	if due {
		h.last = now
	}
	h.mu.Unlock()
	for _, uid := range gone {
		h.adapter.Gone(uid)
	}
	if due {
		h.adapter.tell(h.adapter.Message(Heartbeat))
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.ended {
		h.timer.Reset(h.period())
	}
}

// heard notes that another server is there, or has gone.
func (h *heartbeats) heard(m *Message) {
	if m.UID == EmitterUID {
		return
	}
	h.mu.Lock()
	switch {
	case m.Type == AdapterClose:
		delete(h.seen, m.UID)
	case h.seen[m.UID].IsZero() && len(h.seen) >= maxServers:
	default:
		h.seen[strings.Clone(m.UID)] = time.Now()
	}
	h.mu.Unlock()
	switch m.Type {
	case AdapterClose:
		h.adapter.Gone(m.UID)
	case InitialHeartbeat:
		h.adapter.tell(h.adapter.Message(Heartbeat))
	}
}

// others returns the uids of the other servers.
func (h *heartbeats) others() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make([]string, 0, len(h.seen))
	for uid := range h.seen {
		all = append(all, uid)
	}
	slices.Sort(all)
	return all
}

func (h *heartbeats) stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended = true
	if h.timer != nil {
		h.timer.Stop()
	}
}
