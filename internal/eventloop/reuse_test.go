//go:build linux

package eventloop_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"baro.dev/internal/eventloop"
	"baro.dev/internal/testkit"
)

// tagged is a connection both of whose ends write nothing but its own tag, again and again, and read nothing else.
type tagged struct {
	*pair
	t     *testing.T
	group *eventloop.Group
	tag   [8]byte
	limit int // the probe closes after so many bytes

	mu     sync.Mutex // held by whoever writes to the probe's descriptor, or closes it
	closed bool

	read, wrote int // by the probe's side
	next        chan *tagged
	done        chan struct{} // closed with the probe
}

var (
	tags atomic.Uint64
	used [1 << 20]atomic.Int32 // how often each descriptor was
)

func newTagged(t *testing.T, g *eventloop.Group, rng *rand.Rand) *tagged {
	open := openUnix
	if rng.IntN(10) == 0 {
		open = openTCP
	}
	c := &tagged{pair: open(t), t: t, group: g, limit: rng.IntN(200), done: make(chan struct{})}
	binary.BigEndian.PutUint64(c.tag[:], tags.Add(1)<<8|0xAA)
	used[c.fd].Add(1)
	c.onReady = c.ready
	return c
}

// check checks bytes at a place of the stream.
func (c *tagged) check(p []byte, at int, side string) {
	for i, b := range p {
		if want := c.tag[(at+i)%8]; b != want {
			c.t.Errorf("the %s of %x reads %x at %d, in %x", side, c.tag, b, at+i, p)
			return
		}
	}
}

// pattern is n bytes for a place of the stream.
func (c *tagged) pattern(at, n int) []byte {
	return bytes.Repeat(c.tag[:], n/8+2)[at%8:][:n]
}

func (c *tagged) ready(readable, _, _ bool) {
	var b [64]byte
	for readable {
		n, errno := c.Read(b[:])
		if errno == syscall.EAGAIN {
			break
		}
		if errno != 0 || n == 0 {
			c.leave()
			return
		}
		c.check(b[:n], c.read, "probe")
		c.read += n
		c.write(n)
		if c.read > c.limit {
			c.leave()
			return
		}
	}
}

// write may be called by any goroutine.
func (c *tagged) write(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		n, errno := c.Conn.Write(c.pattern(c.wrote, n), nil)
		if c.wrote += n; errno == syscall.EBADF || errno == syscall.ENOTSOCK {
			c.t.Error(errno)
		}
	}
}

// leave is called on the loop. Another connection may be opened right there.
func (c *tagged) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.closed = true
	c.Conn.Close()
	close(c.done)
	if c.next != nil {
		rng := rand.New(rand.NewPCG(uint64(c.limit), uint64(c.fd)))
		next := newTagged(c.t, c.group, rng)
		if err := c.group.Open(c.Loop(), &next.Conn, next, next.fd); err != nil {
			c.t.Error(err)
		}
		c.next <- next
	}
}

// visit is what the peer does: it writes its tag, and reads it, and leaves whenever it likes.
func (c *tagged) visit(rng *rand.Rand) {
	defer func() {
		if tcp, ok := c.peer.(*net.TCPConn); ok {
			tcp.SetLinger(0)
		}
		c.peer.Close()
	}()
	written, read := 0, 0
	b := make([]byte, 64)
	for range rng.IntN(12) {
		switch rng.IntN(5) {
		case 0, 1:
			n, err := c.peer.Write(c.pattern(written, 1+rng.IntN(40)))
			if written += n; err != nil {
				return
			}
		case 2:
			if read < written {
				c.peer.SetReadDeadline(time.Now().Add(time.Millisecond))
				n, err := c.peer.Read(b)
				c.check(b[:n], read, "peer")
				if read += n; err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
					return
				}
			}
		case 3:
			c.write(1 + rng.IntN(16))
		case 4:
			if rng.IntN(8) == 0 {
				c.post(c.leave)
			}
		}
	}
}

// Connections that come and go as fast as they can, so that each descriptor is used by very many, never see each other's
// bytes or ends, whoever writes and closes, and when.
func TestReusedDescriptors(t *testing.T) {
	testkit.NoLeaks(t)
	const workers = 8
	each := 2000
	if testing.Short() {
		each = 300
	}
	for i := range used {
		used[i].Store(0)
	}
	g := newGroup(2)
	defer g.Close()
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 1))
			var c *tagged
			for range each {
				if c == nil {
					c = newTagged(t, g, rng)
					if rng.IntN(2) == 0 {
						c.next = make(chan *tagged, 1)
					}
					c.join(t, g)
				}
				c.visit(rng)
				<-c.done
				if c.next == nil {
					c = nil
				} else {
					c = <-c.next
				}
			}
			if c != nil {
				c.peer.Close()
				<-c.done
			}
		})
	}
	all.Wait()
	most := int32(0)
	for i := range used {
		most = max(most, used[i].Load())
	}
	t.Logf("a descriptor was used by up to %d connections of %d", most, workers*each)
	if int(most) < each/20 {
		t.Errorf("no descriptor was used more than %d times", most)
	}
}
