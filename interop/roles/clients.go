package roles

import (
	"context"
	"sync"
	"time"

	"baro.dev/socketio"
	"baro.dev/socketio/parser"
)

// registry knows why sockets have gone, and what they have noted down.
type registry struct {
	mu      sync.Mutex
	reasons map[string]socketio.Reason
	asking  map[string][]*socketio.Event
	notes   map[string][]int // by their room
}

func (r *registry) came(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.reasons, id) // it may have come back
}

func (r *registry) gone(id string, why socketio.Reason) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reasons[id] = why
	for _, e := range r.asking[id] {
		_ = e.Ack(why)
	}
	delete(r.asking, id)
}

func (r *registry) ask(id string, e *socketio.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if why, ok := r.reasons[id]; ok {
		_ = e.Ack(why)
		return
	}
	r.asking[id] = append(r.asking[id], e)
}

// note notes a number down, and tells those in the room.
func (r *registry) note(s *socketio.Socket, room string, i int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notes[room] = append(r.notes[room], i)
	return s.Namespace().To(room).Emit("noted", len(r.notes[room])-1)
}

func (r *registry) noted(room string) []int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]int{}, r.notes[room]...)
}

// counter is what a socket has counted.
type counter struct {
	Next  int `json:"next"`
	Wrong int `json:"wrong"`
}

func (c *counter) count(i int) {
	if i != c.Next {
		c.Wrong++
	}
	c.Next = i + 1
}

type self struct {
	ID        string            `json:"id"`
	Namespace string            `json:"namespace"`
	Auth      parser.Value      `json:"auth"`
	Query     map[string]string `json:"query"`
	Transport string            `json:"transport"`
	Protocol  int               `json:"protocol"`
	Recovered bool              `json:"recovered"`
	Rooms     []string          `json:"rooms"`
}

func whoami(s *socketio.Socket) self {
	return self{
		ID:        s.ID(),
		Namespace: s.Namespace().Name(),
		Auth:      s.Auth(),
		Query:     s.Handshake().Query,
		Transport: s.Conn().Transport(),
		Protocol:  s.Conn().Protocol(),
		Recovered: s.Recovered(),
		Rooms:     s.Rooms(),
	}
}

// serve gives a socket the events of the role clients.
func (r *registry) serve(s *socketio.Socket) {
	r.came(s.ID())
	s.OnDisconnect(func(why socketio.Reason) { r.gone(s.ID(), why) })
	var counted counter

	s.On("echo", func(e *socketio.Event) { _ = s.Emit("echo", e.Args()...) })
	s.On("ack", func(e *socketio.Event) { _ = e.Ack(e.Args()...) })
	s.On("silent", func(*socketio.Event) {})
	s.On("ask", ask)
	s.On("send", send)
	s.On("publish", publish)
	s.On("survey", survey)
	s.On("reason", func(e *socketio.Event) {
		var id string
		if e.Bind(&id) == nil {
			r.ask(id, e)
		}
	})
	socketio.On0(s, "whoami", func(context.Context) (self, error) { return whoami(s), nil })
	socketio.Listen2(s, "numbers", func(_ context.Context, from, to int) error {
		for i := from; i < to; i++ {
			if err := s.Emit("number", i); err != nil {
				return err
			}
		}
		return nil
	})
	socketio.Listen(s, "count", func(_ context.Context, i int) error {
		counted.count(i)
		return nil
	})
	socketio.On0(s, "counted", func(context.Context) (counter, error) { return counted, nil })
	socketio.Listen(s, "join", func(_ context.Context, room string) error {
		s.Join(room)
		return nil
	})
	socketio.Listen(s, "leave", func(_ context.Context, room string) error {
		s.Leave(room)
		return nil
	})
	socketio.On(s, "members", func(ctx context.Context, room string) ([]string, error) {
		sockets, err := s.Namespace().In(room).FetchSockets(ctx)
		ids := []string{}
		for _, socket := range sockets {
			ids = append(ids, socket.ID)
		}
		return ids, err
	})
	socketio.On(s, "header", func(_ context.Context, name string) (string, error) {
		return s.Handshake().Headers.Get(name), nil
	})
	socketio.Listen2(s, "note", func(_ context.Context, room string, i int) error { return r.note(s, room, i) })
	socketio.On(s, "notes", func(_ context.Context, room string) ([]int, error) { return r.noted(room), nil })
	socketio.Listen0(s, "hangup", func(context.Context) error {
		s.Conn().Close()
		return nil
	})
	socketio.Listen(s, "kick", func(_ context.Context, withConnection bool) error {
		s.Disconnect(withConnection)
		return nil
	})
}

// ask waits for the client's answer without keeping other events waiting.
func ask(e *socketio.Event) {
	var ms int
	if err := e.Bind(&ms); err != nil {
		_ = e.AckError(err)
		return
	}
	then := func(answer socketio.Args, err error) {
		if err != nil {
			_ = e.Ack(timeout(err))
			return
		}
		_ = e.Ack(append([]any{"answer"}, answer.Args()...)...)
	}
	if err := e.Socket().Timeout(time.Duration(ms)*time.Millisecond).EmitFunc("question", then, e.Args()[1:]...); err != nil {
		_ = e.AckError(err)
	}
}

func send(e *socketio.Event) {
	var flags struct{ Volatile, Compress *bool }
	var name string
	var args []any
	if err := e.Bind(&flags, &name, &args); err != nil {
		_ = e.AckError(err)
		return
	}
	op := e.Socket().Compress(flags.Compress == nil || *flags.Compress)
	if flags.Volatile != nil && *flags.Volatile {
		op = op.Volatile()
	}
	_ = op.Emit(name, args...)
}

func publish(e *socketio.Event) {
	var whom struct {
		To, Except []string
		Others     bool
	}
	var name string
	var args []any
	if err := e.Bind(&whom, &name, &args); err != nil {
		_ = e.AckError(err)
		return
	}
	op := e.Socket().Namespace().To(whom.To...)
	if whom.Others {
		op = e.Socket().To(whom.To...)
	}
	if err := op.Except(whom.Except...).Emit(name, args...); err != nil {
		_ = e.AckError(err)
		return
	}
	_ = e.Ack()
}

func survey(e *socketio.Event) {
	var room string
	var ms int
	if err := e.Bind(&room, &ms); err != nil {
		_ = e.AckError(err)
		return
	}
	op := e.Socket().Namespace().To(room).Timeout(time.Duration(ms) * time.Millisecond)
	answers, err := op.EmitWithAck(e.Context(), "question")
	values := []parser.Value{}
	for i := range answers {
		values = append(values, answers[i].Value(0))
	}
	if err != nil {
		_ = e.Ack(timeout(err), values)
		return
	}
	_ = e.Ack("answer", values)
}
