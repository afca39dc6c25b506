package ws_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"baro.dev/internal/eventloop/eventlooptest"
	"baro.dev/ws"
)

// simTrial is a Server on a simulated kernel, and peers, all of which do whatever a random generator says.
type simTrial struct {
	*simulation
	t         *testing.T
	rng       *rand.Rand
	inline    bool
	free      bool // the loops run while the peers act; otherwise only in between
	extension string
	peers     []*simPeer
	published atomic.Int64

	mu        sync.Mutex // held to change peers
	writes    *rand.Rand // guarded by mu, as is
	bySockets map[*eventlooptest.Socket]*simPeer
}

func newSimTrial(t *testing.T, seed uint64) *simTrial {
	rng := rand.New(rand.NewPCG(seed, 3))
	r := &simTrial{t: t, rng: rng, inline: rng.IntN(2) == 0, free: rng.IntN(3) == 0, writes: rand.New(rand.NewPCG(seed, 4))}
	r.bySockets = map[*eventlooptest.Socket]*simPeer{}
	if rng.IntN(4) == 0 {
		r.extension = []string{takeover, noTakeover}[rng.IntN(2)]
	}
	server := &ws.Server{
		Inline: r.inline,
		Options: ws.AcceptOptions{
			Compression: compression(r.extension),
			Queue: ws.Queue{
				MaxBytes: []int{0, 3_000, 30_000}[rng.IntN(3)],
				Full:     []ws.Policy{ws.Close, ws.Drop}[rng.IntN(2)],
			},
			Keepalive: ws.Keepalive{Interval: []time.Duration{-1, 0, 2 * time.Second}[rng.IntN(3)]},
		},
		OnOpen:    r.onOpen,
		OnMessage: r.onMessage,
		OnClose:   r.onClose,
	}
	r.simulation = newSimulation(server, 1+rng.IntN(2), 0)
	shuffle := rand.New(rand.NewPCG(seed, 5))
	r.sys.Shuffle = shuffle.Shuffle
	r.sys.BeforeWrite, r.sys.AfterShort = r.interfere, r.interfere
	if !r.inline && rng.IntN(3) == 0 {
		server.Options.CheckOrigin = func(*http.Request) error {
			time.Sleep(time.Duration(rand.IntN(3)) * time.Second)
			return nil
		}
	}
	if r.free {
		r.sys.Resume()
	}
	return r
}

// interfere now and then does something at the worst of times: just before a write, or when it has been cut short.
func (r *simTrial) interfere(c *eventlooptest.Socket) {
	r.mu.Lock()
	p := r.bySockets[c]
	n, what := r.writes.IntN(400), r.writes.IntN(60)
	r.mu.Unlock()
	switch {
	case what < 8 && c.Limited():
		c.Room(n)
	case what == 8 && n < 40 && p.conn.Load() != nil:
		p.troubled.Store(true)
		p.conn.Load().CloseNow()
	case what == 9 && n < 40:
		p.troubled.Store(true)
		c.Reset()
	case what > 20:
		return
	}
	for range n % 50 { // the loop may have noticed before the writer goes on
		runtime.Gosched()
	}
}

// settle has everything happen that is going to without anybody doing more.
func (r *simTrial) settle(wait time.Duration) {
	r.sys.Resume()
	if wait > 0 {
		time.Sleep(wait)
	}
	synctest.Wait()
	if !r.free {
		r.sys.Pause()
	}
}

// step has peers, and the application, do something.
func (r *simTrial) step() {
	if len(r.peers) < 6 && (len(r.peers) == 0 || r.rng.IntN(6) == 0) {
		r.connect()
	}
	for range r.rng.IntN(8) {
		r.poke(r.peers[r.rng.IntN(len(r.peers))])
	}
	r.settle(0)
	if r.rng.IntN(6) == 0 {
		r.stuck()
		r.settle(time.Duration(r.rng.Int64N(int64(4 * time.Second))))
		r.stuck()
		for _, p := range r.peers {
			r.checkFlow(p)
		}
	}
}

// connect has one peer more, whose request comes in one piece or in several.
func (r *simTrial) connect() {
	p := newSimPeer(r.rng, fmt.Sprint(len(r.peers)), r.extension)
	p.socket = r.sys.Open()
	r.mu.Lock()
	r.bySockets[p.socket] = p
	r.peers = append(r.peers, p)
	r.mu.Unlock()
	if err := r.server.Visit(p.socket.Fd()); err != nil {
		r.t.Fatal(err)
	}
	switch r.rng.IntN(12) {
	case 0, 1, 2, 3:
	case 4: // it goes away in the middle of its request
		p.feed(r.rng.IntN(len(p.request)))
		p.troubled.Store(true)
		p.socket.End()
	default:
		p.feed(len(p.request) + r.rng.IntN(len(p.pending)-len(p.request)+1))
	}
}

// stuck notes which peers do not read while time passes: they may be cut.
func (r *simTrial) stuck() {
	for _, p := range r.peers {
		if !p.socket.HasRoom() {
			p.troubled.Store(true)
		}
	}
}

func (r *simTrial) poke(p *simPeer) {
	c := p.conn.Load()
	switch n := r.rng.IntN(30); {
	case n < 12:
		p.feed(1 + r.rng.IntN([]int{10, 300, 3_000, 100_000}[r.rng.IntN(4)]))
	case n < 20:
		if p.socket.Limited() || c != nil && r.rng.IntN(10) == 0 {
			p.socket.Room(r.rng.IntN([]int{10, 300, 3_000, 100_000}[r.rng.IntN(4)]))
		}
	case n < 22:
		p.socket.Spurious([]uint32{eventlooptest.In, eventlooptest.Out, eventlooptest.HungUp}[r.rng.IntN(3)])
	case n == 22:
		r.publish()
	case c == nil:
	case n < 26:
		p.send("outside", r.rng.IntN(500), func(text string) error { return c.Send(ws.Binary, []byte(text)) })
	case n == 26 && r.rng.IntN(6) == 0:
		p.troubled.Store(true)
		c.Close(1001, "")
	case n == 27 && r.rng.IntN(10) == 0:
		p.troubled.Store(true)
		c.CloseNow()
	case n == 28 && r.rng.IntN(4) == 0:
		p.troubled.Store(true)
		p.socket.End()
	case n == 29 && r.rng.IntN(6) == 0:
		p.troubled.Store(true)
		p.socket.Reset()
	}
}

// finish ends the trial in one of several ways.
func (r *simTrial) finish() {
	for _, p := range r.peers {
		if r.rng.IntN(8) == 0 {
			p.troubled.Store(true) // it never reads again
		} else {
			p.socket.Room(eventlooptest.Unlimited)
		}
		p.feed(len(p.pending))
	}
	r.settle(3 * time.Minute) // handlers may sleep for long
	for _, p := range r.peers {
		r.checkFlow(p)
		r.checkRead(p)
	}
	switch r.rng.IntN(3) {
	case 0:
		over := make(chan error)
		go func() { over <- r.server.Shutdown(context.Background()) }()
		r.free = true
		r.settle(0)
		for _, p := range r.peers {
			p.socket.Feed(wireBytes(true, closeFrame(1001, "")))
		}
		if err := <-over; err != nil {
			r.t.Errorf("Shutdown: %v", err)
		}
	case 1:
		r.settle(24 * time.Hour)
	}
	r.server.Close()
	r.sys.Resume()
	time.Sleep(time.Hour)
	synctest.Wait()
	r.end(r.t)
}

// A server, whatever its peers, its handlers and its kernel do, and when: handlers are called one after another, OnClose
// once, what is sent is a valid sequence of frames, in order, and nothing is left in the end.
func TestSimulatedPeers(t *testing.T) {
	seeds := 400
	if testing.Short() || raceEnabled {
		seeds = 80
	}
	for seed := range seeds {
		synctest.Test(t, func(t *testing.T) {
			r := newSimTrial(t, uint64(seed))
			for range 40 {
				r.step()
			}
			r.finish()
			for _, p := range r.peers {
				r.check(p)
			}
			if t.Failed() {
				t.Logf("seed %d: inline %v, free %v, %q, %+v", seed, r.inline, r.free, r.extension, r.server.Options.Queue)
			}
		})
		if t.Failed() {
			return
		}
	}
}
