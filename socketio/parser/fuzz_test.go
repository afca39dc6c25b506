package parser_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"baro.dev/socketio/parser"
)

// No input makes a decoder panic; what it accepts can be bound, and comes out of the encoder as it went in.
func FuzzDecode(f *testing.F) {
	f.Add(`2["message",{"a":[1,2.50,"x"]},null]`, []byte(nil), []byte(nil))
	f.Add(`52-/admin,456["e",{"_placeholder":true,"num":1},{"x":[{"_placeholder":true,"num":0}]}]`, []byte("a"), []byte{})
	f.Add(`61-7[ {"num":0,"_placeholder":true,"y":{"_placeholder":true}} ]`, []byte("a"), []byte("b"))
	f.Add(`0/chat?token=abc,{"token":"x"}`, []byte(nil), []byte(nil))
	f.Add(`4/nsp,"no"`, []byte(nil), []byte(nil))
	f.Add(`41/custom`, []byte(nil), []byte(nil))
	f.Add(`2[12,"\ud800",{"\u005fplaceholder":true}]`, []byte(nil), []byte(nil))
	f.Fuzz(func(t *testing.T, text string, a, b []byte) {
		d := parser.JSON.NewDecoder(nil)
		typ, attachments, ok := parser.JSON.Peek(false, []byte(text))
		p, err := add(d, false, []byte(text))
		for i := 0; err == nil && p == nil; i++ {
			if d.Due() == 0 {
				t.Fatal("neither a packet nor an attachment due")
			}
			p, err = add(d, true, [][]byte{a, b}[i%2])
		}
		if err != nil {
			if wrong, ok := errors.AsType[*parser.Error](err); !ok || wrong.Offset > len(text) || p != nil || d.Due() != 0 {
				t.Fatalf("%v, %v, %d due", p, err, d.Due())
			}
			return
		}
		if !ok || typ != p.Type || attachments > parser.DefaultMaxAttachments {
			t.Fatalf("%v, and Peek says %v, %d, %v", p.Type, typ, attachments, ok)
		}
		for _, v := range p.Data.All() {
			var x any
			if err := v.Decode(&x); err != nil && !isNumber(err) {
				t.Fatalf("%s: %v", v, err)
			}
		}
		all := *p
		all.Data = parser.Values(p.Data.Args()...)
		if p.Type == parser.Event {
			all.Data = parser.EventData(p.Data.Name(), p.Data.Args()...)
		}
		for _, out := range []*parser.Packet{p, &all} {
			m, err := parser.JSON.Encode(nil, nil, out)
			if err != nil {
				t.Fatalf("cannot be relayed: %v", err)
			}
			again := receive(t, parser.JSON, m)
			if !equal(p, again) {
				t.Fatalf("was relayed as %s", show(m))
			}
		}
	})
}

func isNumber(err error) bool { // one that is too large for a float64
	return err.Error()[:len("json: cannot unmarshal number")] == "json: cannot unmarshal number"
}

func equal(a, b *parser.Packet) bool {
	if a.Type != b.Type || a.Namespace != b.Namespace || a.ID != b.ID || a.HasID != b.HasID ||
		a.Data.Name() != b.Data.Name() || a.Data.Len() != b.Data.Len() {
		return false
	}
	for i, v := range a.Data.All() {
		if v.String() != b.Data.Value(i).String() {
			return false
		}
	}
	return true
}

// Whatever the shape of what came and of what it is decoded into: nothing panics, and no marker is left behind.
func FuzzBind(f *testing.F) {
	f.Add(`{"plain":{"_placeholder":true,"num":0},"text":"x"}`)
	f.Add(`{"map":{"a":{"_placeholder":true,"num":1}},"any":[{"_placeholder":true,"num":0}],"self":{"slice":[null]}}`)
	f.Add(`{"text":{"_placeholder":true,"num":0}}`)
	f.Add(`[{"_placeholder":true,"num":0},"x",{"y":{"_placeholder":true,"num":1}}]`)
	f.Add(`{"pointer":{"_placeholder":true,"num":0},"array":[{"_placeholder":true,"num":1}],"numbers":[1,2]}`)
	f.Fuzz(func(t *testing.T, argument string) {
		d := parser.JSON.NewDecoder(nil)
		p, err := add(d, false, []byte(`52-["e",`+argument+`]`))
		for err == nil && p == nil {
			p, err = add(d, true, []byte("bytes"))
		}
		if err != nil {
			return
		}
		for _, dst := range []any{
			new(any), new(everything), new([]any), new(map[string]any), new(map[string][]byte), new([][]byte), new([]string),
			new(map[string]string), new(json.RawMessage), new(map[string]json.RawMessage), new(parser.Value), new([]parser.Value),
			new([]byte), new(string), new([4]any), new(map[string]struct{ Y parser.Value }), new([]struct{ Y **[]byte }),
			new([]*ownDecoder), new([]any),
		} {
			if v := p.Data.Value(0); v.Decode(dst) != nil {
				continue
			}
			out, err := json.Marshal(dst)
			if err != nil {
				continue
			}
			if bytes.Contains(out, []byte(parser.Secret())) {
				t.Fatalf("%T: %s", dst, out)
			}
			again := event("e", dst)
			m, err := parser.JSON.Encode(nil, nil, &again)
			if err != nil {
				t.Fatalf("%T: %s: %v", dst, out, err)
			}
			if strings.Contains(string(m[0].Data), parser.Secret()) {
				t.Fatalf("%T: %s", dst, m[0].Data)
			}
		}
	})
}

// What encoding/json can read, goes out and comes back as the same, with and without binary.
func FuzzEncode(f *testing.F) {
	f.Add("name", "text\u2028<\x00\xff", []byte("binary"), 1.5, int64(-1))
	f.Add("", "\"\\", []byte{}, 1e300, int64(1)<<62)
	f.Fuzz(func(t *testing.T, name, text string, data []byte, float float64, number int64) {
		if data == nil {
			data = []byte{}
		}
		if float != float || float-float != 0 {
			return
		}
		type object struct {
			Text   string
			Data   []byte
			More   map[string]any
			Number int64
		}
		in := object{text, data, map[string]any{text: []any{data, float}}, number}
		p := event(name, in, text, number)
		m, err := parser.JSON.Encode(nil, nil, &p)
		if err != nil {
			if parser.Reserved(name) {
				return
			}
			t.Fatal(err)
		}
		var out object
		var outText string
		var outNumber int64
		got := receive(t, parser.JSON, m)
		if err := got.Data.Bind(&out, &outText, &outNumber); err != nil {
			t.Fatal(err)
		}
		valid := clean(text)
		more, _ := out.More[valid].([]any)
		if got.Data.Name() != clean(name) || outText != valid || outNumber != number || out.Text != valid ||
			string(out.Data) != string(data) || out.Number != number || len(more) != 2 ||
			string(more[0].([]byte)) != string(data) || more[1] != float {
			t.Fatalf("%+v came back as %+v, %q, %d", in, out, outText, outNumber)
		}
	})
}

// clean replaces each byte that is not UTF-8, as encoding/json does.
func clean(s string) string { return string([]rune(s)) }
