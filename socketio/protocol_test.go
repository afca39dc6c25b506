package socketio_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"baro.dev/socketio"
	"baro.dev/socketio/parser"
)

// suite is the server that the published test suite of protocol 5 asks for.
func suite(io *socketio.Server) {
	io.OnConnection(func(s *socketio.Socket) {
		_ = s.Emit("auth", s.Auth())
		s.On("message", func(e *socketio.Event) { _ = s.Emit("message-back", e.Args()...) })
		s.On("message-with-ack", func(e *socketio.Event) { _ = e.Ack(e.Args()...) })
	})
	io.Of("/custom").OnConnection(func(s *socketio.Socket) { _ = s.Emit("auth", s.Auth()) })
}

// The cases of the published suite of protocol 5, and what it says about them.
func TestProtocol5(t *testing.T) {
	io, url := start(t, nil)
	suite(io)
	impatient, impatientURL := start(t, &socketio.Options{ConnectTimeout: 200 * time.Millisecond})
	suite(impatient)
	tests := []struct {
		name string
		send []string
		want []string // "sid" stands for an answer to a CONNECT, "end" for that of the connection
	}{
		{"main namespace", []string{"0"}, []string{"sid", `2["auth",{}]`}},
		{"main namespace with a payload", []string{`0{"token":"123"}`}, []string{"sid", `2["auth",{"token":"123"}]`}},
		{"custom namespace", []string{"0/custom,"}, []string{"sid", `2/custom,["auth",{}]`}},
		{"custom namespace without comma", []string{"0/custom"}, []string{"sid", `2/custom,["auth",{}]`}},
		{"custom namespace with a payload", []string{`0/custom,{"token":"abc"}`}, []string{"sid", `2/custom,["auth",{"token":"abc"}]`}},
		{"unknown namespace", []string{"0/random"}, []string{`4/random,{"message":"Invalid namespace"}`}},
		{"invalid handshake", []string{"4abc"}, []string{"end"}},
		{"no handshake", nil, []string{"end"}},
		{"disconnect", []string{"0", "1", `2["message"]`}, []string{"sid", `2["auth",{}]`, "end"}},
		{"disconnect from a namespace", []string{"0", "0/custom", "1/custom,", `2["message",1]`},
			[]string{"sid", `2["auth",{}]`, "sid", `2/custom,["auth",{}]`, `2["message-back",1]`}},
		{"plain text", []string{"0", `2["message",1,"2",{"3":[true]}]`},
			[]string{"sid", `2["auth",{}]`, `2["message-back",1,"2",{"3":[true]}]`}},
		{"numbers as they were written", []string{"0", `2["message",1.0,12345678901234567890,1e308]`},
			[]string{"sid", `2["auth",{}]`, `2["message-back",1.0,12345678901234567890,1e308]`}},
		{"binary", []string{"0", `52-["message",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`, "b:\x01\x02\x03", "b:\x04"},
			[]string{"sid", `2["auth",{}]`, `52-["message-back",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`, "b:\x01\x02\x03", "b:\x04"}},
		{"acknowledgement", []string{"0", `2456["message-with-ack",1,"2",{"3":[false]}]`},
			[]string{"sid", `2["auth",{}]`, `3456[1,"2",{"3":[false]}]`}},
		{"acknowledgement with binary", []string{"0", `51-789["message-with-ack",{"_placeholder":true,"num":0}]`, "b:\x01"},
			[]string{"sid", `2["auth",{}]`, `61-789[{"_placeholder":true,"num":0}]`, "b:\x01"}},
		{"unknown packet type", []string{"0", "abc"}, []string{"sid", `2["auth",{}]`, "end"}},
		{"invalid payload", []string{"0", "2{}"}, []string{"sid", `2["auth",{}]`, "end"}},
		{"invalid ack id", []string{"0", "2abc[]"}, []string{"sid", `2["auth",{}]`, "end"}},
		// A packet for a namespace that is not connected, or a second CONNECT, closes.
		{"event before CONNECT", []string{`2["message"]`}, []string{"end"}},
		{"event for another namespace", []string{"0", `2/custom,["message"]`}, []string{"sid", `2["auth",{}]`, "end"}},
		{"acknowledgement for another namespace", []string{"0", `3/custom,1[]`}, []string{"sid", `2["auth",{}]`, "end"}},
		{"second CONNECT", []string{"0", "0"}, []string{"sid", `2["auth",{}]`, "end"}},
		{"CONNECT_ERROR from a client", []string{"0", `4{"message":"no"}`}, []string{"sid", `2["auth",{}]`, "end"}},
		// Nobody waits for it, or not any more.
		{"unasked acknowledgement", []string{"0", "37[]", "39007199254740991[]", `2["message"]`}, []string{"sid", `2["auth",{}]`, `2["message-back"]`}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			url := url
			if test.send == nil {
				url = impatientURL
			}
			p := dial(t, url)
			p.send(test.send...)
			for _, want := range test.want {
				switch want {
				case "sid":
					p.sid()
				case "end":
					p.ended()
				default:
					p.expect(want)
				}
			}
		})
	}
}

func TestPolling(t *testing.T) {
	io, url := start(t, nil)
	suite(io)
	p := poll(t, url)
	p.send("0")
	if !connectAnswer.MatchString(p.recv()) {
		t.Fatal("no answer to CONNECT")
	}
	p.send(`2["message",1]`, `27["message-with-ack","a"]`)
	expect(t, p.recv, `2["auth",{}]`, `2["message-back",1]`, `37["a"]`)
}

// "v4 (EIO3): / is joined on connection; custom: client 0/nsp?query, answer 0/nsp,; query becomes handshake.auth".
func TestProtocol4(t *testing.T) {
	o := &socketio.Options{}
	o.Engine.AllowEIO3 = true
	io, url := start(t, o)
	suite(io)
	ids := make(chan string, 2)
	io.OnConnection(func(s *socketio.Socket) { ids <- s.ID() })
	io.Of("/custom").OnConnection(func(s *socketio.Socket) { ids <- s.ID() })
	io.Of("/closed").Use(func(*socketio.Socket) error { return errors.New("not today") })
	io.Of("/data").Use(func(*socketio.Socket) error { return &socketio.Error{Message: "no", Data: []int{1}} })

	p := dialV3(t, url)
	p.expect("0", `2["auth",{}]`)
	if id := got(t, ids); id != p.id {
		t.Errorf("id %q, want that of the session, %q", id, p.id)
	}
	p.send("0/custom?token=abc&x=1,")
	p.expect("0/custom,", `2/custom,["auth",{"token":"abc","x":"1"}]`)
	if id := got(t, ids); id != "/custom#"+p.id {
		t.Errorf("id %q", id)
	}
	p.send("0/closed")
	p.expect(`4/closed,"not today"`)
	p.send("0/nowhere?a=b")
	p.expect(`4/nowhere,{"message":"Invalid namespace"}`)
	p.send("0/data")
	p.expect(`4/data,[1]`)
	p.send(`51-3["message-with-ack",{"_placeholder":true,"num":0}]`, "b:\x00\xff")
	p.expect(`61-3[{"_placeholder":true,"num":0}]`, "b:\x00\xff")
}

func TestMiddleware(t *testing.T) {
	io, url := start(t, nil)
	io.Use(func(s *socketio.Socket) error {
		s.Join("early")
		var auth struct{ Token string }
		if err := s.Auth().Decode(&auth); err != nil {
			return err
		}
		_ = io.To("early").Emit("too soon")
		switch auth.Token {
		case "panic":
			panic("middleware")
		case "data":
			return &socketio.Error{Message: "refused", Data: map[string]int{"code": 7}}
		case "good":
			return nil
		}
		return errors.New("unauthorized")
	})
	io.OnConnection(func(s *socketio.Socket) { _ = s.Emit("first", s.Rooms()[1:]) })
	p := dial(t, url)
	for _, test := range []struct{ send, want string }{
		{"0", `4{"message":"unauthorized"}`},
		{`0{"token":"data"}`, `4{"message":"refused","data":{"code":7}}`},
		{`0{"token":"panic"}`, `4{"message":"internal error"}`},
	} {
		p.send(test.send)
		p.expect(test.want)
	}
	if n := io.Len(); n != 0 {
		t.Errorf("%d sockets after refusals", n)
	}
	p.connect(`0{"token":"good"}`)
	p.expect(`2["first",["early"]]`)
	if rooms := io.Adapter().(*socketio.MemoryAdapter).Rooms(); rooms["early"] != 1 {
		t.Errorf("rooms: %v", rooms)
	}
}

// A middleware that blocks does not hold up what the client does elsewhere.
func TestMiddlewareBlocks(t *testing.T) {
	io, url := start(t, nil)
	synced(io)
	release := make(chan struct{})
	io.Of("/slow").Use(func(*socketio.Socket) error { <-release; return nil })
	io.Of("/slow").OnConnection(func(s *socketio.Socket) { _ = s.Emit("here") })
	p := join(t, url, "0")
	p.send("0/slow")
	p.sync()
	close(release)
	p.sid()
	p.expect(`2/slow,["here"]`)
}

func TestMiddlewareClientGone(t *testing.T) {
	io, url := start(t, nil)
	entered := make(chan struct{})
	io.Use(func(s *socketio.Socket) error { close(entered); <-s.Context().Done(); return nil })
	io.OnConnection(func(*socketio.Socket) { t.Error("connected") })
	p := dial(t, url)
	p.send("0")
	got(t, entered)
	p.close()
	eventually(t, "the socket is gone", func() bool { return io.Len() == 0 })
}

// Middleware that ends its goroutine refuses the client, as one does that panics.
func TestMiddlewareGoexit(t *testing.T) {
	io, url := start(t, nil)
	io.Use(func(*socketio.Socket) error { runtime.Goexit(); return nil })
	p := dial(t, url)
	for range 2 {
		p.send("0")
		p.expect(`4{"message":"internal error"}`)
	}
	if io.Len() != 0 {
		t.Error(io.Len(), "sockets")
	}
}

// What a client says on connecting is kept, and therefore bounded for all of its namespaces together.
func TestConnectAuthBounded(t *testing.T) {
	io, url := start(t, nil)
	entered, release := make(chan struct{}, 2), make(chan struct{})
	defer close(release)
	io.OfPattern(regexp.MustCompile(`^/slow`)).Use(func(*socketio.Socket) error { entered <- struct{}{}; <-release; return nil })
	io.OfPattern(regexp.MustCompile(`^/`))
	auth := `{"a":"` + strings.Repeat("x", 400_000) + `"}`
	for _, name := range []string{"/", "/slow"} {
		p := dial(t, url)
		for i := range 2 {
			p.send(fmt.Sprint("0", name, i, ",", auth))
			if name == "/" {
				p.recv()
			} else {
				got(t, entered)
			}
		}
		p.send("0/last,{}")
		p.recv()
		p.send("0/more," + auth)
		p.ended()
	}
	p := dial(t, url)
	for range 5 { // of a namespace that it has left nothing is kept
		p.send("0/a," + auth)
		p.recv()
		p.send("1/a,")
	}
}

func TestConnectFlood(t *testing.T) {
	t.Run("unknown namespaces", func(t *testing.T) {
		_, url := start(t, nil)
		p := dial(t, url)
		for range 200 {
			if p.c.Write(context.Background(), 1, []byte("40/nowhere")) != nil {
				break
			}
		}
		for {
			m, err := p.read()
			if err != nil {
				return
			}
			if !strings.HasPrefix(m, "4/nowhere") {
				t.Fatal(m)
			}
		}
	})
	t.Run("many namespaces", func(t *testing.T) {
		io, url := start(t, &socketio.Options{MaxNamespaces: 3, MaxChildNamespaces: 2})
		io.OfFunc(func(string, parser.Value) bool { return true })
		p := join(t, url, "0/a")
		p.connect("0/b")
		p.send("0/c")
		p.expect(`4/c,{"message":"Invalid namespace"}`)
		p.connect("0/")
		p.send("0/d")
		p.ended()
		eventually(t, "sockets are gone", func() bool { return io.Of("/a").Len() == 0 })
		q := join(t, url, "0/e") // the empty ones have made room
		q.close()
	})
}
