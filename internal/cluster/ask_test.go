package cluster_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"baro.dev/internal/cluster"
	"baro.dev/internal/cluster/membus"
)

func echo(_ context.Context, from string, data []byte) ([]byte, error) {
	return append([]byte(from+" said "), data...), nil
}

func TestAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, _ := three(t, new(membus.Network))
		a.Handle("echo", echo)
		b.Handle("echo", echo)
		b.Handle("fail", func(context.Context, string, []byte) ([]byte, error) { return nil, errors.New("no luck") })
		b.Handle("panic", func(context.Context, string, []byte) ([]byte, error) { panic("oh") })
		b.Handle("big", func(context.Context, string, []byte) ([]byte, error) { return make([]byte, 2<<20), nil })
		for _, to := range []*member{a, b} {
			got, err := a.Ask(t.Context(), to.ID(), "echo", []byte("x"))
			if err != nil {
				t.Fatal(err)
			}
			expect(t, "answer", string(got), a.ID()+" said x")
		}
		for kind, text := range map[string]string{"fail": "no luck", "panic": "panic: oh", "big": "the answer is longer than the bus takes"} {
			_, err := a.Ask(t.Context(), b.ID(), kind, nil)
			remote, ok := errors.AsType[*cluster.RemoteError](err)
			if !ok || remote.Node != b.ID() || remote.Kind != kind || remote.Text != text {
				t.Errorf("%s: %v", kind, err)
			}
		}
		if _, err := a.Ask(t.Context(), b.ID(), "nonesuch", nil); !errors.Is(err, cluster.ErrUnknownKind) {
			t.Errorf("unknown kind: %v", err)
		}
		if _, err := a.Ask(t.Context(), "nobody", "echo", nil); !errors.Is(err, cluster.ErrNoNode) {
			t.Errorf("nobody: %v", err)
		}
		if _, err := a.Ask(t.Context(), b.ID(), "echo", make([]byte, 2<<20)); !errors.Is(err, cluster.ErrTooLarge) {
			t.Errorf("large: %v", err)
		}
		if _, err := a.Ask(t.Context(), b.ID(), strings.Repeat("k", 65), nil); !errors.Is(err, cluster.ErrName) {
			t.Errorf("long kind: %v", err)
		}
	})
}

func TestAskOneThatDies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, _ := three(t, new(membus.Network))
		b.Handle("slow", func(ctx context.Context, _ string, _ []byte) ([]byte, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		time.AfterFunc(time.Second, func() { _ = b.bus.Close() })
		began := time.Now()
		if _, err := a.Ask(t.Context(), b.ID(), "slow", nil); !errors.Is(err, cluster.ErrGone) {
			t.Errorf("%v", err)
		}
		if took := time.Since(began); took > 8*time.Second {
			t.Errorf("noticed after %v", took)
		}
	})
}

func TestAskAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := new(membus.Network)
		a, b, c := three(t, w)
		d := join(t, w, cluster.Options{Name: "d"})
		e := join(t, w, cluster.Options{Name: "e"})
		synctest.Wait()
		var hangs atomic.Bool
		hang := func(ctx context.Context, _ string, _ []byte) ([]byte, error) {
			hangs.Store(true)
			<-ctx.Done()
			return nil, ctx.Err()
		}
		b.Handle("q", echo)
		c.Handle("q", hang) // never answers
		d.Handle("q", hang) // dies meanwhile
		// e does not know the question
		time.AfterFunc(time.Second, func() { _ = d.bus.Close() })
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		answers, missing, err := a.AskAll(ctx, "q", []byte("x"))
		if err != nil || len(answers) != 1 || string(answers[b.ID()]) != a.ID()+" said x" {
			t.Errorf("%q, %v", answers, err)
		}
		got := fmt.Sprint(len(missing), strings.Contains(strings.Join(missing, " "), c.ID()), strings.Contains(strings.Join(missing, " "), d.ID()),
			strings.Contains(strings.Join(missing, " "), e.ID()))
		expect(t, "missing", got, "3 true true true")

		// Without the one that hangs it does not wait for the one that is dying beyond its death.
		c.Handle("q", echo)
		d2 := join(t, w, cluster.Options{Name: "d2"})
		d2.Handle("q", hang)
		synctest.Wait()
		began := time.Now()
		_ = d2.bus.Close()
		answers, missing, err = a.AskAll(t.Context(), "q", nil)
		if err != nil || len(answers) != 2 || len(missing) != 2 {
			t.Errorf("%q, %q, %v", answers, missing, err)
		}
		if took := time.Since(began); took > 7*time.Second {
			t.Errorf("took %v", took)
		}
		alone := join(t, new(membus.Network), cluster.Options{})
		if answers, missing, err := alone.AskAll(t.Context(), "q", nil); len(answers)+len(missing) != 0 || err != nil {
			t.Errorf("alone: %v, %v, %v", answers, missing, err)
		}
	})
}

func TestBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := new(membus.Network)
		a := join(t, w, cluster.Options{Name: "a"})
		b := join(t, w, cluster.Options{Name: "b", MaxAtOnce: 10})
		synctest.Wait()
		release := make(chan struct{})
		b.Handle("slow", func(context.Context, string, []byte) ([]byte, error) { <-release; return nil, nil })
		b.Handle("other", echo)
		var ok, busy atomic.Int32
		var asking sync.WaitGroup
		for range 100 {
			asking.Go(func() {
				switch _, err := a.Ask(t.Context(), b.ID(), "slow", nil); {
				case err == nil:
					ok.Add(1)
				case errors.Is(err, cluster.ErrBusy):
					busy.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if busy.Load() != 90 {
			t.Errorf("%d were refused", busy.Load())
		}
		if _, err := a.Ask(t.Context(), b.ID(), "other", nil); err != nil {
			t.Errorf("another kind: %v", err)
		}
		close(release)
		asking.Wait()
		if ok.Load() != 10 || b.Stats().Busy != 90 {
			t.Errorf("%d were answered, %d counted as refused", ok.Load(), b.Stats().Busy)
		}
	})
}

func TestDuplicatedAndReordered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := new(membus.Network)
		a, b, c := three(t, w)
		delay := time.Duration(0)
		w.Fate(func(membus.Passage) membus.Fate {
			delay = (delay + 7919*time.Microsecond) % (50 * time.Millisecond)
			return membus.Fate{Duplicate: 2, Delay: delay, Overtake: true}
		})
		var calls, told atomic.Int32
		for _, m := range []*member{b, c} {
			m.Handle("q", func(ctx context.Context, from string, data []byte) ([]byte, error) {
				calls.Add(1)
				return data, nil
			})
			m.Handle("t", func(context.Context, string, []byte) ([]byte, error) { told.Add(1); return nil, nil })
		}
		var asking sync.WaitGroup
		for i := range 100 {
			asking.Go(func() {
				want := []byte(fmt.Sprint(i))
				if got, err := a.Ask(t.Context(), b.ID(), "q", want); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%q, %v", got, err)
				}
				answers, missing, err := a.AskAll(t.Context(), "q", want)
				if len(answers) != 2 || missing != nil || err != nil || !bytes.Equal(answers[c.ID()], want) {
					t.Errorf("%q, %v, %v", answers, missing, err)
				}
				if err := a.Tell("t", nil); err != nil {
					t.Error(err)
				}
				if err := a.TellNode(b.ID(), "t", nil); err != nil {
					t.Error(err)
				}
			})
		}
		asking.Wait()
		time.Sleep(time.Second)
		if calls.Load() != 300 || told.Load() != 300 {
			t.Errorf("handlers were called %d and %d times", calls.Load(), told.Load())
		}
	})
}

func TestPoison(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := new(membus.Network)
		a, b, _ := three(t, w)
		a.Handle("echo", echo)
		evil := w.Bus()
		id := []byte("Hacker")
		messages := [][]byte{nil, {}, {1}, []byte("hello"), bytes.Repeat([]byte{0xff}, 1<<20), bytes.Repeat([]byte{1}, 1<<20)}
		for version := range 4 {
			for kind := range 32 {
				for _, from := range [][]byte{id, []byte(a.ID()), []byte(b.ID()), []byte("../../")} {
					head := append([]byte{byte(version), byte(kind)}, from...)
					head = append(head, "12345678"...)
					for _, rest := range []string{"", "\x00", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "\x01\x00\x00\x00\x00\x00\x00\x00\x00{\"state\":1e999}",
						"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x04echo", strings.Repeat("\x00", 13), "\xff\xff\xff\xff\xff\xff\xff\xff\xff{}"} {
						messages = append(messages, append(bytes.Clone(head), rest...))
					}
				}
			}
		}
		for _, subject := range []string{"node.all", "node." + a.ID(), "stream." + a.ID()} {
			for _, m := range messages {
				if err := evil.Publish(subject, m); err != nil {
					t.Fatal(err)
				}
			}
		}
		time.Sleep(time.Minute)
		expect(t, "a sees", a.names(), "b c")
		if got, err := b.Ask(t.Context(), a.ID(), "echo", nil); err != nil || len(got) == 0 {
			t.Errorf("%q, %v", got, err)
		}
		if s := a.Stats(); s.Invalid == 0 || s.Conflicts == 0 || s.Unknown == 0 {
			t.Errorf("%+v", s)
		}
	})
}

// Somebody floods the bus with nodes that there are not.
func TestManyFalseNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := new(membus.Network)
		a := join(t, w, cluster.Options{Name: "a", MaxPeers: 50})
		b := join(t, w, cluster.Options{Name: "b", MaxPeers: 50})
		synctest.Wait()
		evil := w.Bus()
		for i := range 10_000 {
			m := append([]byte{1, 1}, fmt.Sprintf("%06d12345678\x00\x00\x00\x00\x00\x00\x00\x00\x00{}", i)...)
			if err := evil.Publish("node.all", m); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if s := a.Stats(); s.Peers > 50 || s.Refused == 0 {
			t.Errorf("%+v", s)
		}
		time.Sleep(10 * time.Second)
		expect(t, "a sees", a.names(), "b")
		_ = b
	})
}

func TestLeaveEndsQuestions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, _ := three(t, new(membus.Network))
		b.Handle("slow", func(ctx context.Context, _ string, _ []byte) ([]byte, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		time.AfterFunc(time.Second, func() { leave(t, a.Node) })
		if _, err := a.Ask(t.Context(), b.ID(), "slow", nil); !errors.Is(err, cluster.ErrClosed) {
			t.Errorf("%v", err)
		}
		if _, err := a.Ask(t.Context(), b.ID(), "slow", nil); !errors.Is(err, cluster.ErrClosed) {
			t.Errorf("%v", err)
		}
		time.AfterFunc(time.Second, func() { leave(t, b.Node) }) // its handler ends by its context
	})
}
