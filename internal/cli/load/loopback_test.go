package load

import (
	"context"
	"errors"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"baro.dev/internal/cli/target"
	"baro.dev/ws"
)

// echoServer is one over loopback. A client may be far behind with reading.
func echoServer(t *testing.T, secure bool) Target {
	limits := &ws.Server{
		Options:   ws.AcceptOptions{Queue: ws.Queue{MaxBytes: 64 << 20}},
		OnMessage: func(c *ws.Socket, m ws.Message) { _ = c.Send(m.Type, m.Data) },
	}
	limits.Options.Limits.MaxMessageSize = 8 << 20
	s := httptest.NewUnstartedServer(limits)
	if secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(func() { limits.Close(); s.Close() })
	flags := target.Options{Insecure: true, Proxy: "none"}
	at, err := flags.Target(strings.Replace(s.URL, "http", "ws", 1))
	if err != nil {
		t.Fatal(err)
	}
	to, err := From(at)
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// What is measured over sockets adds up, in both loops, with many small messages and few that the kernel does not take at once; over TLS
// as well.
func TestLoopback(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]Options{
		"closed":        {Connections: 20, Workers: 2},
		"in flight":     {Connections: 3, InFlight: 100, Size: 200},
		"open":          {Connections: 20, Rate: 2000, Workers: 2, Binary: true},
		"large":         {Connections: 2, InFlight: 3, Size: 2 << 20},
		"large, behind": {Connections: 1, Rate: 50, Size: 2 << 20},
	} {
		for _, secure := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				o := o
				o.Target, o.Scenario, o.MaxErrors = echoServer(t, secure), Echo, -1
				o.WarmUp, o.Duration, o.Drain = 20*time.Millisecond, 300*time.Millisecond, time.Minute
				r, err := Run(t.Context(), o)
				for n := 0; n < 5 && err == nil && r.Messages == 0; n++ { // the machine stood still, or is slow
					o.Duration *= 2
					r, err = Run(t.Context(), o)
				}
				if err != nil {
					t.Fatal(err)
				}
				if r.Messages == 0 || r.Lost+r.Duplicated+r.Reordered+r.ErrorCount != 0 || r.Connections != max(o.Connections, 1) {
					t.Errorf("%+v", r)
				}
				if o.Rate > 0 && r.Messages+r.Unsent != int64(o.Rate*o.Duration.Seconds()) {
					t.Errorf("%d messages, %d not sent, of %g a second", r.Messages, r.Unsent, o.Rate)
				}
				if want := r.Messages * int64(max(o.Size, 64)); r.BytesIn < want || r.BytesOut < want {
					t.Errorf("%d bytes in and %d out for at least %d", r.BytesIn, r.BytesOut, want)
				}
			})
		}
	}
}

// Buckets have all that there is, in order.
func TestBuckets(t *testing.T) {
	h := newHistogram()
	for _, v := range []int64{1, 3, 3, 700, 1500, 1500, 40_000, 3e9} {
		record(h, v)
	}
	total, last := int64(0), time.Duration(0)
	for _, b := range bucketsOf(h) {
		if b.To <= last {
			t.Errorf("%v behind %v", b.To, last)
		}
		total, last = total+b.Count, b.To
	}
	if total != 8 || last != 5*time.Second {
		t.Errorf("%v", bucketsOf(h))
	}
}

// A generator that is the bottleneck says so.
func TestJudge(t *testing.T) {
	for _, c := range []struct {
		name       string
		ran, empty time.Duration
		late       time.Duration
		bottleneck bool
	}{
		{"well", 5 * time.Second, 100 * time.Millisecond, time.Millisecond, false},
		{"busy", 9500 * time.Millisecond, 0, 0, true},
		{"hungry", time.Second, 2 * time.Second, 0, true},
		{"late", time.Second, 0, 5 * time.Millisecond, true},
	} {
		w := newWorker(time.Now(), &failures{}, newSleeper())
		w.marked = []times{{}, {c.ran, c.empty}}
		r := &run{o: &Options{Scenario: Echo}, workers: []*worker{w}, result: &Result{Seconds: 10}}
		r.judge(&Latency{P99: c.late})
		if r.result.Generator.Bottleneck != c.bottleneck || len(r.result.Notes) > 0 != c.bottleneck {
			t.Errorf("%s: %+v, %q", c.name, r.result.Generator, r.result.Notes)
		}
	}
}

// Much load on a server of the internet takes a word; on one's own none.
func TestImpolite(t *testing.T) {
	lookup := func(_ context.Context, _, host string) ([]netip.Addr, error) {
		if a, err := netip.ParseAddr(host); err == nil {
			return []netip.Addr{a}, nil
		}
		return []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("203.0.113.5")}, nil
	}
	for _, c := range []struct {
		host     string
		o        Options
		impolite bool
	}{
		{"127.0.0.1", Options{Connections: 10_000}, false},
		{"[::1]", Options{Connections: 10_000}, false},
		{"192.168.1.5", Options{Connections: 10_000}, false},
		{"[fd00::1]", Options{Connections: 10_000}, false},
		{"100.64.1.1", Options{Connections: 10_000}, false},
		{"203.0.113.5", Options{Connections: 10}, true},
		{"203.0.113.5", Options{Connections: 50, Rate: 100}, false},
		{"203.0.113.5", Options{Connections: 51, Rate: 100}, true},
		{"203.0.113.5", Options{Connections: 50, Rate: 101}, true},
		{"203.0.113.5", Options{Connections: 50, Rate: 1, Scenario: Reconnect}, true},
		{"example.com", Options{Connections: 10_000}, true},
		{"[::ffff:203.0.113.5]", Options{Connections: 10_000}, true},
		{"[2001:db8::1]", Options{Connections: 10_000}, true},
	} {
		c.o.Target.URL = &url.URL{Scheme: "ws", Host: c.host}
		err := Impolite(t.Context(), &c.o, lookup)
		if _, ok := errors.AsType[*UsageError](err); ok != c.impolite {
			t.Errorf("%s, %+v: %v", c.host, c.o, err)
		}
	}
}

// Progress is a line that is written anew on a terminal, and lines elsewhere.
func TestPrinter(t *testing.T) {
	p := Progress{Phase: "measuring", Elapsed: 2 * time.Second, Of: 10 * time.Second, Connections: 1000, PerSecond: 12345, P50: time.Millisecond, P99: 2 * time.Millisecond, Errors: 3}
	const want = "measuring 2s of 10s, 1,000 connections, 12,345/s, p50 1ms, p99 2ms, 3 errors"
	var b strings.Builder
	pipe := &Printer{To: &b}
	pipe.Print(p)
	pipe.End()
	if b.String() != want+"\n" {
		t.Errorf("%q", b.String())
	}
	b.Reset()
	narrow := &Printer{To: &b, Columns: 20}
	narrow.Print(p)
	narrow.End()
	if b.String() != "\r\x1b[K"+want[:19]+"\r\x1b[K" {
		t.Errorf("%q", b.String())
	}
}
