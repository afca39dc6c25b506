package socketio_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"baro.dev/socketio"
	"baro.dev/socketio/parser"
	"baro.dev/socketio/parser/msgpack"
	"baro.dev/ws"
)

// What no client of good will sends ends its connection, and nobody else's. (Hostile inputs, group 23.)
func TestHostilePackets(t *testing.T) {
	deep := strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000)
	tests := []struct {
		name string
		send []string
	}{
		{"attachments 1e9", []string{`51000000000-["e"]`}},
		{"attachments 0", []string{`50-["e"]`}},
		{"attachments -1", []string{`5-1-["e"]`}},
		{"attachments not a number", []string{`5x-["e"]`}},
		{"attachments without an end", []string{`51`}},
		{"11 attachments", []string{`511-["e"]`}},
		{"binary without header", []string{"b:x"}},
		{"text where binary is due", []string{`51-["e",{"_placeholder":true,"num":0}]`, `2["e"]`}},
		{"attachments across namespaces", []string{`51-["e",{"_placeholder":true,"num":0}]`, `51-/other,["e",{"_placeholder":true,"num":0}]`, "b:x"}},
		{"acknowledgement where binary is due", []string{`51-["e",{"_placeholder":true,"num":0}]`, `31[]`, "b:x"}},
		{"event where binary of an acknowledgement is due", []string{`61-1[{"_placeholder":true,"num":0}]`, `2["e"]`, "b:x"}},
		{"one attachment too many", []string{`51-["e",{"_placeholder":true,"num":0}]`, "b:x", "b:y"}},
		{"placeholder -1", []string{`51-["e",{"_placeholder":true,"num":-1}]`, "b:x"}},
		{"placeholder 1e9", []string{`51-["e",{"_placeholder":true,"num":1000000000}]`, "b:x"}},
		{"placeholder text", []string{`51-["e",{"_placeholder":true,"num":"0"}]`, "b:x"}},
		{"event name an object", []string{`2[{"toString":"x"}]`}},
		{"event name connect", []string{`2["connect"]`}},
		{"event name disconnecting", []string{`2["disconnecting"]`}},
		{"no event name", []string{`2[]`}},
		{"no array", []string{`2{}`}},
		{"nested 100k deep", []string{`2["e",` + deep + `]`}},
		{"huge ack id", []string{`299999999999999999999["e"]`}},
		{"acknowledgement without id", []string{`3[]`}},
		{"namespace of 1 MB", []string{"2/" + strings.Repeat("x", 900_000) + `,["e"]`}},
		{"namespace that is not connected", []string{`2/foreign,["e"]`}},
		{"no JSON", []string{`2["e",}`}},
		{"CONNECT with an array", []string{`0/other,[]`}},
		{"DISCONNECT with a payload", []string{`1"x"`}},
		{"CONNECT_ERROR from a client", []string{`4{"message":"x"}`}},
		{"CONNECT again while middleware runs", []string{"0/slow,", "0/slow,"}},
		{"empty message", []string{""}},
		{"unknown type", []string{"7"}},
	}
	io, url := start(t, nil)
	synced(io)
	io.Of("/slow").Use(func(s *socketio.Socket) error { <-s.Context().Done(); return nil })
	handled := make(chan string, 1)
	io.On("e", func(e *socketio.Event) { handled <- fmt.Sprint(e.Args()) })
	neighbour := join(t, url, "0")
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := join(t, url, "0")
			for _, m := range test.send {
				kind, data := ws.Text, "4"+m
				if rest, ok := strings.CutPrefix(m, "b:"); ok {
					kind, data = ws.Binary, rest
				}
				_ = p.c.Write(context.Background(), kind, []byte(data)) // it may be closed already
			}
			p.ended()
		})
	}
	neighbour.sync()
	eventually(t, "sockets are gone", func() bool { return io.Len() == 1 })
	select {
	case args := <-handled:
		if args != `["eA=="]` { // what came before the attachment too many
			t.Errorf("handled: %s", args)
		}
	default:
	}
}

// What is odd and allowed.
func TestOddPackets(t *testing.T) {
	io, url := start(t, nil)
	io.On("echo", func(e *socketio.Event) { _ = e.Ack(e.Args()...) })
	io.On("__proto__", func(e *socketio.Event) { _ = e.Ack("proto") })
	io.On("5", func(e *socketio.Event) { _ = e.Ack("five") })
	p := join(t, url, "0")
	for _, test := range []struct{ send, want string }{
		{`21["echo",{"a":1,"a":2}]`, `31[{"a":1,"a":2}]`},
		{`22["echo",1e308,-0]`, `32[1e308,-0]`},
		{`23["__proto__"]`, `33["proto"]`},
		{`24[5]`, `34["five"]`},
		{`25["echo","\u0000\ud83d\ude00"]`, `35["\u0000\ud83d\ude00"]`},
	} {
		p.send(test.send)
		p.expect(test.want)
	}
}

// An acknowledgement counts once, and only from whom it was asked.
func TestAckAgain(t *testing.T) {
	io, url := start(t, nil)
	synced(io)
	answers := make(chan string, 10)
	io.On("ask", func(e *socketio.Event) {
		_ = e.Socket().EmitFunc("q", func(a socketio.Args, err error) { answers <- fmt.Sprint(a.Args(), err) })
	})
	a, b := join(t, url, "0"), join(t, url, "0")
	a.send(`2["ask"]`)
	a.expect(`20["q"]`)
	b.send(`30["not mine"]`, `399["never asked for"]`)
	b.sync()
	a.send(`30["yes"]`, `30["again"]`)
	a.sync()
	if n, first := len(answers), got(t, answers); n != 1 || first != `["yes"] <nil>` {
		t.Error(n, first)
	}
}

// CONNECT, DISCONNECT, and going away, over and over: nothing is left.
func TestChurn(t *testing.T) {
	io, url := start(t, &socketio.Options{CleanupEmptyChildNamespaces: true})
	synced(io)
	io.OfFunc(func(string, parser.Value) bool { return true }).Use(func(*socketio.Socket) error { return nil })
	io.OnConnection(func(s *socketio.Socket) { s.Join("room") })
	before := runtime.NumGoroutine()
	for range 20 {
		p := join(t, url, "0")
		for i := range 20 {
			p.connect(fmt.Sprint("0/n", i))
			if i%2 == 0 {
				p.send(fmt.Sprint("1/n", i))
			}
		}
		p.sync()
		p.close()
	}
	eventually(t, "all are gone", func() bool { return io.ClientsCount() == 0 && io.Len() == 0 })
	eventually(t, "goroutines are gone", func() bool { return runtime.NumGoroutine() <= before+10 })
	if left := io.Adapter().(*socketio.MemoryAdapter).Rooms(); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func TestMessagePack(t *testing.T) {
	io, url := start(t, &socketio.Options{Parser: msgpack.Codec})
	io.On("echo", func(e *socketio.Event) { _ = e.Ack(e.Args()...) })
	p := dial(t, url)
	p.send("b:\x82\xa4type\x00\xa3nsp\xa1/")
	if m := p.recv(); !strings.HasPrefix(m, "b:") || !strings.Contains(m, "\xa3sid\xb4") {
		t.Fatalf("%q", m)
	}
	p.send("b:\x84\xa4type\x02\xa3nsp\xa1/\xa2id\x07\xa4data\x92\xa4echo\xc4\x02\x00\xff")
	if m := p.recv(); !strings.Contains(m, "\xc4\x02\x00\xff") {
		t.Fatalf("%q", m)
	}
	for _, bad := range []string{"b:\xdf\xff\xff\xff\xff", "b:\xc7\xff\x01", "b:" + strings.Repeat("\x91", 200_000), `0`, "b:\x81\xa4type\x09"} {
		q := dial(t, url)
		q.send("b:\x82\xa4type\x00\xa3nsp\xa1/")
		q.recv()
		q.send(bad)
		q.ended()
	}
}
