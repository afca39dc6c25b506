package server

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"baro.dev/channel"
	"baro.dev/internal/clients"
	"baro.dev/internal/webhook"
)

// TestClusterPolling has each request of a session of Socket.IO come to another server than the one before.
func TestClusterPolling(t *testing.T) {
	k := startSeveral(t, 3, Config{Dev: true})
	turn := 0
	next := func(method, query, body string) (answer, string) {
		t.Helper()
		turn++
		return request(t, method, k.servers[turn%3].url("/socket.io/?EIO=4&transport=polling"+query), body)
	}
	_, opened := next("GET", "", "")
	var session struct{ Sid string }
	if err := json.Unmarshal([]byte(strings.TrimPrefix(opened, "0")), &session); err != nil {
		t.Fatalf("%q: %v", opened, err)
	}
	sid := "&sid=" + session.Sid
	if a, text := next("POST", sid, "40"); a.StatusCode != 200 || text != "ok" {
		t.Fatalf("a CONNECT is answered %d %q", a.StatusCode, text)
	}
	if a, text := next("GET", sid, ""); a.StatusCode != 200 || !strings.HasPrefix(text, `40{"sid":`) {
		t.Fatalf("a poll is answered %d %q", a.StatusCode, text)
	}
	if a, text := next("POST", sid, `420["subscribe","news"]`); a.StatusCode != 200 {
		t.Fatalf("an event is answered %d %q", a.StatusCode, text)
	}
	if a, text := next("GET", sid, ""); a.StatusCode != 200 || !strings.HasPrefix(text, `430[null,`) && !strings.HasPrefix(text, `430[{`) {
		t.Fatalf("a poll is answered %d %q", a.StatusCode, text)
	}
	do[apiPublished](k.at(t, 1), 200, "publish", `{"channel":"news","data":"hello"}`)
	if a, text := next("GET", sid, ""); a.StatusCode != 200 || !strings.Contains(text, "hello") {
		t.Errorf("a poll is answered %d %q", a.StatusCode, text)
	}
	// "Session ID unknown" is for those that nobody has.
	if a, text := next("GET", "&sid="+strings.Repeat("x", 20), ""); a.StatusCode != 400 || !strings.Contains(text, "Session ID unknown") {
		t.Errorf("a session that nobody has is answered %d %q", a.StatusCode, text)
	}
}

// TestClusterDrain has a server stop, whose client goes to another one and misses nothing.
func TestClusterDrain(t *testing.T) {
	k := startSeveral(t, 2, Config{Dev: true, DrainWindow: -1, ReconnectWindow: time.Millisecond})
	first := k.at(t, 1)
	do[apiPublished](first, 200, "publish", `{"channel":"news","data":"1"}`)
	c := mustTalk(t, k.servers[0], "ws", "")
	c.must("subscribe", `{"channel":"news","after":"oldest"}`, nil)
	var m struct {
		Epoch  string
		Offset uint64
	}
	if err := json.Unmarshal([]byte(c.expect("message", `"data":"1"`).body), &m); err != nil {
		t.Fatal(err)
	}
	stopped := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		stopped <- k.servers[0].Shutdown(ctx)
	}()
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	do[apiPublished](first, 200, "publish", `{"channel":"news","data":"2"}`)
	next := channel.Position{Epoch: m.Epoch, Offset: m.Offset}.String()
	c = mustTalk(t, k.servers[1], "ws", "")
	c.must("subscribe", `{"channel":"news","after":"`+next+`"}`, nil)
	c.expect("message", `"data":"2"`)
	eventually(t, "the one that has stopped is gone", func() bool {
		return len(do[apiNodes](first, 200, "nodes", "").Nodes) == 1
	})
}

// TestClusterOccupied has the backend told of the first subscriber over all servers, and of the last.
func TestClusterOccupied(t *testing.T) {
	backend, events := newBackend(t, nil)
	k := startSeveral(t, 2, Config{Dev: true, Webhooks: Webhooks{Events: webhook.Config{
		Endpoints: []webhook.Endpoint{endpoint(backend, clients.TypeOccupied, clients.TypeVacated)},
	}}})
	for i, name := range []string{"one", "two"} { // each server's own
		c := mustTalk(t, k.servers[i], "ws", "")
		c.must("subscribe", `{"channel":"`+name+`"}`, nil)
		if e := next(t, events); e.Type != clients.TypeOccupied {
			t.Fatalf("%+v", e)
		}
		c.must("unsubscribe", `{"channel":"`+name+`"}`, nil)
		if e := next(t, events); e.Type != clients.TypeVacated {
			t.Fatalf("%+v", e)
		}
	}
	// One has had subscribers for a while.
	first, second := k.servers[0].joined, k.servers[1].joined
	first.occupancy.since["news"] = time.Now().Add(-time.Hour)
	second.occupancy.since["news"] = time.Now()
	if second.isFirstOrLast(occupancyChange{"news", true}) || !first.isFirstOrLast(occupancyChange{"news", true}) {
		t.Error("the second to have subscribers is the first")
	}
	delete(first.occupancy.since, "news")
	if first.isFirstOrLast(occupancyChange{"news", false}) {
		t.Error("there are subscribers elsewhere, and it has lost the last")
	}
	delete(second.occupancy.since, "news")
	if !second.isFirstOrLast(occupancyChange{"news", false}) {
		t.Error("nobody has subscribers, and none was the last")
	}
	// Both at the same moment: one of them tells.
	first.occupancy.since["news"], second.occupancy.since["news"] = time.Now(), time.Now()
	if first.isFirstOrLast(occupancyChange{"news", true}) == second.isFirstOrLast(occupancyChange{"news", true}) {
		t.Error("of two at the same moment, not one tells")
	}
}
