package presence_test

import (
	"context"
	"testing"
	"time"

	"baro.dev/channel"
	"baro.dev/internal/cluster"
	"baro.dev/internal/cluster/membus"
)

// FuzzHear has one node say anything to another, which answers, or ignores it, and goes on.
func FuzzHear(f *testing.F) {
	for _, kind := range []string{"", "presence.pull", "presence.page", "presence.who", "presence.gap"} {
		for _, data := range []string{
			"\x01{}", "\x01" + `{"from":"FFFFFF","life":"x","seq":1,"joins":[{"c":"a","u":"b","i":{"c":1},"t":1}]}`,
			"\x01" + `{"from":"FFFFFF","life":"x","seq":9,"parts":["a"],"echo":true}`, "\x01" + `{"states":[{"n":"p/a","l":"x","s":3}]}`,
			"\x01" + `{"n":"p/a","after":"a","limit":3}`, "\x02{", "",
		} {
			f.Add(kind, []byte(data))
		}
	}
	w := new(membus.Network)
	n := newNode(f, w)
	n.join("p/a", "1", "ana")
	other := w.Bus()
	asker, err := cluster.Join(other, cluster.Options{ID: "FFFFFF"})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		_ = asker.Leave(context.Background())
		_ = other.Close()
	})
	for len(asker.Peers()) == 0 || len(n.node.Peers()) == 0 {
		time.Sleep(time.Millisecond)
	}
	f.Fuzz(func(t *testing.T, kind string, data []byte) {
		if kind == "" {
			_ = other.Publish("presence."+cluster.Word("p/a"), data)
		} else {
			_, _ = asker.Ask(t.Context(), n.node.ID(), kind, data)
		}
		p, err := n.Presence("p/a", 0)
		found := false
		for _, m := range p.Members {
			found = found || m.Client == "1" && m.User == "ana"
		}
		if err != nil || !found {
			t.Fatalf("%+v, %v", p, err)
		}
		if again, err := n.Publish("p/a", channel.Message{}); err != nil || again == nil {
			t.Fatal(err)
		}
	})
}
