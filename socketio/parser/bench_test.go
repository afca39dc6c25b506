package parser_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"baro.dev/socketio/parser"
)

type chat struct {
	User string `json:"user"`
	Text string `json:"text"`
	At   int64  `json:"at"`
}

var hello = chat{"ada", "hello, world", 1_764_000_000_000}

const helloText = `2["message",{"user":"ada","text":"hello, world","at":1764000000000}]`

// What the packet itself costs; what encoding/json takes for an argument comes on top.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("sync.Pool forgets on purpose")
	}
	var dst [4]parser.Message
	small, typed := event("message", "hello", 7), event("message", &hello)
	decoder := parser.JSON.NewDecoder(nil)
	text, binary := []byte(helloText), messages(`51-["e",`+placeholder+`]`, "x")
	in := receive(t, parser.JSON, messages(helloText))
	ack := parser.Packet{Type: parser.Ack, ID: 7, HasID: true, Data: parser.Values(in.Data.Value(0))}
	sink := dst[:0]
	var buf []byte
	p := new(parser.Packet)
	for _, test := range []struct {
		what string
		want float64
		f    func()
	}{
		{"encode an event of scalars", 1, func() { sink, _ = parser.JSON.Encode(dst[:0], nil, &small) }},
		{"the same, and the slice of messages", 2, func() { sink, _ = parser.JSON.Encode(nil, nil, &small) }},
		{"encode an event with a struct", 1, func() { sink, _ = parser.JSON.Encode(dst[:0], nil, &typed) }},
		{"relay an event", 1, func() { sink, _ = parser.JSON.Encode(dst[:0], nil, in) }},
		{"acknowledge with an argument that came", 1, func() { sink, _ = parser.JSON.Encode(dst[:0], nil, &ack) }},
		{"acknowledge in memory that is there", 0, func() { buf = buf[:0]; sink, _ = parser.JSON.Encode(dst[:0], &buf, &ack) }},
		{"decode an event", 1, func() { _, _ = decoder.Add(p, false, text) }},
		{"look at an event", 0, func() { _, _, _ = in.Data.Name(), in.Data.Len(), in.Data.Value(0) }},
		{"tell what it is", 0, func() { _, _, _ = parser.JSON.Peek(false, text) }},
		{"decode an attachment", 8, func() {
			_, _ = decoder.Add(p, false, binary[0].Data)
			_, _ = decoder.Add(p, true, binary[1].Data)
		}},
	} {
		if got := testing.AllocsPerRun(1000, test.f); got > test.want {
			t.Errorf("%s: %v allocations, want %v", test.what, got, test.want)
		}
	}
	_ = sink
}

func BenchmarkEncode(b *testing.B) {
	in := receive(b, parser.JSON, messages(helloText))
	picture := bytes.Repeat([]byte{1}, 10_000)
	for _, bench := range []struct {
		name   string
		packet parser.Packet
	}{
		{"scalars", event("message", "hello", 7)},
		{"struct", event("message", &hello)},
		{"map", event("message", map[string]any{"user": "ada", "text": "hello, world", "at": int64(1764000000000)})},
		{"relayed", *in},
		{"acknowledgement", parser.Packet{Type: parser.Ack, ID: 7, HasID: true, Data: parser.Values(in.Data.Value(0))}},
		{"binary", event("picture", "a.png", picture)},
		{"binary in a struct", event("picture", &struct {
			Name string
			Data []byte
		}{"a.png", picture})},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			var dst [2]parser.Message
			for b.Loop() {
				if _, err := parser.JSON.Encode(dst[:0], nil, &bench.packet); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("encoding json alone", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := json.Marshal(&hello); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkAppendArgument(b *testing.B) {
	p := event("message", &hello)
	m := encode(b, parser.JSON, &p)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parser.JSON.AppendArgument(m, "Q83Mk-d"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	long, _ := json.Marshal(bytes.Repeat([]byte("text "), 2000))
	for _, bench := range []struct {
		name string
		wire []parser.Message
	}{
		{"event", messages(helloText)},
		{"event with id", messages(`2/chat,17["message","hello"]`)},
		{"10 KB", messages(`2["message",` + string(long) + `]`)},
		{"binary", messages(`51-["picture","a.png",`+placeholder+`]`, string(make([]byte, 10_000)))},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			d := parser.JSON.NewDecoder(nil)
			p := new(parser.Packet)
			for b.Loop() {
				for _, m := range bench.wire {
					if _, err := d.Add(p, m.Binary, m.Data); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

func BenchmarkBind(b *testing.B) {
	picture := string(make([]byte, 10_000))
	for _, bench := range []struct {
		name string
		wire []parser.Message
		dst  []any
	}{
		{"struct", messages(helloText), []any{new(chat)}},
		{"string", messages(`2["message","hello, world"]`), []any{new(string)}},
		{"any", messages(helloText), []any{new(any)}},
		{"binary", messages(`51-["picture",`+placeholder+`]`, picture), []any{new([]byte)}},
		{"binary in a struct", messages(`51-["picture",{"data":`+placeholder+`}]`, picture), []any{new(struct{ Data []byte })}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			p := receive(b, parser.JSON, bench.wire)
			for b.Loop() {
				if err := p.Data.Bind(bench.dst...); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
