package natsbroker

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"baro.dev/channel"
	"baro.dev/internal/testkit"
	"baro.dev/internal/testkit/brokers/embedded"
)

// opened is a broker on a server of its own, and another connection to that.
func opened(t *testing.T, o *Options, before func(*nats.Conn)) (*Broker, *nats.Conn) {
	t.Helper()
	url := embedded.NATS(t, 1)[0].URL
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	other, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(other.Close)
	if before != nil {
		before(other)
	}
	ctx, cancel := context.WithTimeout(context.Background(), testkit.Patience)
	defer cancel()
	b, err := Open(ctx, nc, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b, other
}

// A record is on its way once, though who sends again what was not answered looks at it before it is sent: of two at once one is refused,
// and where that is known first the messages would be put there once more.
func TestSentOnce(t *testing.T) {
	b, other := opened(t, nil, nil)
	sent, err := other.SubscribeSync("baro.p.*")
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Flush(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	e := &entry{m: &channel.Message{Data: []byte("once")}, done: func(_ channel.Appended, err error) { done <- err }, at: time.Now()}
	topic := b.topic("c")
	topic.mu.Lock()
	topic.queue, topic.known = []*entry{e}, true
	start := b.depart(topic)
	topic.mu.Unlock()
	b.check(topic, time.Now())
	start()
	if err := testkit.Within(t, "an answer", done); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(b.Close(), b.nc.Flush(), other.Flush()); err != nil {
		t.Fatal(err)
	}
	if n, _, err := sent.Pending(); n != 1 || err != nil {
		t.Errorf("it was sent %d times (%v)", n, err)
	}
}

// Somebody else who listens where records are published, and answers them, is not believed.
func TestAnsweredByOthers(t *testing.T) {
	b, other := opened(t, nil, nil)
	for _, answer := range []string{`ok`, `{}`, `{"seq":7}`, `{"stream":"MINE","seq":7}`, `{"stream":"BARO_CHANNELS","seq":7,"duplicate":true}`} {
		sub, err := other.Subscribe("baro.p.*", func(m *nats.Msg) { _ = m.Respond([]byte(answer)) })
		if err != nil {
			t.Fatal(err)
		}
		if err := other.Flush(); err != nil {
			t.Fatal(err)
		}
		for range 20 {
			done := make(chan channel.Appended, 1)
			b.Append("c", &channel.Message{Data: []byte(answer)}, channel.Keep{Count: 1000, Bytes: 1 << 20, Age: time.Hour}, func(a channel.Appended, err error) {
				if err != nil {
					t.Errorf("%s: %v", answer, err)
				}
				done <- a
			})
			a := testkit.Within(t, "an answer", done)
			if a.Message == nil {
				t.FailNow()
			}
			got, err := b.Read("c", a.Message.Epoch, a.Message.Offset-1, 1)
			if err != nil || len(got) != 1 || string(got[0].Data) != answer {
				t.Fatalf("%s: at %s is %+v, %v", answer, a.Message.Position(), got, err)
			}
		}
		if err := sub.Unsubscribe(); err != nil {
			t.Fatal(err)
		}
	}
}

// A channel that is followed is not forgotten, though the last that was published here has failed.
func TestRenewedAfterFailure(t *testing.T) {
	b, _ := opened(t, &Options{Remember: 2 * time.Second, VerifyEvery: 50 * time.Millisecond}, func(nc *nats.Conn) {
		js, err := jetstream.New(nc)
		if err != nil {
			t.Fatal(err)
		}
		_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{
			Name: "BARO_CHANNELS", Subjects: []string{"baro.p.*"}, MaxMsgsPerSubject: 1024, MaxMsgSize: 2 << 10, AllowDirect: true, AllowMsgTTL: true,
		})
		if err != nil {
			t.Fatal(err)
		}
	})
	saved, err := b.Follow("c", channel.Keep{}, make(handed, 10))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	b.Append("c", &channel.Message{Data: make([]byte, 4<<10)}, channel.Keep{}, func(_ channel.Appended, err error) { done <- err })
	if err := testkit.Within(t, "an answer", done); !errors.Is(err, ErrTooLarge) {
		t.Fatal(err)
	}
	for end := time.Now().Add(4 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if now, err := b.Load("c", channel.Keep{}); err != nil || now.Epoch != saved.Epoch {
			t.Fatalf("the epoch was %q, and is %q, %v", saved.Epoch, now.Epoch, err)
		}
	}
}
