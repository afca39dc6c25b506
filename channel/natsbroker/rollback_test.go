package natsbroker_test

import (
	"context"
	"os"
	"testing"

	"baro.dev/channel"
	"baro.dev/channel/natsbroker"
	"baro.dev/internal/testkit/brokers/embedded"
)

// forget removes the newest n records of the only channel.
func forget(t *testing.T, url string, n uint64) {
	t.Helper()
	s, err := stream(t, url).Stream(context.Background(), "BARO_CHANNELS")
	if err != nil {
		t.Fatal(err)
	}
	i, err := s.Info(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for last := i.State.LastSeq; n > 0; n-- {
		if err := s.DeleteMsg(context.Background(), last-n+1); err != nil {
			t.Fatal(err)
		}
	}
}

// Where the stream has forgotten what it had acknowledged, the offsets of that are not given away again under the same epoch, and who
// was handed it is told, whether it is the publisher that knows, or only a follower.
func TestForgotten(t *testing.T) {
	for name, fresh := range map[string]bool{"the publisher knows": false, "a follower knows": true} {
		t.Run(name, func(t *testing.T) {
			url := embedded.NATS(t, 1)[0].URL
			a, b := open(t, url, natsbroker.Options{}), open(t, url, natsbroker.Options{})
			f := follow(t, a, "c")
			var last channel.Position
			for i := range 5 {
				last = put(t, b, "c", text("%d", i)).Message.Position()
			}
			f.until(t, last)
			forget(t, url, 2)
			publisher := b
			if fresh {
				publisher = open(t, url, natsbroker.Options{})
			}
			next := put(t, publisher, "c", text("new")).Message.Position()
			if !fresh && next.Epoch == last.Epoch {
				t.Errorf("after %s was forgotten came %s", last, next)
			}
			eventually(t, "who follows is told of another epoch", func() bool {
				f.mu.Lock()
				defer f.mu.Unlock()
				return f.at.Epoch != last.Epoch
			})
			if f.timesLost() == 0 {
				t.Error("nobody was told")
			}
			after := put(t, publisher, "c", text("after")).Message
			if got := f.until(t, after.Position()); string(got[len(got)-1].Data) != "after" {
				t.Errorf("the last is %q", got[len(got)-1].Data)
			}
		})
	}
}

// A server that comes back with what it had a while ago, as after a power loss, gives no place of a channel away twice.
func TestRolledBack(t *testing.T) {
	server := embedded.NATS(t, 1)[0]
	o := natsbroker.Options{}
	a := open(t, server.URL, o)
	for _, name := range []string{"c", "d"} {
		put(t, a, name, text("kept"))
	}
	server.Stop()
	before := t.TempDir()
	if err := os.CopyFS(before, os.DirFS(server.Dir)); err != nil {
		t.Fatal(err)
	}
	server.Restart()
	f := follow(t, a, "c")
	var last channel.Position
	for range 5 {
		for _, name := range []string{"d", "c"} {
			last = put(t, a, name, text("forgotten")).Message.Position()
		}
	}
	f.until(t, last)
	server.Stop()
	if err := os.RemoveAll(server.Dir); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(server.Dir, os.DirFS(before)); err != nil {
		t.Fatal(err)
	}
	server.Restart()
	// Another process, which knows nothing, goes on further than what was forgotten.
	fresh := open(t, server.URL, o)
	seen := map[channel.Position]string{}
	for _, m := range f.until(t, last) {
		seen[m.Position()] = string(m.Data)
	}
	for range 20 {
		put(t, fresh, "c", text("new"))
	}
	eventually(t, "the follower is told of another epoch", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.at.Epoch != last.Epoch
	})
	for _, m := range f.until(t, put(t, fresh, "c", text("after")).Message.Position()) {
		if was, there := seen[m.Position()]; there && was != string(m.Data) {
			t.Errorf("at %s is %q, and was %q", m.Position(), m.Data, was)
		}
		if string(m.Data) == "new" && m.Epoch == last.Epoch {
			t.Errorf("%q was handed over at %s", m.Data, m.Position())
		}
	}
}

// Who has published what was forgotten has the channel begin anew also where another process has put as much there since.
func TestRolledBackElsewhere(t *testing.T) {
	t.Parallel()
	server := embedded.NATS(t, 1)[0]
	a := open(t, server.URL, natsbroker.Options{})
	put(t, a, "c", text("kept"))
	server.Stop()
	before := t.TempDir()
	if err := os.CopyFS(before, os.DirFS(server.Dir)); err != nil {
		t.Fatal(err)
	}
	server.Restart()
	forgotten := put(t, a, "c", text("forgotten")).Message.Position()
	server.Stop()
	eventually(t, "it is known to be away", func() bool { return a.Err() != nil })
	if err := os.RemoveAll(server.Dir); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(server.Dir, os.DirFS(before)); err != nil {
		t.Fatal(err)
	}
	server.Restart()
	if other := put(t, open(t, server.URL, natsbroker.Options{}), "c", text("other's")).Message.Position(); other != forgotten {
		t.Fatalf("at %s was what is forgotten, and at %s is another", forgotten, other)
	}
	eventually(t, "it is known to be back", func() bool { return a.Err() == nil })
	if next := put(t, a, "c", text("next")).Message.Position(); next.Epoch == forgotten.Epoch {
		t.Errorf("after %s was forgotten, and given away again, came %s", forgotten, next)
	}
}
