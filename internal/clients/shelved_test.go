package clients_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"baro.dev/channel"
	"baro.dev/internal/clients"
)

// shelf is one in memory, as one server has it: before is asked before anything is done.
type shelf struct {
	*things
	before func(op, shelf string) error
}

type things struct {
	mu  sync.Mutex
	all map[string]map[string][]byte
}

func newShelf() *shelf { return &shelf{things: &things{all: map[string]map[string][]byte{}}} }

func (s *shelf) do(op, name string, f func(things map[string][]byte)) error {
	if s.before != nil {
		if err := s.before(op, name); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all[name] == nil {
		s.all[name] = map[string][]byte{}
	}
	f(s.all[name])
	return nil
}

func (s *shelf) Put(_ context.Context, name, key string, value []byte, _ time.Duration) error {
	return s.do("put", name, func(things map[string][]byte) { things[key] = value })
}

func (s *shelf) List(_ context.Context, name string) (all map[string][]byte, err error) {
	err = s.do("list", name, func(things map[string][]byte) { all = maps.Clone(things) })
	return all, err
}

func (s *shelf) Take(_ context.Context, name, key string) (value []byte, mine bool, err error) {
	err = s.do("take", name, func(things map[string][]byte) {
		value, mine = things[key]
		delete(things, key)
	})
	return value, mine, err
}

// nowhere is the other servers of a cluster, none of which is there.
type nowhere string

func (nowhere) Find(context.Context, string, string) (clients.Callee, bool) {
	return clients.Callee{}, false
}

func (nowhere) Call(context.Context, clients.Callee, clients.CallRequest) (clients.Answer, error) {
	return clients.Answer{}, clients.ErrNotFound
}
func (nowhere) Waiting(string)      {}
func (n nowhere) Node() string      { return string(n) }
func (nowhere) IsThere(string) bool { return false }

// of is a server on a shelf.
func (s *shelf) of(node string) *clients.Registry {
	r, _ := house(func(c *clients.Config, _ *channel.Options) { c.Shelf, c.Elsewhere = s, nowhere(node) })
	return r
}

func hold(t *testing.T, r *clients.Registry, user string) string {
	t.Helper()
	a, err := r.Call(t.Context(), clients.CallRequest{User: user, Method: "ring", Timeout: time.Minute, Hold: time.Hour, NoWait: true})
	if err != nil || a.State != clients.Held {
		t.Fatalf("%+v, %v", a, err)
	}
	return a.Call
}

var errDead = errors.New("the server is dead")

// A call that is held survives the server that hands it over, wherever that dies, and a shelf that is away meanwhile.
func TestShelfSurvives(t *testing.T) {
	for at := range 6 {
		for _, away := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d operations, away %v", at, away), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					inMemory := newShelf()
					dying := &shelf{things: inMemory.things}
					ops, dead := 0, false
					dying.before = func(string, string) error {
						if dead || ops == at {
							dead = true
							return errDead
						}
						ops++
						return nil
					}
					id := hold(t, inMemory.of("AAAAAA"), "kim")
					_, _ = connect(t, dying.of("BBBBBB"), "kim")
					synctest.Wait()

					last := &shelf{things: inMemory.things}
					third := last.of("CCCCCC")
					if away {
						last.before = func(op, name string) error {
							if op == "put" && strings.HasPrefix(name, "held/") {
								return errDead
							}
							return nil
						}
						_ = third.LookAtShelf(t.Context())
						last.before = nil
					}
					if err := third.LookAtShelf(t.Context()); err != nil {
						t.Fatal(err)
					}
					_, l := connect(t, third, "kim")
					synctest.Wait()
					l.mu.Lock()
					defer l.mu.Unlock()
					if len(l.calls) != 1 || l.calls[0].ID != id {
						t.Errorf("the device was asked %v, want %s", l.calls, id)
					}
				})
			})
		}
	}
}

// A device that is there while the shelf is away is asked when that is back, though nothing else happens.
func TestShelfBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		r := s.of("AAAAAA")
		id := hold(t, r, "kim")
		var away atomic.Bool
		away.Store(true)
		s.before = func(string, string) error {
			if away.Load() {
				return errDead
			}
			return nil
		}
		_, l := connect(t, r, "kim")
		time.Sleep(time.Minute)
		away.Store(false)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		l.mu.Lock()
		defer l.mu.Unlock()
		if len(l.calls) != 1 || l.calls[0].ID != id {
			t.Errorf("the device was asked %v, want %s", l.calls, id)
		}
	})
}

// A call whose server is gone survives the server that has it held again, too, wherever that dies, and a shelf that is away meanwhile.
func TestShelfSurvivesAgain(t *testing.T) {
	for at := range 14 {
		for _, away := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d operations, away %v", at, away), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					inMemory := newShelf()
					gone := inMemory.of("AAAAAA")
					id := hold(t, gone, "kim")
					_, _ = connect(t, gone, "kim") // who is asked, and does not answer
					synctest.Wait()

					dying := &shelf{things: inMemory.things}
					ops, dead := 0, false
					dying.before = func(string, string) error {
						if dead || ops == at {
							dead = true
							return errDead
						}
						ops++
						return nil
					}
					last := dying.of("BBBBBB")
					err := last.LookAtShelf(t.Context())
					synctest.Wait()
					if dying.before = nil; !away {
						last = inMemory.of("CCCCCC")
						err = errDead
					}
					for err != nil { // as it is done where it failed
						err = last.LookAtShelf(t.Context())
					}
					_, l := connect(t, last, "kim")
					synctest.Wait()
					l.mu.Lock()
					defer l.mu.Unlock()
					if len(l.calls) != 1 || l.calls[0].ID != id {
						t.Errorf("the device was asked %v, want %s", l.calls, id)
					}
				})
			})
		}
	}
}

// How old a call is goes by the clock of the shelf: a server whose own is hours ahead hands it over all the same, and one that is behind does not
// when it is over.
func TestShelfClock(t *testing.T) {
	for _, k := range []struct {
		passed time.Duration // by the clock of the shelf, while five hours do here
		calls  int
	}{{time.Minute, 1}, {2 * time.Hour, 0}} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			first := newShelf()
			var dead atomic.Bool
			first.before = func(string, string) error {
				if dead.Load() {
					return errDead
				}
				return nil
			}
			id := hold(t, first.of("AAAAAA"), "kim")
			dead.Store(true)
			time.Sleep(5 * time.Hour)
			r, _ := house(func(c *clients.Config, _ *channel.Options) {
				c.Shelf, c.Elsewhere = &shelf{things: first.things}, nowhere("BBBBBB")
				c.ShelfNow = func() time.Time { return began.Add(k.passed) }
			})
			if a, err := r.CallState(t.Context(), id); err != nil || (a.State == clients.Held) != (k.calls == 1) {
				t.Errorf("after %v: %+v, %v", k.passed, a, err)
			}
			_, l := connect(t, r, "kim")
			synctest.Wait()
			l.mu.Lock()
			defer l.mu.Unlock()
			if len(l.calls) != k.calls {
				t.Errorf("after %v: the device was asked %v", k.passed, l.calls)
			}
		})
	}
}

// What a device has answered is not asked again, where the server dies before the shelf knows.
func TestShelfKnowsAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		id := hold(t, s.of("AAAAAA"), "kim")
		dying := &shelf{things: s.things}
		b := dying.of("BBBBBB")
		c, l := connect(t, b, "kim")
		synctest.Wait()
		dying.before = func(op, name string) error {
			if op == "take" {
				return errDead
			}
			return nil
		}
		if err := c.Answer(l.lastCall().ID, []byte("1"), nil); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		third := s.of("CCCCCC")
		if err := third.LookAtShelf(t.Context()); err != nil {
			t.Fatal(err)
		}
		_, again := connect(t, third, "kim")
		synctest.Wait()
		if len(again.calls) > 0 {
			t.Error("it is asked again")
		}
		if a, err := third.CallState(t.Context(), id); err != nil || a.State != clients.Answered {
			t.Errorf("%+v, %v", a, err)
		}
	})
}

// However often it is told that something waits for a user, the shelf is looked at once at a time for it.
func TestShelfAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		r := s.of("AAAAAA")
		connect(t, r, "kim")
		synctest.Wait()
		release := make(chan struct{})
		var mu sync.Mutex
		now, most, all := 0, 0, 0
		s.before = func(op, _ string) error {
			if op == "list" {
				mu.Lock()
				now++
				all++
				most = max(most, now)
				mu.Unlock()
				<-release
				mu.Lock()
				now--
				mu.Unlock()
			}
			return nil
		}
		for range 1000 {
			r.Waiting("kim")
		}
		synctest.Wait()
		close(release)
		synctest.Wait()
		if most > 1 || all > 10 {
			t.Errorf("it was looked at %d times, %d at once", all, most)
		}
	})
}

// Names that no user has are not remembered, whoever tells of them.
func TestShelfOfNobody(t *testing.T) {
	s := newShelf()
	r := s.of("AAAAAA")
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for i := range 64 {
		r.Waiting(strings.Repeat("x", 1<<20) + fmt.Sprint(i))
	}
	if after := heap(); after > before+32<<20 {
		t.Errorf("%d MiB are kept", (after-before)>>20)
	}
	runtime.KeepAlive(r)
}
