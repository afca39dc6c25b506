package msgpack_test

import (
	"encoding/hex"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tinylib/msgp/msgp"

	"baro.dev/socketio/parser"
	"baro.dev/socketio/parser/msgpack"
)

// add gives a decoder a message. There is a packet if the message completes one.
func add(d parser.Decoder, binary bool, data []byte) (*parser.Packet, error) {
	p := new(parser.Packet)
	complete, err := d.Add(p, binary, data)
	if !complete || err != nil {
		return nil, err
	}
	return p, nil
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

// decode must succeed; the message is spoiled.
func decode(t testing.TB, wire []byte) *parser.Packet {
	t.Helper()
	lent := append([]byte{}, wire...)
	p, err := add(msgpack.Codec.NewDecoder(nil), true, lent)
	clear(lent)
	if err != nil || p == nil {
		t.Fatalf("%x: %v, %v", wire, p, err)
	}
	return p
}

func encode(t testing.TB, codec parser.Codec, p *parser.Packet) []byte {
	t.Helper()
	m, err := codec.Encode(nil, nil, p)
	if err != nil {
		t.Fatal(err)
	}
	return m[0].Data
}

func event(name string, args ...any) parser.Packet {
	return parser.Packet{Type: parser.Event, Data: parser.EventData(name, args...)}
}

// packet makes the wire form of an event whose only argument is given in hexadecimal.
func packet(argument string) []byte {
	b := unhex("83 a474797065 02 a36e7370 a12f a464617461 92 a165")
	return append(b, unhex(argument)...)
}

// What the official packages were seen to send, server and client.
func TestCaptures(t *testing.T) {
	for _, test := range []struct {
		wire string
		json string // the same by the default codec
	}{
		{"83a47479706500a46461746181a5746f6b656ea174a36e7370a12f", `0{"token":"t"}`},
		{"83a47479706500a46461746182a3736964b4536d59646a786c47354c6d3041796a4541414141a3706964d40000a36e7370a12f",
			`0{"sid":"SmYdjxlG5Lm0AyjEAAAA","pid":null}`},
		{"83a47479706502a46461746192a26869c40101a36e7370a12f", `51-["hi",{"_placeholder":true,"num":0}]`},
		{"85a47479706502a46461746192a171a178a76f7074696f6e7381a8636f6d7072657373c3a2696400a36e7370a12f", `20["q","x"]`},
		{"84a2696400a47479706503a46461746191a178a36e7370a12f", `30["x"]`},
		{"82a47479706501a36e7370a12f", `1`},
		// undefined and nil in place of what is not there
		{"84a47479706501a36e7370a12fa26964d40000a464617461d40000", `1`},
		{"84a47479706500a36e7370a22f61a26964c0a464617461c0", `0/a,`},
		{"83a47479706504a36e7370a12fa464617461a26e6f", `4"no"`},
		{"83a47479706502a36e7370a12fa4646174619107", `2[7]`},
	} {
		wire := unhex(test.wire)
		p := decode(t, wire)
		if got := string(encode(t, parser.JSON, p)); got != test.json {
			t.Errorf("%s\nis %s, want %s", test.wire, got, test.json)
		}
		typ, n, ok := msgpack.Codec.Peek(true, wire)
		if typ != p.Type || n != 0 || !ok {
			t.Errorf("%s: Peek says %v %d %v", test.wire, typ, n, ok)
		}
		// To clients of this codec it goes as it came, undefined and all.
		again := decode(t, encode(t, msgpack.Codec, p))
		if !same(p, again) {
			t.Errorf("%s\nwas relayed as %x", test.wire, encode(t, msgpack.Codec, p))
		}
	}
	p := event("hi", []byte{1})
	if got := hex.EncodeToString(encode(t, msgpack.Codec, &p)); got != "83a47479706502a36e7370a12fa46461746192a26869c40101" {
		t.Errorf("sent %s", got)
	}
}

func same(a, b *parser.Packet) bool {
	if a.Type != b.Type || a.Namespace != b.Namespace || a.ID != b.ID || a.HasID != b.HasID ||
		a.Data.Name() != b.Data.Name() || a.Data.Len() != b.Data.Len() {
		return false
	}
	for i, v := range a.Data.All() {
		if !reflect.DeepEqual(v, b.Data.Value(i)) {
			return false
		}
	}
	return true
}

type inner struct{ B []byte }

type sample struct {
	inner
	Name    string         `json:"name"`
	Number  int64          `json:"number"`
	Big     uint64         `json:"big"`
	Float   float64        `json:"float"`
	Quoted  int            `json:"quoted,string"`
	Bytes   []byte         `json:"bytes"`
	None    []byte         `json:"none,omitempty"`
	Hidden  string         `json:"-"`
	When    time.Time      `json:"when"`
	Map     map[string]any `json:"map"`
	List    []int          `json:"list"`
	Pointer *string        `json:"pointer"`
	True    bool           `json:"true"`
}

// The same types go both ways by both codecs.
func TestRoundTrip(t *testing.T) {
	text := "é\x00\"" + strings.Repeat("long ", 100)
	v := sample{inner: inner{[]byte("in")}, Name: text, Number: math.MinInt64, Big: math.MaxUint64, Float: -1.5e-300, Quoted: 7,
		Bytes: []byte(strings.Repeat("\xff", 70_000)), When: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC),
		Map:  map[string]any{"a": []any{nil, true, 1.0, "s", []byte("x"), map[string]any{}}, "": []any{}},
		List: make([]int, 70_000), True: true}
	v.List[69_999] = -129
	p := event("e", v, &text)
	for name, codec := range map[string]parser.Codec{"JSON": parser.JSON, "MessagePack": msgpack.Codec} {
		m, err := codec.Encode(nil, nil, &p)
		if err != nil {
			t.Fatal(err)
		}
		d := codec.NewDecoder(nil)
		var in *parser.Packet
		for _, m := range m {
			if in, err = add(d, m.Binary, m.Data); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		var got sample
		var gotText string
		if err := in.Data.Bind(&got, &gotText); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !reflect.DeepEqual(got, v) || gotText != text {
			t.Errorf("%s: %+v", name, got)
		}
		// Relayed to clients of the other codec and back.
		other := msgpack.Codec
		if codec == other {
			other = parser.JSON
		}
		all := event("e", in.Data.Args()...)
		for _, out := range []*parser.Packet{in, &all} {
			m, err = other.Encode(nil, nil, out)
			if err != nil {
				t.Fatal(err)
			}
			d := other.NewDecoder(nil)
			for _, m := range m {
				if in, err = add(d, m.Binary, m.Data); err != nil {
					t.Fatalf("%s: relayed: %v", name, err)
				}
			}
			got = sample{}
			if err := in.Data.Bind(&got); err != nil || !reflect.DeepEqual(got, v) {
				t.Errorf("%s: relayed: %v", name, err)
			}
		}
	}
}

func TestAppendArgument(t *testing.T) {
	many := make([]any, 14)
	for i := range many {
		many[i] = i
	}
	for _, p := range []parser.Packet{event("e"), event("e", 1), event("e", many...),
		{Type: parser.Ack, ID: 1, HasID: true, Data: parser.Values([]byte("b"))}} {
		m, err := msgpack.Codec.Encode(nil, nil, &p)
		if err != nil {
			t.Fatal(err)
		}
		longer, err := msgpack.Codec.AppendArgument(m, "offset")
		if err != nil {
			t.Fatal(err)
		}
		p.Data = p.Data.Append("offset")
		if got, want := longer[0].Data, encode(t, msgpack.Codec, &p); string(got) != string(want) {
			t.Errorf("%x, want %x", got, want)
		}
		in := decode(t, m[0].Data)
		in.Data = in.Data.Append("offset")
		if got := encode(t, msgpack.Codec, in); string(got) != string(longer[0].Data) {
			t.Errorf("what came: %x", got)
		}
	}
	// The official order, data not last.
	longer, err := msgpack.Codec.AppendArgument([]parser.Message{{Binary: true, Data: unhex("84a2696400a47479706503a46461746191a178a36e7370a12f")}}, "o")
	if err != nil || hex.EncodeToString(longer[0].Data) != "84a2696400a47479706503a46461746192a178a16fa36e7370a12f" {
		t.Errorf("%v, %v", longer, err)
	}
	for _, m := range [][]parser.Message{nil, {{Data: []byte(`2["a"]`)}}, {{Binary: true}}, {{Binary: true, Data: unhex("82a47479706501a36e7370a12f")}}} {
		if _, err := msgpack.Codec.AppendArgument(m, "o"); err == nil {
			t.Errorf("%v took an argument", m)
		}
	}
}

func TestCannotBeEncoded(t *testing.T) {
	for _, p := range []parser.Packet{
		event("e", make(chan int)), event("connect"), {Type: parser.Connect, Data: parser.Values(7)},
		{Type: parser.Ack}, {Type: 5}, {Type: parser.Connect, Namespace: "/a,b"},
	} {
		if m, err := msgpack.Codec.Encode(nil, nil, &p); err == nil {
			t.Errorf("%+v was encoded as %x", p, m[0].Data)
		}
	}
	p := event("e", 1, make(chan int))
	_, err := msgpack.Codec.Encode(nil, nil, &p)
	if wrong, ok := errors.AsType[*parser.ArgumentError](err); !ok || wrong.Index != 1 {
		t.Errorf("%v", err)
	}
}

// Another implementation reads what is sent.
func TestAnotherImplementation(t *testing.T) {
	p := event("e", map[string]any{"b": []byte{1}, "n": -7, "s": strings.Repeat("x", 300), "f": 0.5, "l": []int{1, 2}})
	got, rest, err := msgp.ReadMapStrIntfBytes(encode(t, msgpack.Codec, &p), nil)
	want := map[string]any{"type": int64(2), "nsp": "/", "data": []any{"e", map[string]any{
		"b": []byte{1}, "n": int64(-7), "s": strings.Repeat("x", 300), "f": 0.5, "l": []any{int64(1), int64(2)}}}}
	if err != nil || len(rest) > 0 || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v, %d bytes left", got, err, len(rest))
	}
}
