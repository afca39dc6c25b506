package interop

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	sio "baro.dev/socketio/client"
)

// A breaker dials connections to a server, which may change, and breaks them.
type breaker struct {
	mu      sync.Mutex
	address string
	open    map[net.Conn]bool
}

func (b *breaker) to(url string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.address = strings.TrimPrefix(url, "http://")
}

func (b *breaker) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	b.mu.Lock()
	address := b.address
	b.mu.Unlock()
	c, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open[c] = true
	return c, nil
}

// breakAll breaks what is open, and returns how many that were.
func (b *breaker) breakAll() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := len(b.open)
	for c := range b.open {
		_ = c.(*net.TCPConn).SetLinger(0) // RST
		c.Close()
	}
	clear(b.open)
	return n
}

// TestSocketIOClientCuts breaks the connections of our client at random moments: nothing that it sends is lost while it tries again, in
// the order in which it was sent (the first time that it comes), and what it receives has no gap where it says that it has recovered.
func TestSocketIOClientCuts(t *testing.T) {
	reconnects := int64(60)
	if os.Getenv("BARO_PROOF") != "" {
		reconnects = 2000
	}
	for _, server := range socketIOs() {
		for _, transports := range transports {
			t.Run(server.name+"/"+strings.Join(transports, " to "), func(t *testing.T) {
				t.Parallel()
				cuts(t, server.start(t, "clients"), transports, reconnects)
			})
		}
	}
}

// A listener is what a client in a room has heard.
type listener struct {
	last      int // number; -1: it does not know where it is
	recovered int
	anew      int
	wrong     error
}

func cuts(t *testing.T, url string, transports []string, reconnects int64) {
	b := &breaker{open: map[net.Conn]bool{}}
	b.to(url)
	g := &goClient{T: t, url: url}
	s := g.dial(t, "", func(o *sio.Options) {
		o.Engine.Transports, o.Engine.DialContext, o.Engine.Path = transports, b.dial, "/recovery/"
		o.Retries, o.AckTimeout = 1_000_000, 2*time.Second
		o.ReconnectionDelay, o.ReconnectionDelayMax = time.Millisecond, 10*time.Millisecond
	})
	var connects atomic.Int64
	heard := listener{last: -1} // by handlers, one after another; by the test when the client has ended
	s.OnConnect(func() {
		connects.Add(1)
		if s.Recovered() {
			heard.recovered++
			return
		}
		heard.anew++
		heard.last = -1
		go func() { _ = s.Emit("join", "notes") }() // in its turn
	})
	s.On("noted", func(e *sio.Event) {
		var i int
		if err := e.Bind(&i); err != nil {
			heard.wrong = errors.Join(heard.wrong, err)
		}
		if heard.last >= 0 && i != heard.last+1 {
			heard.wrong = errors.Join(heard.wrong, fmt.Errorf("after note %d came %d", heard.last, i))
		}
		heard.last = i
	})
	if err := s.Connect(inTime(t)); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var sent int
	var done sync.WaitGroup
	done.Go(func() {
		for ; ; sent++ {
			select {
			case <-stop:
				return
			default:
			}
			if err := sio.Call(t.Context(), s, "note", nil, "notes", sent); err != nil {
				t.Errorf("note %d: %v", sent, err)
				return
			}
		}
	})
	for deadline := time.Now().Add(20 * patience); connects.Load() <= reconnects && time.Now().Before(deadline) && !t.Failed(); {
		before := connects.Load()
		time.Sleep(rand.N(20 * time.Millisecond)) // at a random moment
		b.breakAll()
		for connects.Load() == before && rand.IntN(4) > 0 && time.Now().Before(deadline) {
			time.Sleep(time.Millisecond) // mostly it is let come back
		}
	}
	close(stop)
	done.Wait()
	if n := connects.Load(); n <= reconnects {
		t.Fatalf("it has come back %d times", n)
	}
	var noted []int
	tell(t, s, &noted, "notes", "notes")
	first, late := 0, 0
	for i, n := range noted {
		switch {
		case n == first:
			first++
		case n > first:
			t.Fatalf("where note %d should be the server has %d", first, n)
		case i > 0 && n < noted[i-1]:
			late++ // of a connection that the server has not known to be broken: it has read there when another one was there already
		}
	}
	if first != sent {
		t.Errorf("the server has %d notes, %d were acknowledged", first, sent)
	}
	_ = s.Close()
	within(t, "the end", s.Manager().Done())
	if heard.wrong != nil {
		t.Error(heard.wrong)
	}
	t.Logf("%d notes, came %d times, %d of them late; %d reconnects: %d recovered, %d anew", sent, len(noted), late, connects.Load()-1, heard.recovered, heard.anew-1)
}

// TestSocketIOClientRestart has the server go, and another one come, which knows nothing of the client.
func TestSocketIOClientRestart(t *testing.T) {
	for _, server := range socketIOs() {
		for _, transports := range transports {
			t.Run(server.name+"/"+strings.Join(transports, " to "), func(t *testing.T) {
				t.Parallel()
				first := server.start(t, "clients")
				b := &breaker{open: map[net.Conn]bool{}}
				b.to(first)
				g := &goClient{T: t, url: first}
				s := g.ready(t, "", func(o *sio.Options) { o.Engine.Transports, o.Engine.DialContext = transports, b.dial })
				back := make(chan string, 1)
				id := s.ID()
				s.OnConnect(func() { back <- s.ID() })
				b.to("http://127.0.0.1:1") // nobody is there
				failed := make(chan error, 1000)
				s.Manager().OnReconnectError(func(err error) { failed <- err })
				b.breakAll()
				for range 3 {
					within(t, "an error", failed)
				}
				if err := s.Emit("count", 0); err != nil {
					t.Fatal(err)
				}
				b.to(server.start(t, "clients"))
				for again := within(t, "the connection", back); again == id; {
					again = within(t, "the connection", back) // the first, of which the handler was told late
				}
				var counted struct{ Next, Wrong int }
				if tell(t, s, &counted, "counted"); counted.Next != 1 {
					t.Errorf("what waited for the second server: %+v", counted)
				}
			})
		}
	}
}
