package server

import (
	"net/netip"
	"sync"
	"sync/atomic"
)

// hosts counts what each address has open, as long as there is a bound. An address that has nothing is not remembered.
type hosts struct {
	max atomic.Int64 // of each kind; 0: nothing is counted

	mu  sync.Mutex
	all map[netip.Prefix]*host
}

// host is an address of IPv4, or a network of 64 bits of IPv6, which is what one customer has. hosts.mu guards what it has open.
type host struct {
	key  netip.Prefix
	open [kinds]int
}

// What is counted: as in all, connections, and clients on them, of which one connection may carry many.
const (
	ofConnections = iota
	ofClients
	kinds
)

func hostKey(a netip.Addr) netip.Prefix {
	bits := 64
	if a.Is4() {
		bits = 32
	}
	key, _ := a.Prefix(bits)
	return key
}

// enter counts something of a kind that comes from an address, and says how many more there are than the bound allows. The
// host is nil where nothing is counted.
func (h *hosts) enter(a netip.Addr, kind int) (from *host, beyond int) {
	most := int(h.max.Load())
	if most == 0 || !a.IsValid() {
		return nil, 0
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	key := hostKey(a)
	if from = h.all[key]; from == nil {
		if h.all == nil {
			h.all = map[netip.Prefix]*host{}
		}
		from = &host{key: key}
		h.all[key] = from
	}
	from.open[kind]++
	return from, max(0, from.open[kind]-most)
}

// leave undoes enter.
func (h *hosts) leave(from *host, kind int) {
	if from == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if from.open[kind]--; from.open == [kinds]int{} {
		delete(h.all, from.key)
	}
}

// bound sets the bound: of what comes from now on.
func (h *hosts) bound(most int) { h.max.Store(int64(most)) }

// bounded says whether there is a bound.
func (h *hosts) bounded() bool { return h.max.Load() > 0 }
