//go:build linux

// Package load puts load on a server and measures what the server spends on it. It is meant never to be the bottleneck:
// one thread, epoll, frames built beforehand, replies counted and not decoded. The first reply of each connection is
// compared byte by byte, so that a server that is wrong is not measured.
package load

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"syscall"
	"time"

	"baro.dev/bench/internal/epoll"
)

// Target is a server on this machine.
type Target struct {
	Addr netip.AddrPort
	PID  int
	Raw  bool  // the server knows no WebSocket, and sends back what it gets
	From Place // where to load it from
	// Publish is another server where what reaches the clients of this one is published. Zero: it is this one.
	Publish netip.AddrPort
	// Free makes the server give back what memory it does not need.
	Free func() error

	path     string // what is asked for in an opening handshake
	protocol string // the subprotocol asked for
}

// publisher is where messages are published.
func (t Target) publisher() Target {
	if t.Publish.IsValid() {
		t.Addr = t.Publish
	}
	return t
}

// heardOf waits until the server where messages are published has heard, by the broker, what clients are in: no server says when.
func (t Target) heardOf() {
	if t.Publish.IsValid() {
		time.Sleep(time.Second)
	}
}

// Result is what a run measured. What does not apply is 0.
type Result struct {
	Messages  int           `json:"messages"` // echoed, delivered, acknowledged; connections in a churn
	Seconds   float64       `json:"seconds"`
	CPU       float64       `json:"cpu"` // seconds of processor time of the server
	P50       time.Duration `json:"p50,omitempty"`
	P99       time.Duration `json:"p99,omitempty"`
	P999      time.Duration `json:"p999,omitempty"`
	BytesIn   int64         `json:"bytes_in,omitempty"` // from the server
	RSS       int64         `json:"rss,omitempty"`      // bytes of the server's memory for each connection
	RSSFreed  int64         `json:"rss_freed,omitempty"`
	KernelMem int64         `json:"kernel,omitempty"` // bytes of the kernel's memory for each pair of sockets
	// Extensions are what the server agreed to.
	Extensions string `json:"extensions,omitempty"`
	// Beats are heartbeats answered.
	Beats int `json:"beats,omitempty"`
}

const (
	setupTimeout = 10 * time.Second // for each step of opening a connection
	wave         = 100              // connections opened at a time
	stall        = 15 * time.Second // without a reply from a server that owes one
)

// conn is one connection of the generator.
type conn struct {
	fd      int
	batch   []byte // what it sends at once
	unsent  []byte // what the kernel has not taken of it yet
	waiting int    // replies that have not come
	since   int64  // when the batch was sent
	in      counter
}

// generator is the thread that loads a server.
type generator struct {
	target Target
	start  time.Time
	poller *epoll.Poller
	conns  []conn
	buf    []byte
	random *rand.Rand
	// extensions are those that the server agreed to.
	extensions string
	// firstPublishes: the first connection is to where messages are published.
	firstPublishes bool

	latency  histogram
	messages int
	beats    int // heartbeats answered
	bytesIn  int64
}

func newGenerator(t Target) (*generator, error) {
	p, err := epoll.New(1024)
	if err != nil {
		return nil, err
	}
	return &generator{target: t, start: time.Now(), poller: p, buf: make([]byte, 256<<10), random: rand.New(rand.NewPCG(1, 2))}, nil
}

// now is in nanoseconds since the generator was made.
func (g *generator) now() int64 { return int64(time.Since(g.start)) }

func (g *generator) close() {
	for i := range g.conns {
		abort(g.conns[i].fd)
	}
	g.poller.Close()
}

// abort closes a socket with a reset, which leaves nothing behind in TIME_WAIT.
func abort(fd int) {
	_ = syscall.SetsockoptLinger(fd, syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1})
	epoll.Close(fd)
}

func (g *generator) key() (key [4]byte) {
	binary.NativeEndian.PutUint32(key[:], g.random.Uint32())
	return key
}

// watch makes the connections' descriptors non-blocking and the poller watch them.
func (g *generator) watch() error { return g.watchFrom(0) }

// watchFrom is watch for those from the first on.
func (g *generator) watchFrom(first int) error {
	for i := first; i < len(g.conns); i++ {
		if err := syscall.SetNonblock(g.conns[i].fd, true); err != nil {
			return err
		}
		if err := g.poller.Add(g.conns[i].fd, i, epoll.In); err != nil {
			return err
		}
	}
	return nil
}

// send starts to send the connection's batch.
func (g *generator) send(i int, b []byte) error {
	c := &g.conns[i]
	if len(c.unsent) > 0 {
		return errors.New("sending before the last batch has left")
	}
	c.unsent = b
	if err := g.flush(i); err != nil || len(c.unsent) == 0 {
		return err
	}
	return g.poller.Modify(c.fd, i, epoll.In|epoll.Out)
}

// flush sends as much as the kernel takes.
func (g *generator) flush(i int) error {
	c := &g.conns[i]
	n, errno := epoll.Write(c.fd, c.unsent)
	if errno != 0 && errno != syscall.EAGAIN {
		return fmt.Errorf("connection %d: write: %w", i, errno)
	}
	c.unsent = c.unsent[n:]
	return nil
}

// turn handles one event: it sends what was left to be sent and returns how many messages have come.
func (g *generator) turn(e syscall.EpollEvent) (messages int, err error) {
	i := int(e.Fd)
	c := &g.conns[i]
	if e.Events&epoll.Out != 0 {
		if err := g.flush(i); err != nil {
			return 0, err
		}
		if len(c.unsent) == 0 {
			if err := g.poller.Modify(c.fd, i, epoll.In); err != nil {
				return 0, err
			}
		}
	}
	if e.Events&(epoll.In|epoll.Error) == 0 {
		return 0, nil
	}
	n, errno := epoll.Read(c.fd, g.buf)
	switch {
	case errno == syscall.EAGAIN:
		return 0, nil
	case errno != 0:
		return 0, fmt.Errorf("connection %d: read: %w", i, errno)
	case n == 0:
		return 0, fmt.Errorf("connection %d: closed by the server", i)
	}
	g.bytesIn += int64(n)
	messages, err = c.in.feed(g.buf[:n])
	if err == nil && c.in.closed {
		err = errors.New("a close frame of the server")
	}
	if err != nil {
		return messages, fmt.Errorf("connection %d: %w", i, err)
	}
	if c.in.beats > 0 {
		return messages, g.beat(i)
	}
	return messages, nil
}

// ErrNoReply says that nothing came from the server in the time that was to be measured.
var ErrNoReply = errors.New("no reply while measuring")

// measure runs step again and again, first for a while to warm up, then for d, and takes the server's time in between.
// step returns after a few milliseconds at most, unless nothing comes from the server.
func (g *generator) measure(warmup, d time.Duration, step func() error) (Result, error) {
	var r Result
	if err := g.repeat(warmup, step); err != nil {
		return r, err
	}
	g.latency.reset()
	g.messages, g.bytesIn = 0, 0
	before, err := processCPU(g.target.PID)
	if err != nil {
		return r, err
	}
	begin := g.now()
	if err := g.repeat(d, step); err != nil {
		return r, err
	}
	after, err := processCPU(g.target.PID)
	if err != nil {
		return r, err
	}
	r = Result{
		Messages: g.messages, Seconds: time.Duration(g.now() - begin).Seconds(), CPU: (after - before).Seconds(),
		P50: g.latency.quantile(0.5), P99: g.latency.quantile(0.99), P999: g.latency.quantile(0.999), BytesIn: g.bytesIn,
	}
	if r.Messages == 0 {
		return r, ErrNoReply
	}
	return r, nil
}

func (g *generator) repeat(d time.Duration, step func() error) error {
	end, last, count := g.now()+int64(d), g.now(), g.messages
	for now := last; now < end; now = g.now() {
		if err := step(); err != nil {
			return err
		}
		if g.messages != count {
			count, last = g.messages, now
		} else if now-last > int64(stall) {
			return fmt.Errorf("no reply for %v", stall)
		}
	}
	return nil
}
