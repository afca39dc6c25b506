package natsbroker_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"baro.dev/channel"
	"baro.dev/channel/natsbroker"
	"baro.dev/internal/testkit"
	"baro.dev/internal/testkit/brokers/embedded"
)

// remake deletes the stream, and has b make it again, with a record of another channel.
func remake(t *testing.T, url string, b channel.Broker) {
	t.Helper()
	js := stream(t, url)
	eventually(t, "the bounds have grown", func() bool { return info(t, url).Config.MaxMsgsPerSubject >= int64(many.Count) })
	grown(t, js, "BARO_CHANNELS")
	if err := js.DeleteStream(context.Background(), "BARO_CHANNELS"); err != nil {
		t.Fatal(err)
	}
	put(t, b, "the first of all", text("x"))
}

// The bounds of the stream grow, though NATS did not answer when they were to, and when somebody has made the stream again with those of others.
func TestBoundsGrowLater(t *testing.T) {
	t.Parallel()
	url := embedded.NATS(t, 1)[0].URL
	way := newProxy(t, url)
	b := open(t, way.url, natsbroker.Options{})
	put(t, b, "c", text("before"))
	grown(t, stream(t, url), "BARO_CHANNELS")
	more := channel.Keep{Count: 100_000, Bytes: 64 << 20, Age: time.Hour}
	way.lose("STREAM.UPDATE")
	if a := testkit.Within(t, "an answer", start(b, "c", text("more"), more)); a.err != nil {
		t.Fatal(a.err)
	}
	eventually(t, "the stream could not grow", func() bool { return b.Err() != nil })
	way.lose("")
	grows := func() bool { return info(t, url).Config.MaxMsgsPerSubject >= 100_000 }
	eventually(t, "the stream has more room", grows)

	remake(t, url, open(t, url, natsbroker.Options{}))
	eventually(t, "it has again", grows)
}

// Who has published where another stream was knows nothing of this one: what is in it is gone on from, and stays.
func TestRemade(t *testing.T) {
	t.Parallel()
	url := embedded.NATS(t, 1)[0].URL
	a := open(t, url, natsbroker.Options{})
	put(t, a, "another", text("x"))
	put(t, a, "c", text("old")) // the second
	remake(t, url, a)
	b := open(t, url, natsbroker.Options{})
	other := put(t, b, "c", text("other's")).Message.Position() // likewise
	next := put(t, a, "c", text("next")).Message.Position()
	if next.Epoch != other.Epoch || next.Offset != other.Offset+1 {
		t.Errorf("after %s comes %s", other, next)
	}
}

// What is purged is what is not kept any more, and nothing of a stream that was made since.
func TestRemadeTrim(t *testing.T) {
	t.Parallel()
	url := embedded.NATS(t, 1)[0].URL
	few := channel.Keep{Count: 10, Bytes: 1 << 20, Age: time.Hour}
	a, b := open(t, url, natsbroker.Options{}), open(t, url, natsbroker.Options{})
	var old channel.Position
	for range 200 { // further than the next stream comes
		old = put(t, a, "another", text("x")).Message.Position()
	}
	if r := testkit.Within(t, "an answer", start(a, "c", text("old"), few)); r.err != nil {
		t.Fatal(r.err)
	}
	remake(t, url, b)
	var answers []<-chan answer
	for range 4000 { // in few records
		answers = append(answers, start(b, "c", &channel.Message{Data: make([]byte, 200), Binary: true}, channel.Keep{Count: 10_000, Bytes: 64 << 20, Age: time.Hour}))
	}
	for _, c := range answers {
		if r := testkit.Within(t, "an answer", c); r.err != nil {
			t.Fatal(r.err)
		}
	}
	for range 2 {
		if r := testkit.Within(t, "an answer", start(a, "c", text("new"), few)); r.err != nil {
			t.Fatal(r.err)
		}
	}
	for range 20 { // a purge would have been asked for before
		put(t, b, "c", text("more"))
	}
	if i := info(t, url); i.State.LastSeq >= old.Offset {
		t.Fatalf("the stream is as far as the old one: %d", i.State.LastSeq)
	}
	if saved, err := b.Load("c", channel.Keep{}); err != nil || saved.Count < 30 || saved.Offset != 4022 {
		t.Errorf("%+v, %v", saved, err)
	}
}

// Who does not hear what the message with his key is may have put it there himself.
func TestDuplicateUncertain(t *testing.T) {
	servers := embedded.NATS(t, 3) // of which one looks at the key first
	way := newProxy(t, servers[0].URL)
	nc, err := nats.Connect(way.url, nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond), nats.IgnoreDiscoveredServers())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	a, err := natsbroker.Open(t.Context(), nc, &natsbroker.Options{Replicas: 3, Timeout: 4 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b := open(t, servers[0].URL, natsbroker.Options{Replicas: 3})
	there := put(t, a, "c", text("before")).Message.Position()
	f := follow(t, b, "c")
	way.block()
	unheard := start(a, "c", &channel.Message{Key: "k", Data: []byte("x")}, many)
	there.Offset++
	f.until(t, there)
	way.lose(".GET.")
	way.cut()
	way.open()
	if r := testkit.Within(t, "an answer", unheard); !errors.Is(r.err, channel.ErrUncertain) {
		t.Errorf("it is there, and its publisher was told %v", r.err)
	}
}
