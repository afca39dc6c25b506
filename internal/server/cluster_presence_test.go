package server

import (
	"strings"
	"testing"
)

// Who is in a channel is whoever is, at any server: whoever watches is told, and a list has all.
func TestClusterPresence(t *testing.T) {
	t.Parallel()
	k := startSeveral(t, 3, Config{Dev: true})
	watcher := mustTalk(t, k.servers[0], "ws", "")
	watcher.must("subscribe", `{"channel":"room","presence":true}`, nil)
	if h := watcher.next(); h.name != "present" || !strings.Contains(h.body, `"clients":1`) {
		t.Errorf("told %+v", h)
	}
	other := mustTalk(t, k.servers[1], "socket.io", "")
	other.must("subscribe", `{"channel":"room","presence":true}`, nil)
	if h := other.next(); h.name != "present" || !strings.Contains(h.body, `"clients":2`) {
		t.Errorf("who comes to another server is told %+v", h)
	}
	if h := watcher.next(); h.name != "join" || !strings.Contains(h.body, `"clients":2`) {
		t.Errorf("told %+v", h)
	}
	for i := range k.servers {
		if p := do[apiPresence](k.at(t, i), 200, "presence?channel=room", ""); p.Clients != 2 || len(p.Members) != 2 || len(p.Missing) > 0 {
			t.Errorf("server %d says %+v", i, p)
		}
	}
	other.must("unsubscribe", `{"channel":"room"}`, nil)
	if h := watcher.next(); h.name != "leave" || !strings.Contains(h.body, `"clients":1`) {
		t.Errorf("told %+v", h)
	}
}
