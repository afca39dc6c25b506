package server

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"baro.dev/channel/brokertest"
	"baro.dev/internal/clients"
	"baro.dev/internal/cluster/backbone"
	"baro.dev/internal/cluster/membus"
)

// several are servers of one cluster, in one process.
type several struct {
	servers []*Server
	net     membus.Network
	log     *brokertest.Log
	shelf   *shelfInMemory
	buses   []*membus.Bus
	brokers []*brokertest.Broker
}

// startSeveral starts n servers that are joined in memory.
func startSeveral(t *testing.T, n int, config Config) *several {
	t.Helper()
	k := &several{log: brokertest.NewLog(), shelf: &shelfInMemory{all: map[string]map[string]shelfThing{}}}
	for i := range n {
		c := config
		c.Cluster.Node = fmt.Sprintf("node-%d", i)
		bus, broker := k.net.Bus(), k.log.Open()
		c.Backbone = &backbone.Backbone{Broker: broker, Bus: bus, Shelf: k.shelf}
		k.buses, k.brokers = append(k.buses, bus), append(k.brokers, broker)
		k.servers = append(k.servers, start(t, c))
	}
	for _, s := range k.servers {
		eventually(t, "all know each other", func() bool { return len(s.joined.node.Peers()) == n-1 })
		eventually(t, "the server is ready", func() bool { ok, _ := s.ready(); return ok })
	}
	return k
}

// shelfInMemory is a shelf that can be away.
type shelfInMemory struct {
	mu   sync.Mutex
	all  map[string]map[string]shelfThing
	away error
}

type shelfThing struct {
	value []byte
	until time.Time
}

func (s *shelfInMemory) Away(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = err
}

func (s *shelfInMemory) Put(_ context.Context, shelf, key string, value []byte, ttl time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away != nil {
		return s.away
	}
	if s.all[shelf] == nil {
		s.all[shelf] = map[string]shelfThing{}
	}
	s.all[shelf][key] = shelfThing{slices.Clone(value), time.Now().Add(ttl)}
	return nil
}

func (s *shelfInMemory) List(_ context.Context, shelf string) (map[string][]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string][]byte{}
	for key, v := range s.all[shelf] {
		if time.Now().Before(v.until) {
			all[key] = slices.Clone(v.value)
		}
	}
	return all, s.away
}

func (s *shelfInMemory) Take(_ context.Context, shelf, key string) ([]byte, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.all[shelf][key]
	delete(s.all[shelf], key)
	return v.value, ok && time.Now().Before(v.until), s.away
}

// at is a backend that asks one of the servers.
func (k *several) at(t *testing.T, i int) *backend {
	t.Helper()
	return &backend{t, k.servers[i], ""}
}

// TestClusterClients has the API of each server mean the clients of all.
func TestClusterClients(t *testing.T) {
	k := startSeveral(t, 3, Config{Dev: true})
	var devices []*device
	for i, s := range k.servers {
		devices = append(devices, connectDevice(t, s, fmt.Sprintf("user-%d", i), nil), connectDevice(t, s, "kim", nil))
	}
	for i := range k.servers {
		b := k.at(t, i)
		all := do[apiConnections](b, 200, "connections", "")
		nodes := map[string]int{}
		for _, c := range all.Connections {
			nodes[c.Node]++
		}
		if len(all.Connections) != 6 || len(nodes) != 3 || all.More || len(all.Missing) > 0 {
			t.Errorf("server %d has %+v", i, all)
		}
		if some := do[apiConnections](b, 200, "connections?limit=4", ""); len(some.Connections) != 4 || !some.More {
			t.Errorf("server %d: four of six are %+v", i, some)
		}
		if kim := do[apiConnections](b, 200, "connections?user=kim", ""); len(kim.Connections) != 3 {
			t.Errorf("server %d: the connections of a user are %+v", i, kim)
		}
		if info := do[apiInfo](b, 200, "info", ""); info.Clients != 6 || info.Nodes != 3 || info.Node != k.servers[i].joined.node.ID() {
			t.Errorf("server %d: %+v", i, info)
		}
	}
	b := k.at(t, 1)
	if n := do[apiReached](b, 200, "subscribe", `{"users":["kim","user-0"],"channel":"news"}`); n.Clients != 4 {
		t.Errorf("%+v were subscribed", n)
	}
	for i := range k.servers {
		all := do[apiChannels](k.at(t, i), 200, "channels", "")
		if len(all.Channels) != 1 || all.Channels[0].Name != "news" || all.Channels[0].Subscribers != 4 {
			t.Errorf("server %d: %+v", i, all)
		}
	}
	do[apiPublished](k.at(t, 2), 200, "publish", `{"channel":"news","data":"hello"}`)
	for i, d := range devices {
		want := i%2 == 1 || i == 0
		if want {
			eventually(t, "the message", func() bool { return strings.Contains(d.take(), "news: hello") })
		}
	}
	if n := do[apiReached](k.at(t, 0), 200, "unsubscribe", `{"users":["kim"],"channel":"news"}`); n.Clients != 3 {
		t.Errorf("%+v were unsubscribed", n)
	}
	if n := do[apiReached](k.at(t, 2), 200, "disconnect", `{"users":["kim"],"reason":"enough"}`); n.Clients != 3 {
		t.Errorf("%+v were disconnected", n)
	}
	if all := do[apiNodes](b, 200, "nodes", ""); len(all.Nodes) != 3 || all.Nodes[1].Name != "node-1" || !all.Nodes[1].Self || all.Nodes[0].Self || !all.Nodes[2].Ready {
		t.Errorf("%+v", all)
	}
}

// TestClusterCalls calls devices of other servers, which answer, refuse, leave and take too long.
func TestClusterCalls(t *testing.T) {
	k := startSeveral(t, 2, Config{Dev: true})
	d := connectDevice(t, k.servers[1], "door", func(d *device, c clients.Call) {
		switch c.Method {
		case "open":
			_ = d.Answer(c.ID, []byte(`{"opened":true}`), nil)
		case "refuse":
			_ = d.Answer(c.ID, nil, &clients.Refused{Code: "locked", Message: "it is locked"})
		case "leave":
			go d.Client.Gone("left")
		}
	})
	b := k.at(t, 0)
	if a := do[apiCallAnswer](b, 200, "call", `{"user":"door","method":"open"}`); string(a.Data) != `{"opened":true}` || a.Client != d.ID() || a.User != "door" {
		t.Errorf("%+v", a)
	}
	if a := do[apiCallAnswer](b, 200, "call", `{"client":"`+d.ID()+`","method":"open"}`); a.State != clients.Answered {
		t.Errorf("%+v", a)
	}
	if a := do[apiCallAnswer](b, 422, "call", `{"user":"door","method":"refuse"}`); a.Error == nil || a.Error.Code != "locked" {
		t.Errorf("%+v", a)
	}
	if a := do[apiCallAnswer](b, 504, "call", `{"user":"door","method":"think","timeout":"50ms"}`); a.Error == nil || a.Error.Code != "timeout" {
		t.Errorf("%+v", a)
	}
	// The one that came last is asked, wherever it is.
	connectDevice(t, k.servers[0], "door", func(d *device, c clients.Call) { _ = d.Answer(c.ID, []byte(`"here"`), nil) })
	for i := range k.servers {
		if a := do[apiCallAnswer](k.at(t, i), 200, "call", `{"user":"door","method":"open"}`); string(a.Data) != `"here"` {
			t.Errorf("server %d: %+v", i, a)
		}
	}
	if a := do[apiCallAnswer](b, 502, "call", `{"client":"`+d.ID()+`","method":"leave"}`); a.Error == nil || a.Error.Code != "client_gone" {
		t.Errorf("%+v", a)
	}
	b.refused(404, "not_found", "call", `{"client":"`+d.ID()+`","method":"open"}`)
	b.refused(404, "not_found", "call", `{"user":"nobody","method":"open"}`)
}

// TestClusterHeldCalls has calls wait for a user who is away: each is handed over once, wherever the user comes, and its state is
// known everywhere; it survives the server that has taken it, and the one that had handed it over.
func TestClusterHeldCalls(t *testing.T) {
	t.Parallel()
	k := startSeveral(t, 3, Config{Dev: true})
	states := func(id string, want clients.State) {
		t.Helper()
		for i := range k.servers {
			if k.servers[i].draining.Err() == nil {
				eventually(t, fmt.Sprintf("server %d: the call is %s", i, want), func() bool {
					return do[apiCallAnswer](k.at(t, i), 200, "calls/"+id, "").State == want
				})
			}
		}
	}
	calls := k.at(t, 0).hold("door", 1, 3)
	states(calls[2], clients.Held)

	var mu sync.Mutex
	var asked []string
	remember := func(d *device, c clients.Call) {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, string(c.Data))
		if string(c.Data) != "3" {
			go func() { _ = d.Answer(c.ID, c.Data, nil) }()
		}
	}
	took := func(want string) {
		t.Helper()
		eventually(t, "asked for "+want, func() bool {
			mu.Lock()
			defer mu.Unlock()
			return strings.Join(slices.Sorted(slices.Values(asked)), " ") == want
		})
	}
	d := connectDevice(t, k.servers[1], "door", remember)
	took("1 2 3")
	states(calls[0], clients.Answered)
	states(calls[1], clients.Answered)

	// It leaves without a word about the third: that waits for it again, and is given to it by another server.
	d.Gone("left")
	states(calls[2], clients.Held)
	connectDevice(t, k.servers[2], "door", remember)
	took("1 2 3 3")

	// Its server vanishes.
	k.buses[2].Cut(true, true)
	states2 := func() clients.State { return do[apiCallAnswer](k.at(t, 0), 200, "calls/"+calls[2], "").State }
	eventually(t, "the call waits again", func() bool { return states2() == clients.Held && len(k.servers[0].joined.node.Peers()) == 1 })
	connectDevice(t, k.servers[0], "door", func(d *device, c clients.Call) { go func() { _ = d.Answer(c.ID, []byte(`"done"`), nil) }() })
	eventually(t, "the answer", func() bool { return states2() == clients.Answered })

	// Who is called while already there is asked at once, though elsewhere.
	if a := do[apiCallAnswer](k.at(t, 1), 200, "call", `{"user":"door","method":"m","hold":"1h"}`); a.State != clients.Answered {
		t.Errorf("%+v", a)
	}
	k.shelf.Away(fmt.Errorf("it is away"))
	k.at(t, 0).refused(503, "cluster_unavailable", "call", `{"user":"nobody","method":"m","hold":"1h"}`)
	k.shelf.Away(nil)
}

// TestClusterAway has the broker go away and come back: the server says so, and publishing fails meanwhile.
func TestClusterAway(t *testing.T) {
	t.Parallel()
	var log logged
	k := startSeveral(t, 2, Config{Dev: true, Log: slog.New(slog.NewJSONHandler(&log, nil))})
	b := k.at(t, 0)
	do[apiPublished](b, 200, "publish", `{"channel":"news","data":"1"}`)
	k.brokers[0].Away(true)
	b.refused(503, "store_failed", "publish", `{"channel":"news","data":"2"}`)
	eventually(t, "the server is not ready", func() bool {
		ok, reasons := k.servers[0].ready()
		return !ok && slices.Contains(reasons, "broker_away")
	})
	if ok, reasons := k.servers[1].ready(); !ok {
		t.Errorf("the other server is not ready, too: %q", reasons)
	}
	const away = "what joins the servers is away: the server is not ready, and publishing fails where history is kept"
	eventually(t, "the log says so", func() bool { return len(log.lines(t, away)) == 1 })
	k.brokers[0].Away(false)
	do[apiPublished](b, 200, "publish", `{"channel":"news","data":"3"}`)
	eventually(t, "the server is ready", func() bool { ok, _ := k.servers[0].ready(); return ok })
	eventually(t, "the log says so once", func() bool {
		return len(log.lines(t, away)) == 1 && len(log.lines(t, "what joins the servers is back")) == 1
	})
	// One of the servers cannot be heard: whoever asks is told which.
	missing := k.servers[1].joined.node.ID()
	k.buses[1].Cut(true, true)
	if all := do[apiConnections](b, 200, "connections", ""); !slices.Equal(all.Missing, []string{missing}) && len(k.servers[0].joined.node.Peers()) > 0 {
		t.Errorf("missing are %q", all.Missing)
	}
}
