package cluster_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/nettest"

	"baro.dev/internal/cluster"
	"baro.dev/internal/cluster/membus"
)

func dial(t *testing.T, from, to *member) (dialed, accepted net.Conn) {
	t.Helper()
	l := to.Listener()
	dialed, err := from.Dial(t.Context(), to.ID())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return dialed, accepted
}

func TestStreamIsNetConn(t *testing.T) {
	w := new(membus.Network)
	a, b := join(t, w, cluster.Options{}), join(t, w, cluster.Options{})
	arrived := make(chan struct{}, 1)
	a.OnPeer(func(cluster.Peer, bool) { arrived <- struct{}{} })
	<-arrived
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		c1, c2 = dial(t, a, b)
		return c1, c2, func() { _ = c1.Close(); _ = c2.Close() }, nil
	})
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// 10 MB each way with random delays, in pieces of any size.
func TestStreamLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := new(membus.Network)
		a, b, _ := three(t, w)
		random := rand.New(rand.NewPCG(1, 2))
		w.Fate(func(membus.Passage) membus.Fate {
			return membus.Fate{Delay: time.Duration(random.IntN(2000)) * time.Microsecond, Duplicate: random.IntN(10) / 9}
		})
		x, y := dial(t, a, b)
		var transfers sync.WaitGroup
		for i, end := range [][2]net.Conn{{x, y}, {y, x}} {
			data := make([]byte, 10<<20)
			source := rand.NewChaCha8([32]byte{byte(i)})
			_, _ = source.Read(data)
			sizes := rand.New(rand.NewPCG(3, uint64(i)))
			transfers.Go(func() {
				for rest := data; len(rest) > 0; {
					n := min(len(rest), 1+sizes.IntN(100_000))
					if _, err := end[0].Write(rest[:n]); err != nil {
						t.Error(err)
						return
					}
					rest = rest[n:]
				}
			})
			transfers.Go(func() {
				hash := sha256.New()
				left := len(data)
				n, err := end[1].(io.WriterTo).WriteTo(writerFunc(func(p []byte) (int, error) {
					_, _ = hash.Write(p)
					if left -= len(p); left <= 0 {
						return len(p), io.EOF
					}
					return len(p), nil
				}))
				if n != int64(len(data)) || err != io.EOF {
					t.Errorf("after %d bytes: %v", n, err)
				}
				if want := sha256.Sum256(data); !bytes.Equal(hash.Sum(nil), want[:]) {
					t.Error("other bytes have come")
				}
			})
		}
		transfers.Wait()
		_ = x.Close()
		if n, err := y.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("%d, %v", n, err)
		}
		if _, err := y.Write([]byte("x")); err == nil {
			t.Error("written to one that has closed")
		}
		_ = y.Close()
		time.Sleep(time.Minute)
		if a.Stats().Streams+b.Stats().Streams != 0 || a.Stats().StreamsReset+b.Stats().StreamsReset != 0 {
			t.Errorf("%+v %+v", a.Stats(), b.Stats())
		}
	})
}

// Close comes after what was written.
func TestStreamClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, _ := three(t, new(membus.Network))
		x, y := dial(t, a, b)
		sent := bytes.Repeat([]byte("x"), 50_000)
		if _, err := x.Write(sent); err != nil {
			t.Fatal(err)
		}
		_ = x.Close()
		time.Sleep(time.Minute) // audits do not harm
		got, err := io.ReadAll(y)
		if err != nil || !bytes.Equal(got, sent) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		if _, err := x.Read(nil); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		_ = y.Close()
	})
}

// A message of one stream is lost: both sides know it within moments, whichever it was, and whether or not more follows.
func TestStreamLoss(t *testing.T) {
	for lost := range 8 {
		t.Run(fmt.Sprint(lost), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := new(membus.Network)
				a, b, _ := three(t, w)
				x, y := dial(t, a, b)
				n := 0
				w.Fate(func(p membus.Passage) membus.Fate {
					if p.Subject == "stream."+b.ID() || p.Subject == "stream."+a.ID() {
						n++
						return membus.Fate{Drop: n == lost+1}
					}
					return membus.Fate{}
				})
				began := time.Now()
				var sides sync.WaitGroup
				for _, c := range []net.Conn{x, y} {
					sides.Go(func() {
						for range 3 {
							if _, err := c.Write(make([]byte, 40_000)); err != nil {
								if !errors.Is(err, cluster.ErrReset) {
									t.Error(err)
								}
								return
							}
						}
					})
					sides.Go(func() {
						got, err := io.ReadFull(c, make([]byte, 120_000))
						if err == nil {
							err = c.SetReadDeadline(time.Now().Add(11 * time.Second))
							_, err2 := c.Read(make([]byte, 1))
							err = errors.Join(err, err2)
						}
						// A window that was lost is told by the audit; a piece is not.
						if !errors.Is(err, cluster.ErrReset) && !errors.Is(err, os.ErrDeadlineExceeded) {
							t.Errorf("%d bytes: %v", got, err)
						}
						if errors.Is(err, os.ErrDeadlineExceeded) && got != 120_000 {
							t.Errorf("%d bytes", got)
						}
					})
				}
				sides.Wait()
				if took := time.Since(began); took > 13*time.Second {
					t.Errorf("took %v", took)
				}
				_ = x.Close()
				_ = y.Close()
			})
		})
	}
}

func TestStreamLastPieceLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := new(membus.Network)
		a, b, _ := three(t, w)
		x, y := dial(t, a, b)
		w.Fate(func(p membus.Passage) membus.Fate { return membus.Fate{Drop: p.Subject == "stream."+b.ID()} })
		if _, err := x.Write([]byte("lost")); err != nil {
			t.Fatal(err)
		}
		w.Fate(nil)
		began := time.Now()
		if _, err := y.Read(make([]byte, 10)); !errors.Is(err, cluster.ErrReset) {
			t.Error(err)
		}
		if _, err := x.Read(make([]byte, 10)); !errors.Is(err, cluster.ErrReset) {
			t.Error(err)
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("took %v", took)
		}
		_ = x.Close()
		_ = y.Close()
	})
}

// The end is lost: the complete audit of the other side finds that nobody knows its stream.
func TestStreamEndLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := new(membus.Network)
		a, b, _ := three(t, w)
		x, y := dial(t, a, b)
		w.Fate(func(p membus.Passage) membus.Fate { return membus.Fate{Drop: p.Subject == "stream."+b.ID()} })
		_ = x.Close()
		w.Fate(nil)
		_ = y.SetReadDeadline(time.Now().Add(12 * time.Second))
		if _, err := y.Read(make([]byte, 10)); !errors.Is(err, cluster.ErrReset) {
			t.Error(err)
		}
		_ = y.Close()
	})
}

func TestStreamOfADeadNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, c := three(t, new(membus.Network))
		x, y := dial(t, a, b)
		z, zc := dial(t, a, c)
		if _, err := y.Write([]byte("before")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		_ = b.bus.Close()
		got, err := io.ReadAll(x)
		if string(got) != "before" || !errors.Is(err, cluster.ErrGone) || !errors.Is(err, cluster.ErrReset) {
			t.Errorf("%q, %v", got, err)
		}
		if _, err := z.Write([]byte("fine")); err != nil {
			t.Error(err)
		}
		for _, s := range []net.Conn{x, y, z, zc} {
			_ = s.Close()
		}
		if _, err := a.Dial(t.Context(), b.ID()); !errors.Is(err, cluster.ErrNoNode) {
			t.Error(err)
		}
	})
}

func TestStreamOfOneThatLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, _ := three(t, new(membus.Network))
		x, y := dial(t, a, b)
		leave(t, b.Node)
		synctest.Wait()
		for _, s := range []net.Conn{x, y} {
			if _, err := s.Read(make([]byte, 1)); !errors.Is(err, cluster.ErrReset) {
				t.Error(err)
			}
			_ = s.Close()
		}
		if _, err := b.Listener().Accept(); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		synctest.Wait()
		if a.Stats().Streams+b.Stats().Streams != 0 {
			t.Error("streams are left")
		}
	})
}

// A node that is cut off, but calls nobody dead, does not let its streams hang.
func TestStreamWhileAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, _ := three(t, new(membus.Network))
		x, y := dial(t, a, b)
		a.bus.Cut(true, true)
		began := time.Now()
		for _, s := range []net.Conn{x, y} {
			if _, err := s.Read(make([]byte, 1)); !errors.Is(err, cluster.ErrReset) {
				t.Error(err)
			}
			_ = s.Close()
		}
		if took := time.Since(began); took > 8*time.Second {
			t.Errorf("took %v", took)
		}
		if _, err := a.Dial(t.Context(), b.ID()); !errors.Is(err, cluster.ErrAway) {
			t.Error(err)
		}
	})
}

func TestStreamRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := new(membus.Network)
		a := join(t, w, cluster.Options{Name: "a"})
		b := join(t, w, cluster.Options{Name: "b", MaxStreams: 3})
		synctest.Wait()
		if _, err := a.Dial(t.Context(), b.ID()); !errors.Is(err, cluster.ErrReset) {
			t.Errorf("nobody listens: %v", err)
		}
		if _, err := a.Dial(t.Context(), "nobody"); !errors.Is(err, cluster.ErrNoNode) {
			t.Error(err)
		}
		b.Listener()
		var open []net.Conn
		for range 3 {
			c, err := a.Dial(t.Context(), b.ID())
			if err != nil {
				t.Fatal(err)
			}
			open = append(open, c)
		}
		if _, err := a.Dial(t.Context(), b.ID()); !errors.Is(err, cluster.ErrBusy) {
			t.Errorf("above the bound: %v", err)
		}
		for _, c := range open {
			_ = c.Close()
			accepted, err := b.Listener().Accept()
			if err != nil {
				t.Fatal(err)
			}
			_ = accepted.Close()
		}
		c, err := a.Dial(t.Context(), b.ID())
		if err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
		b.bus.Cut(true, true) // it is not known to be dead yet
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := a.Dial(ctx, b.ID()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("silent: %v", err)
		}
	})
}

// Nobody reads: what is sent is bounded by the window, and writing waits until its deadline.
func TestStreamWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, _ := three(t, new(membus.Network))
		x, y := dial(t, a, b)
		_ = x.SetWriteDeadline(time.Now().Add(time.Second))
		n, err := x.Write(make([]byte, 1<<20))
		if n != 64<<10 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%d, %v", n, err)
		}
		_ = x.SetWriteDeadline(time.Time{})
		var writing sync.WaitGroup
		writing.Go(func() {
			if _, err := x.Write(make([]byte, 1<<20)); err != nil {
				t.Error(err)
			}
		})
		if _, err := io.ReadFull(y, make([]byte, 64<<10+1<<20)); err != nil {
			t.Error(err)
		}
		writing.Wait()
		_ = x.Close()
		_ = y.Close()
	})
}

// A thousand streams cost next to nothing while nothing happens on them.
func TestIdleStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := new(membus.Network)
		a, b, _ := three(t, w)
		var open []net.Conn
		for range 1000 {
			x, y := dial(t, a, b)
			open = append(open, x, y)
		}
		time.Sleep(20*time.Second + 500*time.Millisecond)
		before := w.Count()
		time.Sleep(10 * time.Second)
		after := w.Count()
		// 3 nodes × 10 heartbeats, and each side's complete audit.
		if got := after.Published - before.Published; got != 30+2 {
			t.Errorf("%d messages in 10 s", got)
		}
		t.Logf("%d bytes in 10 s", after.PublishedBytes-before.PublishedBytes)
		for _, c := range open {
			_ = c.Close()
		}
	})
}

// More streams than one audit holds.
func TestManyStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := new(membus.Network)
		a, b, _ := three(t, w)
		l := b.Listener()
		var serving sync.WaitGroup
		serving.Go(func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				serving.Go(func() {
					_, _ = io.Copy(c, c)
					_ = c.Close()
				})
			}
		})
		var asking sync.WaitGroup
		for i := range 1500 {
			asking.Go(func() {
				c, err := a.Dial(t.Context(), b.ID())
				if err != nil {
					if !errors.Is(err, cluster.ErrBusy) { // the backlog
						t.Error(err)
					}
					return
				}
				defer func() { _ = c.Close() }()
				for range 3 {
					want := fmt.Appendf(nil, "stream %d", i)
					if _, err := c.Write(want); err != nil {
						t.Error(err)
					}
					got := make([]byte, len(want))
					if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, want) {
						t.Errorf("%q, %v", got, err)
					}
					time.Sleep(11 * time.Second)
				}
			})
		}
		asking.Wait()
		_ = l.Close()
		serving.Wait()
		if got := a.Stats().Streams + b.Stats().Streams; got != 0 {
			t.Errorf("%d streams are left", got)
		}
	})
}

func TestDialItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _, _ := three(t, new(membus.Network))
		x, y := dial(t, a, a)
		if _, err := x.Write([]byte("hi")); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 2)
		if _, err := io.ReadFull(y, got); err != nil || string(got) != "hi" {
			t.Errorf("%q, %v", got, err)
		}
		_ = x.Close()
		_ = y.Close()
	})
}
