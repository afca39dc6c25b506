package ws_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"baro.dev/internal/eventloop"
	"baro.dev/internal/eventloop/eventlooptest"
	"baro.dev/ws"
)

// simEcho has messages echoed on many simulated connections at once, so many in flight on each: what the engine does,
// without what a real kernel would.
type simEcho struct {
	sys     *eventlooptest.System
	sockets []*eventlooptest.Socket
	in      []byte
	out     int // bytes that answer it
	left    int // of them, by all
	done    chan struct{}
}

// simConns is how many connections are sent something at once: as many as one turn handles.
const simConns = 256

const simPayload = 64

func newSimEcho(sys *eventlooptest.System, depth int) *simEcho {
	frame := binaryFrame(strings.Repeat("x", simPayload))
	e := &simEcho{
		sys: sys, in: bytes.Repeat(wireBytes(true, frame), depth), out: depth * (simPayload + 2),
		sockets: make([]*eventlooptest.Socket, simConns), done: make(chan struct{}, 1),
	}
	for i := range e.sockets {
		e.sockets[i] = sys.Open()
	}
	return e
}

// sink counts what is answered. It is called for one at a time.
func (e *simEcho) sink(_ *eventlooptest.Socket, p []byte) {
	if e.left -= len(p); e.left == 0 {
		e.done <- struct{}{}
	}
}

// round has every message echoed once.
func (e *simEcho) round() {
	e.left = simConns * e.out
	for _, c := range e.sockets {
		c.Feed(e.in)
	}
	e.sys.Run()
	<-e.done // handlers may have a goroutine
}

// openSimEcho opens the connections of a server.
func openSimEcho(t testing.TB, inline bool, depth int) (*simEcho, *simulation) {
	t.Helper()
	s := newSimulation(&ws.Server{
		Inline:    inline,
		Options:   ws.AcceptOptions{Keepalive: ws.Keepalive{Interval: -1}}, // no timers of the simulated kernel's either
		OnMessage: echoBack,
	}, 1, 0)
	e := newSimEcho(s.sys, depth)
	for _, c := range e.sockets {
		s.visit(t, c, with())
	}
	s.sys.Run()
	for _, c := range e.sockets {
		c.Output()
	}
	s.sys.Sink = e.sink
	return e, s
}

// BenchmarkSimulatedEcho is the cost of a message of 64 B, read, handled and answered, over a kernel that does next to
// nothing: what the raw loop takes of it, and what the engine adds, is seen by comparison.
func BenchmarkSimulatedEcho(b *testing.B) {
	for _, depth := range []int{1, 16} {
		run := func(name string, open func() (*simEcho, func())) {
			b.Run(fmt.Sprintf("%s/P%d", name, depth), func(b *testing.B) {
				e, end := open()
				defer end()
				e.round()
				b.ReportAllocs()
				messages := 0
				for b.Loop() {
					e.round()
					messages += simConns * depth
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(messages), "ns/message")
			})
		}
		run("Raw", func() (*simEcho, func()) { return openRawEcho(b, depth) })
		for name, inline := range map[string]bool{"Inline": true, "Server": false} {
			run(name, func() (*simEcho, func()) {
				e, s := openSimEcho(b, inline, depth)
				return e, func() { s.end(b) }
			})
		}
	}
}

// rawEcho answers with as many bytes as an echo of what it has read would have: the least that a server can do.
type rawEcho struct {
	eventloop.Conn
	in, out int
	answer  []byte
}

func (c *rawEcho) Ready(readable, _, _ bool) {
	buffer := c.Loop().Buffer
	if n, errno := c.Read(buffer); errno == 0 && n == c.in {
		c.Write(c.answer[:c.out], nil)
	}
}

func (c *rawEcho) Attend() {}
func (c *rawEcho) Flush()  {}
func (c *rawEcho) Expire() {}
func (c *rawEcho) Drain()  { c.Close() }

func openRawEcho(b *testing.B, depth int) (*simEcho, func()) {
	sys := eventlooptest.New()
	e := newSimEcho(sys, depth)
	sys.Sink = e.sink
	g := eventloop.NewGroup(1, sys.NewKernel, func(*eventloop.Loop) {})
	sys.Pause()
	for _, s := range e.sockets {
		c := &rawEcho{in: len(e.in), out: e.out, answer: make([]byte, e.out)}
		if err := g.Join(&c.Conn, c, s.Fd()); err != nil {
			b.Fatal(err)
		}
		if err := c.Start(); err != nil {
			b.Fatal(err)
		}
	}
	sys.Run()
	return e, func() {
		g.Close()
		sys.Resume()
	}
}

// An echo takes nothing from the heap, however many messages come at once.
func TestSimulatedEchoAllocates(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates, too, and has sync.Pool forget things")
	}
	noLeaks(t)
	for _, depth := range []int{1, 16} {
		e, s := openSimEcho(t, true, depth)
		e.round()
		// The collector may empty the pools once.
		if n := testing.AllocsPerRun(100, e.round); n > simConns/64 {
			t.Errorf("%d messages in flight: %v allocations for %d messages", depth, n, simConns*depth)
		}
		s.end(t)
	}
}
