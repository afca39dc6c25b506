package natsbroker_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"baro.dev/channel"
	"baro.dev/channel/natsbroker"
	"baro.dev/internal/testkit/brokers/embedded"
)

var keepMany = channel.Keep{Count: 1000, Bytes: 4 << 20, Age: time.Hour}

// appendN appends n messages to a channel, at most window of them unacknowledged.
func appendN(b *testing.B, broker channel.Broker, name func(i int) string, n, window int) {
	slots := make(chan struct{}, window)
	var failed atomic.Int64
	data := make([]byte, 100)
	for i := range n {
		slots <- struct{}{}
		broker.Append(name(i), &channel.Message{Data: data, Binary: true}, keepMany, func(_ channel.Appended, err error) {
			if err != nil {
				failed.Add(1)
			}
			<-slots
		})
	}
	for range window {
		slots <- struct{}{}
	}
	if failed.Load() > 0 {
		b.Errorf("%d of %d were not appended", failed.Load(), n)
	}
}

func one(name string) func(int) string { return func(int) string { return name } }

func BenchmarkAppend(b *testing.B) {
	for _, servers := range []int{1, 3} {
		url := embedded.NATS(b, servers)[0].URL
		broker := open(b, url, natsbroker.Options{Replicas: servers})
		other := open(b, url, natsbroker.Options{Replicas: servers})
		third := open(b, url, natsbroker.Options{Replicas: servers})
		js, err := jetstream.New(connect(b, url), jetstream.WithPublishAsyncMaxPending(256))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := js.CreateStream(context.Background(), jetstream.StreamConfig{Name: "RAW", Subjects: []string{"raw.>"}, Replicas: servers, MaxMsgsPerSubject: 1000}); err != nil {
			b.Fatal(err)
		}
		run := func(name string, f func(b *testing.B)) {
			b.Run(fmt.Sprintf("servers=%d/%s", servers, name), func(b *testing.B) {
				f(b)
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
			})
		}
		run("js.Publish/one in flight", func(b *testing.B) {
			for b.Loop() {
				if _, err := js.Publish(context.Background(), "raw.a", make([]byte, 100)); err != nil {
					b.Fatal(err)
				}
			}
		})
		run("js.PublishAsync/256 in flight", func(b *testing.B) {
			for b.Loop() {
				if _, err := js.PublishAsync("raw.a", make([]byte, 100)); err != nil {
					b.Fatal(err)
				}
			}
			<-js.PublishAsyncComplete()
		})
		run("one channel/one in flight", func(b *testing.B) { appendN(b, broker, one("a"), b.N, 1) })
		run("one channel/256 in flight", func(b *testing.B) { appendN(b, broker, one("a"), b.N, 256) })
		run("256 channels/256 in flight", func(b *testing.B) {
			appendN(b, broker, func(i int) string { return fmt.Sprint(i % 256) }, b.N, 256)
		})
		var fresh atomic.Int64
		run("new channels/256 in flight", func(b *testing.B) {
			appendN(b, broker, func(int) string { return fmt.Sprint("new ", fresh.Add(1)) }, b.N, 256)
		})
		run("one channel, three processes/3×32 in flight", func(b *testing.B) {
			var wg sync.WaitGroup
			var counts [3]atomic.Int64
			var left atomic.Int64
			left.Store(int64(b.N))
			for i, broker := range []channel.Broker{broker, other, third} {
				wg.Go(func() {
					slots := make(chan struct{}, 32)
					for left.Add(-1) >= 0 {
						slots <- struct{}{}
						broker.Append("shared", &channel.Message{Data: make([]byte, 100), Binary: true}, keepMany, func(_ channel.Appended, err error) {
							if err != nil {
								b.Error(err)
							}
							counts[i].Add(1)
							<-slots
						})
					}
					for range cap(slots) {
						slots <- struct{}{}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(min(counts[0].Load(), counts[1].Load(), counts[2].Load()))/float64(b.N)*100, "%least")
		})
		b.Logf("%+v %+v", broker.Stats(), other.Stats())
	}
}

// counting is a feed that counts.
type counting struct {
	n    atomic.Int64
	wake chan struct{}
}

func (c *counting) Messages(messages []*channel.Message) {
	c.n.Add(int64(len(messages)))
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *counting) Lost(channel.Saved) {}

// BenchmarkFollow is from Append in one process to the feed of another.
func BenchmarkFollow(b *testing.B) {
	url := embedded.NATS(b, 1)[0].URL
	broker, other := open(b, url, natsbroker.Options{}), open(b, url, natsbroker.Options{})
	f := &counting{wake: make(chan struct{}, 1)}
	if _, err := other.Follow("a", keepMany, f); err != nil {
		b.Fatal(err)
	}
	until := func(n int64) {
		for f.n.Load() < n {
			<-f.wake
		}
	}
	b.Run("raw/one at a time", func(b *testing.B) {
		js := stream(b, url)
		if _, err := js.CreateStream(context.Background(), jetstream.StreamConfig{Name: "RAWF", Subjects: []string{"rawf.>"}, MaxMsgsPerSubject: 1000,
			RePublish: &jetstream.RePublish{Source: "rawf.>", Destination: "rawr.>"}}); err != nil {
			b.Fatal(err)
		}
		heard := make(chan *nats.Msg, 1)
		if _, err := connect(b, url).ChanSubscribe("rawr.>", heard); err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if _, err := js.PublishAsync("rawf.a", make([]byte, 100)); err != nil {
				b.Fatal(err)
			}
			<-heard
		}
	})
	b.Run("one at a time", func(b *testing.B) {
		for b.Loop() {
			before := f.n.Load()
			broker.Append("a", &channel.Message{Data: make([]byte, 100), Binary: true}, keepMany, func(channel.Appended, error) {})
			until(before + 1)
		}
	})
	b.Run("256 in flight", func(b *testing.B) {
		before := f.n.Load()
		appendN(b, broker, one("a"), b.N, 256)
		until(before + int64(b.N))
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
	})
}
