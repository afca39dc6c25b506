//go:build linux

package eventloop_test

import (
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"

	"baro.dev/internal/testkit"
)

// watch has what Ready is called with sent to a channel: R readable, H hung up, W writable.
func (p *pair) watch() <-chan string {
	seen := make(chan string, 1000)
	p.onReady = func(readable, hungUp, writable bool) {
		var b strings.Builder
		for c, is := range map[byte]bool{'R': readable, 'H': hungUp, 'W': writable} {
			if is {
				b.WriteByte(c)
			}
		}
		seen <- b.String()
	}
	return seen
}

// expect waits for a call of Ready that says all of want and nothing of not.
func expect(t *testing.T, seen <-chan string, want, not string) {
	t.Helper()
	got := soon(t, seen)
	for _, c := range want {
		if !strings.ContainsRune(got, c) {
			t.Fatalf("Ready says %q, want %q", got, want)
		}
	}
	if strings.ContainsAny(got, not) {
		t.Fatalf("Ready says %q, want nothing of %q", got, not)
	}
}

// silent checks that Ready is not called without a reason.
func (p *pair) silent(t *testing.T, seen <-chan string) {
	t.Helper()
	for range 3 { // turns
		p.do(func() {})
	}
	select {
	case got := <-seen:
		t.Fatalf("Ready is called once more: %q", got)
	default:
	}
}

// startOver is start over the given network, watched.
func startOver(t *testing.T, open func(testing.TB) *pair) (*pair, <-chan string) {
	t.Helper()
	testkit.NoLeaks(t)
	p := open(t)
	seen := p.watch()
	p.join(t, newGroup(1))
	t.Cleanup(func() { p.do(p.Close) })
	p.silent(t, seen)
	return p, seen
}

func eachNetwork(t *testing.T, test func(t *testing.T, open func(testing.TB) *pair)) {
	for name, open := range networks {
		t.Run(name, func(t *testing.T) { test(t, open) })
	}
}

// What there is to read is reported once, and once more after Again, and when more comes.
func TestReadyOnceForEachEdge(t *testing.T) {
	eachNetwork(t, func(t *testing.T, open func(testing.TB) *pair) {
		p, seen := startOver(t, open)
		p.send(t, "a")
		expect(t, seen, "R", "H")
		p.silent(t, seen)
		for range 2 {
			p.do(func() { p.Again(); p.Again() })
			expect(t, seen, "R", "HW")
			p.silent(t, seen)
		}
		p.send(t, "b")
		expect(t, seen, "R", "H")
		p.silent(t, seen)
		p.do(func() {
			if all, errno := p.drain(); all != "ab" || errno != syscall.EAGAIN {
				t.Errorf("read %q, %v", all, errno)
			}
		})
		p.silent(t, seen)
	})
}

// Room to write is reported only after WatchRoom: at once if there is some, otherwise when the peer has read.
func TestReadyWhenThereIsRoom(t *testing.T) {
	eachNetwork(t, func(t *testing.T, open func(testing.TB) *pair) {
		p, seen := startOver(t, open)
		chunk := make([]byte, 64<<10)
		written := 0
		p.do(func() {
			for {
				n, errno := p.Write(chunk[:100], chunk[100:])
				if written += n; errno == syscall.EAGAIN {
					return
				} else if errno != 0 {
					t.Error(errno)
					return
				}
			}
		})
		p.silent(t, seen)
		p.do(p.WatchRoom)
		p.silent(t, seen)
		read := 0
		for read < written {
			n, err := p.peer.Read(chunk)
			if err != nil {
				t.Fatal(err)
			}
			read += n
		}
		expect(t, seen, "W", "RH")
		for len(seen) > 0 {
			expect(t, seen, "W", "RH") // the peer reads bit by bit
		}
		p.WatchRoom()
		expect(t, seen, "W", "RH")
		p.silent(t, seen)
		p.do(func() {
			if n, errno := p.Write([]byte("x"), nil); n != 1 || errno != 0 {
				t.Errorf("wrote %d, %v", n, errno)
			}
		})
	})
}

// How a peer leaves is told apart: with what it sent before, or without.
func TestReadyWhenThePeerLeaves(t *testing.T) {
	type halfCloser interface{ CloseWrite() error }
	for _, tt := range []struct {
		way   string
		leave func(net.Conn) error
		errno syscall.Errno // of the read after all that was sent
		only  string
	}{
		{way: "half", leave: func(c net.Conn) error { return c.(halfCloser).CloseWrite() }},
		{way: "whole", leave: net.Conn.Close},
		{way: "reset", leave: func(c net.Conn) error { c.(*net.TCPConn).SetLinger(0); return c.Close() }, errno: syscall.ECONNRESET, only: "tcp"},
	} {
		for name, open := range networks {
			for _, before := range []string{"", "goodbye"} {
				if tt.only != "" && tt.only != name {
					continue
				}
				t.Run(fmt.Sprintf("%s/%s/%q", tt.way, name, before), func(t *testing.T) {
					p, seen := startOver(t, open)
					resume := p.stop()
					p.send(t, before)
					if err := tt.leave(p.peer); err != nil {
						t.Fatal(err)
					}
					resume()
					expect(t, seen, "RH", "")
					p.do(func() {
						if all, errno := p.drain(); all != before || errno != tt.errno {
							t.Errorf("read %q, %v, want %q, %v", all, errno, before, tt.errno)
						}
					})
				})
			}
		}
	}
}

// When both sides have been ended, that is an event, too.
func TestReadyAfterShutdown(t *testing.T) {
	eachNetwork(t, func(t *testing.T, open func(testing.TB) *pair) {
		p, seen := startOver(t, open)
		p.do(p.Shutdown)
		if n, err := p.peer.Read(make([]byte, 1)); err == nil {
			t.Fatalf("the peer read %d bytes", n)
		}
		for len(seen) > 0 {
			<-seen
		}
		p.peer.Close()
		expect(t, seen, "RH", "")
	})
}

// All the events of more connections than one turn handles come.
func TestReadyOfManyAtOnce(t *testing.T) {
	testkit.NoLeaks(t)
	g := newGroup(1)
	const peers = 1000
	var all []*pair
	seen := make(chan int, peers)
	for i := range peers {
		all = append(all, start(t, g, func(p *pair) {
			p.onReady = func(readable, _, _ bool) {
				if readable {
					if s, _ := p.drain(); s != fmt.Sprint(i) {
						t.Errorf("peer %d sent %q", i, s)
					}
					seen <- i
				}
			}
		}))
	}
	resume := all[0].stop()
	for i, p := range all {
		p.send(t, fmt.Sprint(i))
	}
	resume()
	came := map[int]int{}
	for range peers {
		came[soon(t, seen)]++
	}
	if len(came) != peers {
		t.Errorf("%d of %d came", len(came), peers)
	}
}
