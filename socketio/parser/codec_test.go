package parser_test

import (
	"fmt"
	"strings"
	"testing"

	"baro.dev/socketio/parser"
)

// messages makes messages of a text and attachments.
func messages(text string, attachments ...string) []parser.Message {
	m := []parser.Message{{Data: []byte(text)}}
	for _, a := range attachments {
		m = append(m, parser.Message{Binary: true, Data: []byte(a)})
	}
	return m
}

// show gives messages as one line.
func show(messages []parser.Message) string {
	var parts []string
	for _, m := range messages {
		if m.Binary {
			parts = append(parts, fmt.Sprintf("<%x>", m.Data))
		} else {
			parts = append(parts, string(m.Data))
		}
	}
	return strings.Join(parts, " ")
}

// add gives a decoder a message. There is a packet if the message completes one.
func add(d parser.Decoder, binary bool, data []byte) (*parser.Packet, error) {
	p := new(parser.Packet)
	complete, err := d.Add(p, binary, data)
	if !complete || err != nil {
		return nil, err
	}
	return p, nil
}

// receive has a fresh decoder put messages together, which must be exactly one packet, and then spoils them.
func receive(t testing.TB, codec parser.Codec, in []parser.Message) *parser.Packet {
	t.Helper()
	d := codec.NewDecoder(nil)
	for i, m := range in {
		lent := append([]byte{}, m.Data...)
		p, err := add(d, m.Binary, lent)
		clear(lent)
		if err != nil {
			t.Fatalf("message %d of %s: %v", i, show(in), err)
		}
		if (p != nil) != (i == len(in)-1) || d.Due() != len(in)-1-i {
			t.Fatalf("after message %d of %s: packet %v, %d due", i, show(in), p, d.Due())
		}
		if p != nil {
			return p
		}
	}
	return nil
}

// encode must succeed.
func encode(t testing.TB, codec parser.Codec, p *parser.Packet) []parser.Message {
	t.Helper()
	m, err := codec.Encode(nil, nil, p)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func event(name string, args ...any) parser.Packet {
	return parser.Packet{Type: parser.Event, Data: parser.EventData(name, args...)}
}

// The examples of the protocol, and what the official packages were seen to send.
func TestWire(t *testing.T) {
	with := func(p parser.Packet, namespace string, id ...uint64) parser.Packet {
		p.Namespace = namespace
		for _, id := range id {
			p.ID, p.HasID = id, true
		}
		return p
	}
	values := func(t parser.Type, args ...any) parser.Packet {
		return parser.Packet{Type: t, Data: parser.Values(args...)}
	}
	type object = map[string]any
	for _, test := range []struct {
		packet parser.Packet
		wire   []parser.Message
	}{
		{values(parser.Connect), messages(`0`)},
		{with(values(parser.Connect), "/admin"), messages(`0/admin,`)},
		{with(values(parser.Connect, object{"token": "123"}), "/admin"), messages(`0/admin,{"token":"123"}`)},
		{values(parser.Connect, object{"sid": "oSO0OpakMV_3jnilAAAA"}), messages(`0{"sid":"oSO0OpakMV_3jnilAAAA"}`)},
		{with(values(parser.Connect), "/chat?token=abc&x=1"), messages(`0/chat?token=abc&x=1,`)}, // protocol 4
		{values(parser.Disconnect), messages(`1`)},
		{with(values(parser.Disconnect), "/admin"), messages(`1/admin,`)},
		{event("foo"), messages(`2["foo"]`)},
		{with(event("bar"), "/admin"), messages(`2/admin,["bar"]`)},
		{with(event("foo"), "/", 12), messages(`212["foo"]`)},
		{with(event("project:delete", 123), "/admin", 456), messages(`2/admin,456["project:delete",123]`)},
		{event("hi", 1, "Q83Mk-d"), messages(`2["hi",1,"Q83Mk-d"]`)},
		{with(event("withack"), "/", 0), messages(`20["withack"]`)},
		{with(values(parser.Ack), "/admin", 456), messages(`3/admin,456[]`)},
		{with(values(parser.Ack, "str"), "/", 7), messages(`37["str"]`)},
		{with(values(parser.ConnectError, object{"message": "Invalid namespace"}), "/random"),
			messages(`4/random,{"message":"Invalid namespace"}`)},
		{with(values(parser.ConnectError, "no, you don't"), "/chat"), messages(`4/chat,"no, you don't"`)}, // protocol 4
		{event("baz", []byte{1, 2, 3}), messages(`51-["baz",{"_placeholder":true,"num":0}]`, "\x01\x02\x03")},
		{with(event("baz", "", []byte("a"), object{"x": []byte("b")}), "/admin", 456),
			messages(`52-/admin,456["baz","",{"_placeholder":true,"num":0},{"x":{"_placeholder":true,"num":1}}]`, "a", "b")},
		{event("missed-room", []byte{9}, "Q83Ml45.0"), messages(`51-["missed-room",{"_placeholder":true,"num":0},"Q83Ml45.0"]`, "\t")},
		{with(values(parser.Ack, []byte{3, 2, 1}), "/admin", 456),
			messages(`61-/admin,456[{"_placeholder":true,"num":0}]`, "\x03\x02\x01")},
		{event("e", 1.5, true, nil, []int{1}, "<&>\u2028\"\n\x01"), messages(`2["e",1.5,true,null,[1],"<&>\u2028\"\n\u0001"]`)},
	} {
		got := encode(t, parser.JSON, &test.packet)
		if show(got) != show(test.wire) {
			t.Errorf("encoded\n%s, want\n%s", show(got), show(test.wire))
			continue
		}
		p := receive(t, parser.JSON, test.wire)
		want := test.packet
		if want.Namespace == "" {
			want.Namespace = "/"
		}
		if p.Type != want.Type || p.Namespace != want.Namespace || p.ID != want.ID || p.HasID != want.HasID ||
			p.Data.Name() != want.Data.Name() || p.Data.Len() != want.Data.Len() {
			t.Errorf("%s: decoded %+v", show(test.wire), p)
		}
		if again := encode(t, parser.JSON, p); show(again) != show(test.wire) {
			t.Errorf("relayed\n%s, want\n%s", show(again), show(test.wire))
		}
		typ, attachments, ok := parser.JSON.Peek(false, test.wire[0].Data)
		if typ != want.Type || attachments != len(test.wire)-1 || !ok {
			t.Errorf("%s: Peek says %v, %d, %v", show(test.wire), typ, attachments, ok)
		}
	}
}
