package brokertest

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"baro.dev/channel"
)

// patience is how long something may take that is to happen.
const patience = 30 * time.Second

// recorder is a feed that remembers, and finds what a hub would be led astray by.
type recorder struct {
	mu       sync.Mutex
	begun    bool
	early    []func() // what came before Follow returned
	at       channel.Position
	messages []*channel.Message // each once
	lost     []channel.Saved
	wrong    string
	changed  chan struct{} // closed by what comes next
	calling  sync.Mutex    // held while it is called
}

// follow has b feed a new recorder.
func follow(t *testing.T, b channel.Broker, name string, recent channel.Keep) (*recorder, channel.Saved) {
	t.Helper()
	r := &recorder{changed: make(chan struct{})}
	saved, err := b.Follow(name, recent, r)
	if err != nil {
		t.Fatalf("Follow: %v", err)
	}
	if saved.Epoch == "" {
		t.Fatalf("Follow: %+v has no epoch", saved)
	}
	checkSaved(t, &saved)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.begun, r.at = true, channel.Position{Epoch: saved.Epoch, Offset: saved.Offset}
	for _, f := range r.early {
		f()
	}
	return r, saved
}

// checkSaved says whether what is recent is the newest, and whole.
func checkSaved(t *testing.T, s *channel.Saved) {
	t.Helper()
	for i, m := range s.Recent {
		if want := s.Offset - uint64(len(s.Recent)-1-i); m.Epoch != s.Epoch || m.Offset != want {
			t.Fatalf("of what is recent at %s:%d number %d is %s", s.Epoch, s.Offset, i, m.Position())
		}
	}
}

func (r *recorder) Messages(messages []*channel.Message) {
	r.call(func() {
		for _, m := range messages {
			r.take(m)
		}
	})
}

func (r *recorder) Lost(saved channel.Saved) {
	r.call(func() {
		r.lost = append(r.lost, saved)
		r.at = channel.Position{Epoch: saved.Epoch, Offset: saved.Offset}
	})
}

func (r *recorder) call(f func()) {
	alone := r.calling.TryLock()
	if alone {
		defer r.calling.Unlock()
		runtime.Gosched() // a chance for another who should not come
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !alone {
		r.wrong = "the feed was called by two goroutines at a time"
	}
	if r.begun {
		f()
	} else {
		r.early = append(r.early, f)
	}
	close(r.changed)
	r.changed = make(chan struct{})
}

// take notes a message. mu is held.
func (r *recorder) take(m *channel.Message) {
	switch {
	case m.Epoch == r.at.Epoch && m.Offset <= r.at.Offset:
		return
	case m.Epoch == r.at.Epoch && m.Offset != r.at.Offset+1, m.Epoch != r.at.Epoch && m.Offset != 1:
		if r.wrong == "" {
			r.wrong = fmt.Sprintf("after %s came %s", r.at, m.Position())
		}
	}
	r.at = m.Position()
	r.messages = append(r.messages, m)
}

// until waits until something holds, with mu held.
func (r *recorder) until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	late := time.After(patience)
	for {
		r.mu.Lock()
		yes, wrong, changed := holds(), r.wrong, r.changed
		at, n, lost := r.at, len(r.messages), len(r.lost)
		r.mu.Unlock()
		if wrong != "" {
			t.Fatal(wrong)
		}
		if yes {
			return
		}
		select {
		case <-changed:
		case <-late:
			t.Fatalf("waited for %s; the feed is at %s, after %d messages; lost %d times", what, at, n, lost)
		}
	}
}

// untilAt waits until the feed has given the message at a position, and gives all that it has given.
func (r *recorder) untilAt(t *testing.T, p channel.Position) []*channel.Message {
	t.Helper()
	r.until(t, p.String(), func() bool { return r.at.Epoch == p.Epoch && r.at.Offset >= p.Offset })
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.messages
}

// result is what Append answered.
type result struct {
	channel.Appended
	err error
}

// start appends, and gives where the answer comes.
func start(b channel.Broker, name string, m *channel.Message, keep channel.Keep) <-chan result {
	answer := make(chan result, 2) // twice would be wrong, and is not to block
	b.Append(name, m, keep, func(a channel.Appended, err error) { answer <- result{a, err} })
	return answer
}

func wait(t *testing.T, answer <-chan result) result {
	t.Helper()
	select {
	case r := <-answer:
		return r
	case <-time.After(patience):
		t.Error("Append has not answered")
		return result{err: errors.New("brokertest: no answer")}
	}
}

// put appends a message, and waits until it is there.
func put(t *testing.T, b channel.Broker, name string, m *channel.Message, keep channel.Keep) channel.Appended {
	t.Helper()
	r := wait(t, start(b, name, m, keep))
	if r.err != nil {
		t.Fatalf("Append: %v", r.err)
	}
	return r.Appended
}

func text(format string, args ...any) *channel.Message {
	return &channel.Message{Data: fmt.Appendf(nil, format, args...)}
}
