package server

import (
	"errors"
	"net/http"
	"os"
	"sync"
	"time"

	"baro.dev/channel"
	"baro.dev/internal/clients"
	"baro.dev/internal/metrics"
)

// A format is how a stream says things.
type format struct {
	transport metrics.Transport
	mediaType string
	message   func(*channel.Message) []byte
	heartbeat []byte
	// open begins the stream, which starts at p.
	open func(p channel.Position) []byte
	// lost begins it where what the client missed could not be had, and comes in it where something was lost. Nil: that is answered
	// with an error.
	lost func(p channel.Position) []byte
	// leave ends it, when the server stops: the client is to come back after a while.
	leave func(after time.Duration) []byte
	// invite is all of it when the server stops already. Nil: that is answered with an error.
	invite func(after time.Duration) []byte
}

// catchUpBytes is about how much of what a client missed is in hand at a time.
const catchUpBytes = 64 << 10

// follower is who reads a stream.
type follower struct {
	name     string // of the channel
	identity *clients.Identity
	hello    clients.Hello

	mu      sync.Mutex
	done    bool
	leaving bool          // because the server stops: it is told when to come back
	ended   chan struct{} // closed when the server has it go
	loop    releaser      // is told, too; nil: nobody else is to be
}

// A releaser is told that the server has a client go, and whether because it stops.
type releaser interface{ release(leaving bool) }

func newFollower(name string, identity *clients.Identity, h clients.Hello) *follower {
	return &follower{name: name, identity: identity, hello: h, ended: make(chan struct{})}
}

// Channel implements [clients.Reader].
func (f *follower) Channel() string { return f.name }

// Close implements [clients.Link].
func (f *follower) Close(why clients.Reason) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.done {
		return
	}
	f.done, f.leaving = true, why.After > 0
	close(f.ended)
	if f.loop != nil {
		f.loop.release(f.leaving)
	}
}

// wakes has l told when the server has the client go, or that it has.
func (f *follower) wakes(l releaser) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.loop = l
	if f.done && l != nil {
		l.release(f.leaving)
	}
}

// isOver says whether the server has it go.
func (f *follower) isOver() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.done
}

// isLeaving says whether the server has it go because it stops.
func (f *follower) isLeaving() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.leaving
}

// stream writes a channel from a place on until the client goes, does not keep up, or the server stops. An error comes
// before anything is written.
func (s *Server) stream(w http.ResponseWriter, r *http.Request, who *follower, name string, from channel.From, f *format) error {
	batch, err := s.hub.Read(name, from, catchUpBytes)
	if isPosition(from) && r.Method != http.MethodHead {
		s.recovered(f.transport, err)
	}
	lost := f.lost != nil && errors.Is(err, channel.ErrNotRecoverable)
	if lost {
		batch, err = s.hub.Read(name, channel.Now(), 0)
	}
	if err != nil {
		return err
	}
	start := batch.Next
	start.Offset -= uint64(len(batch.Messages))

	h := w.Header()
	h.Set("Content-Type", f.mediaType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx would hold the stream back
	h.Set("Baro-Position", start.String())
	if r.Method == http.MethodHead {
		return nil
	}
	host, err := s.slots.take(s.clientAddr(r))
	if errors.Is(err, errDraining) && f.invite != nil {
		// Browsers do not come back after an error.
		_, _ = w.Write(f.invite(s.returnAfter()))
		return nil
	} else if err != nil {
		return err
	}
	client, err := s.enter(who.identity, who.hello, who)
	if err != nil {
		s.slots.give(host)
		return err
	}
	if s.streams.takes(r) {
		h.Set("Connection", "close")
	}
	s.metrics.Opened(f.transport)
	who.identity, who.hello = nil, clients.Hello{} // it lives as long as the client does
	out := newOutput(w, s.config.WriteTimeout)
	q := newQueue(f, s.config.QueueBytes, func() {
		s.slow(client)
		out.cut()
	})
	q.client, q.metrics = client, s.metrics
	var subscription *channel.Subscription
	gone := func() {
		if subscription != nil {
			subscription.Close()
		}
		client.Gone("left")
		s.metrics.Closed(q.format.transport, s.endOf(who, q))
		s.slots.give(host)
	}
	taken := false
	defer func() {
		if !taken {
			gone()
		}
	}()
	defer out.end()
	begin := f.open
	if lost {
		begin = f.lost
	}
	who.wakes(out)
	subscription = s.catchUp(out, client.Member(), name, begin(start), batch, q)
	if subscription == nil {
		return nil
	}
	q.begin(s.streamed.Add(1))
	if taken = s.streams.take(w, r, who, q, gone); taken {
		return nil
	}
	who.wakes(nil)
	defer s.following.add(q)()
	s.follow(out, r, who, q, f)
	return nil
}

// catchUp writes begin, and what the client missed, part by part; the last of them when the subscription has begun that puts the
// rest into q, since writing takes its time. Should the history be faster than the client, there is none: the client comes
// back, and is told.
func (s *Server) catchUp(out *output, who channel.Member, name string, begin []byte, batch channel.Batch, q *queue) *channel.Subscription {
	parts := [][]byte{begin}
	for {
		for _, m := range batch.Messages {
			if !m.HiddenFrom(who.Client) {
				part := q.format.message(m)
				q.metrics.Sent(q.format.transport, 1, len(part))
				parts = append(parts, part)
			}
		}
		var subscription *channel.Subscription
		if !batch.More {
			var err error
			if subscription, err = s.hub.Join(name, channel.After(batch.Next), q, who); err != nil {
				return nil
			}
		}
		if out.write(parts...) != nil {
			if subscription != nil {
				subscription.Close()
			}
			return nil
		}
		if subscription != nil {
			return subscription
		}
		var err error
		if batch, err = s.hub.Read(name, channel.After(batch.Next), catchUpBytes); err != nil {
			return nil
		}
		parts = parts[:0]
	}
}

// follow writes what comes into the queue.
func (s *Server) follow(out *output, r *http.Request, who *follower, q *queue, f *format) {
	heartbeat := time.NewTimer(s.config.Heartbeat)
	defer heartbeat.Stop()
	var parts [][]byte
	for {
		whole := true
		stopping := false
		select {
		case <-q.ready:
			parts, whole = q.take(parts)
		case <-heartbeat.C:
			parts = append(parts[:0], f.heartbeat)
		case <-s.draining.Done():
			stopping = true
			parts, whole = q.take(parts)
			parts = append(parts, f.leave(s.returnAfter()))
		case <-who.ended:
			if !who.isLeaving() {
				return // it comes back, and is told why it may not
			}
			stopping = true
			parts, whole = q.take(parts)
			parts = append(parts, f.leave(s.returnAfter()))
		case <-r.Context().Done():
			return
		}
		if !whole || out.write(parts...) != nil {
			panic(http.ErrAbortHandler) // it must not look as if it had come to its end
		}
		q.left()
		if stopping {
			return
		}
		heartbeat.Reset(s.config.Heartbeat)
	}
}

// output writes pieces of a stream. Each must be accepted in time.
type output struct {
	w       http.ResponseWriter
	control *http.ResponseController
	timeout time.Duration

	mu     sync.Mutex
	closed bool // it was cut, or the handler is about to return
}

// pieceBytes is how much a client has to accept in one write timeout.
const pieceBytes = 64 << 10

func newOutput(w http.ResponseWriter, timeout time.Duration) *output {
	return &output{w: w, control: http.NewResponseController(w), timeout: timeout}
}

// write writes parts, and has them leave.
func (o *output) write(parts ...[]byte) error {
	if err := o.extend(); err != nil {
		return err
	}
	written := 0
	for _, part := range parts {
		for len(part) > 0 {
			piece := part[:min(len(part), pieceBytes)]
			if written += len(piece); written > pieceBytes {
				if err := o.extend(); err != nil {
					return err
				}
				written = len(piece)
			}
			if _, err := o.w.Write(piece); err != nil {
				return err
			}
			part = part[len(piece):]
		}
	}
	return o.control.Flush()
}

func (o *output) extend() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return os.ErrDeadlineExceeded
	}
	_ = o.control.SetWriteDeadline(time.Now().Add(o.timeout))
	return nil
}

// cut has a write that is under way fail, and every later one. Other than write it may be called from any goroutine.
func (o *output) cut() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return
	}
	o.closed = true
	_ = o.control.SetWriteDeadline(time.Unix(1, 0))
}

// release ends a catch-up, in the middle of what the client missed.
func (o *output) release(bool) { o.cut() }

// end comes before the handler returns: the answer must not be touched any more then.
func (o *output) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
}
