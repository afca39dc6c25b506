package socketio_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"baro.dev/socketio"
)

func TestTypedHandlers(t *testing.T) {
	io, url := start(t, nil)
	type image struct {
		Name   string `json:"name"`
		Pixels []byte `json:"pixels"`
	}
	type receipt struct {
		N    int    `json:"n"`
		Data []byte `json:"data"`
	}
	io.OnConnection(func(s *socketio.Socket) {
		socketio.On(s, "one", func(ctx context.Context, m image) (receipt, error) {
			if socketio.SocketOf(ctx) != s {
				return receipt{}, errors.New("another socket")
			}
			return receipt{len(m.Name), m.Pixels}, nil
		})
		socketio.On0(s, "zero", func(context.Context) (int, error) { return 7, nil })
		socketio.On2(s, "two", func(_ context.Context, a int, b string) (string, error) { return strings.Repeat(b, a), nil })
		socketio.On3(s, "three", func(_ context.Context, a, b, c float64) (float64, error) { return a + b + c, nil })
		socketio.Listen(s, "listen", func(_ context.Context, a []string) error { return s.Emit("heard", a) })
		socketio.Listen0(s, "listen0", func(context.Context) error { return nil })
		socketio.Listen2(s, "listen2", func(_ context.Context, a, b string) error { return s.Emit("heard", b, a) })
		socketio.Listen3(s, "listen3", func(_ context.Context, a, b, c string) error { return s.Emit("heard", c, b, a) })
		socketio.Listen0(s, "fail", func(context.Context) error { return errors.New("no luck") })
		socketio.On0(s, "fail2", func(context.Context) (int, error) {
			return 0, fmt.Errorf("wrapped: %w", &socketio.Error{Message: "quota", Data: map[string]int{"left": 0}})
		})
	})
	p := join(t, url, "0")
	tests := []struct {
		send []string
		want []string
	}{
		{[]string{`51-1["one",{"name":"abc","pixels":{"_placeholder":true,"num":0}}]`, "b:\x01\x02"},
			[]string{`61-1[{"n":3,"data":{"_placeholder":true,"num":0}}]`, "b:\x01\x02"}},
		{[]string{`22["zero"]`}, []string{`32[7]`}},
		{[]string{`23["two",3,"ab"]`}, []string{`33["ababab"]`}},
		{[]string{`24["three",1,2,3.5]`}, []string{`34[6.5]`}},
		{[]string{`25["listen",["a","b"]]`}, []string{`2["heard",["a","b"]]`, `35[]`}},
		{[]string{`26["listen0"]`}, []string{`36[]`}},
		{[]string{`2["listen2","a","b"]`}, []string{`2["heard","b","a"]`}},
		{[]string{`2["listen3","a","b","c"]`}, []string{`2["heard","c","b","a"]`}},
		{[]string{`27["fail"]`}, []string{`37[{"error":{"message":"no luck"}}]`}},
		{[]string{`28["fail2"]`}, []string{`38[{"error":{"message":"wrapped: quota","data":{"left":0}}}]`}},
	}
	for _, test := range tests {
		p.send(test.send...)
		p.expect(test.want...)
	}
	socketio.On2(io, "optional", func(_ context.Context, a string, b *int) (*int, error) { return b, nil })
	p.send(`210["optional","a"]`, `211["optional","a",null]`, `212["optional","a",3]`)
	p.expect(`310[null]`, `311[null]`, `312[3]`)
	for _, bad := range []string{`29["two","x","y"]`, `29["two"]`, `29["optional"]`} {
		p.send(bad)
		if m := p.recv(); !strings.HasPrefix(m, `39[{"error":{"message":"`) {
			t.Errorf("%s: %s", bad, m)
		}
	}
	p.send(`2["fail"]`, `22["zero"]`) // logged, and life goes on
	p.expect(`32[7]`)
}

func TestRawHandlers(t *testing.T) {
	io, url := start(t, nil)
	var order []string
	note := func(what string) func(*socketio.Event) {
		return func(e *socketio.Event) { order = append(order, what+" "+e.Name()) }
	}
	io.OnAny(note("any of all"))
	io.On("a", note("all"))
	io.OnConnection(func(s *socketio.Socket) {
		s.OnAny(note("any"))
		s.Use(func(e *socketio.Event) error {
			if e.Name() == "forbidden" {
				return &socketio.Error{Message: "forbidden", Data: 1}
			}
			return nil
		})
		remove := s.On("a", note("removed"))
		s.On("a", note("own"))
		s.Once("a", note("once"))
		remove()
		for i := range 40 { // so many that there is an index
			s.On(fmt.Sprint("e", i), note("many"))
		}
		s.Off("e2", "e3")
		s.On("order", func(e *socketio.Event) {
			list := make([]any, len(order))
			for i := range order {
				list[i] = order[i]
			}
			_ = e.Ack(list...)
			order = nil
		})
	})
	p := join(t, url, "0")
	p.send(`2["a"]`, `2["a"]`, `2["e1"]`, `2["e2"]`, `21["forbidden"]`, `22["order"]`)
	p.expect(`31[{"error":{"message":"forbidden","data":1}}]`, `32["any of all a","any a","all a","own a","once a",`+
		`"any of all a","any a","all a","own a","any of all e1","any e1","many e1","any of all e2","any e2",`+
		`"any of all forbidden","any forbidden","any of all order","any order"]`)
}

func TestEventAck(t *testing.T) {
	io, url := start(t, nil)
	io.On("twice", func(e *socketio.Event) {
		if !e.WantsAck() || e.Ack(1) != nil || e.WantsAck() || !errors.Is(e.Ack(2), socketio.ErrNoAck) {
			t.Error("Ack")
		}
	})
	io.On("later", func(e *socketio.Event) { go func() { _ = e.Ack(e.Args()...) }() })
	p := join(t, url, "0")
	p.send(`21["twice"]`)
	p.expect(`31[1]`)
	p.send(`22["later",{"x":[1.50]}]`)
	p.expect(`32[{"x":[1.50]}]`)
}

// A handler that waits for an acknowledgement of its client gets it.
func TestEmitWithAck(t *testing.T) {
	io, url := start(t, nil)
	io.On("ask", func(e *socketio.Event) {
		a, err := e.Socket().EmitWithAck(e.Context(), "question", []byte{1})
		var s string
		var b []byte
		if err == nil {
			err = a.Bind(&s, &b)
		}
		_ = e.Socket().Emit("result", s, b, err == nil)
	})
	p := join(t, url, "0")
	p.send(`2["ask"]`, `2["ask"]`)
	for i := range 2 {
		p.expect(fmt.Sprintf(`51-%d["question",{"_placeholder":true,"num":0}]`, i), "b:\x01")
		p.send(`2["not handled"]`, fmt.Sprintf(`61-%d["answer",{"_placeholder":true,"num":0}]`, i), "b:xyz")
		p.expect(`51-["result","answer",{"_placeholder":true,"num":0},true]`, "b:xyz")
	}
}

func TestEmitWithAckEnds(t *testing.T) {
	io, url := start(t, &socketio.Options{MaxPendingAcks: 2})
	errs := make(chan error, 1)
	io.On("timeout", func(e *socketio.Event) {
		_, err := e.Socket().Timeout(10*time.Millisecond).EmitWithAck(context.Background(), "q")
		errs <- err
	})
	io.On("cancel", func(e *socketio.Event) {
		ctx, cancel := context.WithCancelCause(e.Context())
		cancel(errors.New("cause"))
		_, err := e.Socket().EmitWithAck(ctx, "q")
		errs <- err
	})
	io.On("many", func(e *socketio.Event) {
		s := e.Socket()
		for range 2 {
			_ = s.EmitFunc("q", func(socketio.Args, error) {})
		}
		_, err := s.EmitWithAck(context.Background(), "q")
		errs <- err
	})
	io.On("gone", func(e *socketio.Event) {
		_, err := e.Socket().EmitWithAck(context.Background(), "q")
		errs <- err
	})
	io.On("bad", func(e *socketio.Event) {
		_, err := e.Socket().EmitWithAck(context.Background(), "connect")
		errs <- err
	})
	p := join(t, url, "0")
	p.send(`2["timeout"]`)
	if err := got(t, errs); !errors.Is(err, socketio.ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	p.send(`2["cancel"]`)
	if err := got(t, errs); err == nil || err.Error() != "cause" {
		t.Error(err)
	}
	p.send(`2["bad"]`)
	if err := got(t, errs); err == nil {
		t.Error("a reserved name was emitted")
	}
	q := join(t, url, "0")
	q.send(`2["gone"]`)
	q.recv()
	q.close()
	if err := got(t, errs); !errors.Is(err, socketio.ErrDisconnected) {
		t.Error(err)
	}
	p.send(`2["many"]`)
	if err := got(t, errs); !errors.Is(err, socketio.ErrTooManyAcks) {
		t.Error(err)
	}
}

// What an acknowledgement is for has its turn: it never runs while a handler does.
func TestEmitFunc(t *testing.T) {
	io, url := start(t, nil)
	results := map[string]chan string{}
	for _, name := range []string{"a", "b", "c", "d"} {
		results[name] = make(chan string, 2)
	}
	io.OnConnection(func(s *socketio.Socket) {
		note := func(name string) func(socketio.Args, error) {
			return func(a socketio.Args, err error) {
				var v string
				_ = a.Bind(&v)
				results[name] <- fmt.Sprint(v, err)
			}
		}
		_ = s.EmitFunc("a", note("a"))
		_ = s.Timeout(20*time.Millisecond).EmitFunc("b", note("b"))
		_ = s.Timeout(time.Minute).EmitFunc("c", note("c"))
		_ = s.EmitFunc("d", note("d"))
	})
	p := join(t, url, "0")
	p.expect(`20["a"]`, `21["b"]`, `22["c"]`, `23["d"]`)
	p.send(`30["yes"]`)
	all := []string{got(t, results["a"]), got(t, results["b"])}
	p.send(`62-2["bin",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`, "b:1", "b:2")
	all = append(all, got(t, results["c"]))
	p.close()
	all = append(all, got(t, results["d"]))
	want := []string{"yes<nil>", socketio.ErrTimeout.Error(), "bin<nil>", socketio.ErrDisconnected.Error()}
	if !slices.Equal(all, want) {
		t.Errorf("%q, want %q", all, want)
	}
}

// A panic of a handler disconnects its socket, and nobody else.
func TestPanic(t *testing.T) {
	for _, inline := range []bool{false, true} {
		t.Run(fmt.Sprint("inline ", inline), func(t *testing.T) {
			o := &socketio.Options{}
			o.Engine.Inline = inline
			io, url := start(t, o)
			synced(io)
			io.On("panic", func(*socketio.Event) { panic("handler") })
			io.Of("/connection").OnConnection(func(*socketio.Socket) { panic("connection") })
			reasons := make(chan socketio.Reason, 2)
			note := func(_ *socketio.Socket, r socketio.Reason) { reasons <- r }
			io.OnDisconnect(note)
			io.Of("/connection").OnDisconnect(note)
			p, q := join(t, url, "0"), join(t, url, "0")
			p.connect("0/connection")
			p.expect("1/connection,")
			p.send(`2["panic"]`)
			p.expect("1")
			for range 2 {
				if r := got(t, reasons); r != socketio.ServerNamespaceDisconnect {
					t.Errorf("reason %q", r)
				}
			}
			q.sync()
		})
	}
}

func TestContext(t *testing.T) {
	io, url := start(t, nil)
	started, ended := make(chan struct{}), make(chan error, 1)
	io.On("wait", func(e *socketio.Event) {
		ctx, cancel := context.WithCancel(e.Context())
		defer cancel()
		close(started)
		<-ctx.Done()
		ended <- ctx.Err()
	})
	p := join(t, url, "0")
	p.send(`2["wait"]`)
	got(t, started)
	p.close()
	if err := got(t, ended); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
