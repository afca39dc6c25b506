package parser_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"runtime"
	"sync"
	"testing"

	"baro.dev/socketio/parser"
)

const placeholder = `{"_placeholder":true,"num":0}`

func TestBind(t *testing.T) {
	p := receive(t, parser.JSON, messages(`2["e", "a\u00e9", 7 ,{"x":[1,2]},null,"plain",true]`))
	var (
		a, b string
		n    int
		x    struct{ X []int }
		nul  *int
		yes  bool
		all  any
		raw  json.RawMessage
	)
	if p.Data.Name() != "e" || p.Data.Len() != 6 {
		t.Fatalf("%q, %d arguments", p.Data.Name(), p.Data.Len())
	}
	if err := p.Data.Bind(&a, &n, &x, &nul, &b, &yes); err != nil {
		t.Fatal(err)
	}
	if a != "aé" || n != 7 || !reflect.DeepEqual(x.X, []int{1, 2}) || nul != nil || b != "plain" || !yes {
		t.Errorf("%q %d %v %v %q %v", a, n, x, nul, b, yes)
	}
	if err := p.Data.Bind(nil, &all, &raw); err != nil || all != 7.0 || string(raw) != `{"x":[1,2]}` {
		t.Errorf("%v %s %v", all, raw, err)
	}
	for i, want := range []string{`"a\u00e9"`, `7`, `{"x":[1,2]}`, `null`, `"plain"`, `true`} {
		if got := p.Data.Value(i).String(); got != want {
			t.Errorf("argument %d is %s, want %s", i, got, want)
		}
	}
	for _, i := range []int{-1, 6, 1 << 30} {
		if v := p.Data.Value(i); !v.IsZero() || !errors.Is(v.Decode(&a), parser.ErrMissing) {
			t.Errorf("argument %d is %v", i, v)
		}
	}
}

// What is decoded without encoding/json is what it would have decoded.
func TestBindScalars(t *testing.T) {
	for _, raw := range []string{`0`, `-0`, `7`, `-7`, `1.5`, `1e3`, `1e400`, `9223372036854775807`, `9223372036854775808`, `true`, `false`,
		`null`, `"a"`, `"a\n"`, `"\ud83d\ude00"`, `""`, `"1"`, `"true"`, `"é"`, `[]`, `{}`} {
		p := receive(t, parser.JSON, messages(`2["e",`+raw+`]`))
		for _, same := range []func() any{
			func() any { return new(string) }, func() any { return new(bool) }, func() any { return new(int) },
			func() any { return new(float64) }, func() any { return new([]byte) }, func() any { return new(any) },
			func() any { return new(json.RawMessage) }, func() any { return new(uint8) },
		} {
			want, got := same(), same()
			wantErr, err := json.Unmarshal([]byte(raw), want), p.Data.Value(0).Decode(got)
			if !reflect.DeepEqual(got, want) || (err == nil) != (wantErr == nil) {
				t.Errorf("%s into %T: %v, %v; encoding/json %v, %v", raw, got, reflect.ValueOf(got).Elem(), err,
					reflect.ValueOf(want).Elem(), wantErr)
			}
		}
	}
}

func TestBindErrors(t *testing.T) {
	p := receive(t, parser.JSON, messages(`2["e",1,"a",{"x":"y"}]`))
	var n int
	var s string
	var x struct{ X int }
	var none *int
	for _, test := range []struct {
		dst   []any
		index int
		text  string
	}{
		{[]any{&s}, 0, "parser: argument 0: json: cannot unmarshal number into Go value of type string"},
		{[]any{&n, &n}, 1, "parser: argument 1: json: cannot unmarshal string into Go value of type int"},
		{[]any{&n, nil, &x}, 2, "parser: argument 2: json: cannot unmarshal string into Go struct field .X of type int"},
		{[]any{nil, nil, nil, &s}, 3, "parser: argument 3: missing"},
		{[]any{none}, 0, "parser: argument 0: json: Unmarshal(nil *int)"},
		{[]any{nil, s}, 1, "parser: argument 1: json: Unmarshal(non-pointer string)"},
	} {
		err := p.Data.Bind(test.dst...)
		wrong, ok := errors.AsType[*parser.ArgumentError](err)
		if !ok || wrong.Index != test.index || err.Error() != test.text {
			t.Errorf("%v, want %s", err, test.text)
		}
		if errors.Is(err, parser.ErrMissing) != (test.index == 3) {
			t.Errorf("%v: is it ErrMissing?", err)
		}
	}
	if err := p.Data.Bind(&n, &s, nil, nil, nil); err != nil {
		t.Errorf("what is not asked for need not be there: %v", err)
	}
}

// What may be missing is a pointer, an interface or a Value.
func TestBindOptional(t *testing.T) {
	p := receive(t, parser.JSON, messages(`2["e",1,null]`))
	was := 7
	n, null, gone, anything := new(int), &was, &was, any("old")
	value := p.Data.Value(0)
	if err := p.Data.Bind(&n, &null, &gone, &anything, &value); err != nil {
		t.Fatal(err)
	}
	if *n != 1 || null != nil || gone != nil || anything != nil || !value.IsZero() || was != 7 {
		t.Error(*n, null, gone, anything, value)
	}
	var s []string
	if err := p.Data.Bind(nil, nil, &gone, &s); !errors.Is(err, parser.ErrMissing) {
		t.Errorf("%v: a slice is not optional", err)
	}
}

type ownDecoder struct{ got string }

func (o *ownDecoder) UnmarshalJSON(b []byte) error { o.got = string(b); return nil }

type bytesByText []byte

func (b *bytesByText) UnmarshalText(text []byte) error { *b = append((*b)[:0], text...); return nil }

func TestBindBinary(t *testing.T) {
	p := receive(t, parser.JSON, messages(`51-["e",{"b":`+placeholder+`,"s":"s"}]`, "\xff\x00"))
	type raw struct{ B json.RawMessage }
	type value struct {
		B parser.Value
		S parser.Value
	}
	for _, test := range []struct {
		dst  any
		want any
	}{
		{new(any), map[string]any{"b": []byte("\xff\x00"), "s": "s"}},
		{new(struct{ B []byte }), struct{ B []byte }{[]byte("\xff\x00")}},
		{new(struct{ B Named }), struct{ B Named }{Named("\xff\x00")}},
		{new(struct{ B *[]byte }), struct{ B *[]byte }{&[]byte{0xff, 0}}},
		{new(struct{ B any }), struct{ B any }{[]byte("\xff\x00")}},
		{new(struct{ S any }), struct{ S any }{"s"}},
		{new(map[string]any), map[string]any{"b": []byte("\xff\x00"), "s": "s"}},
		{new(raw), raw{json.RawMessage(placeholder)}},
		{new(struct{ B ownDecoder }), struct{ B ownDecoder }{ownDecoder{`"/wA="`}}},
		{new(struct{ B bytesByText }), struct{ B bytesByText }{bytesByText("/wA=")}},
		{new(json.RawMessage), json.RawMessage(`{"b":` + placeholder + `,"s":"s"}`)},
	} {
		if err := p.Data.Bind(test.dst); err != nil {
			t.Errorf("%T: %v", test.dst, err)
		} else if got := reflect.ValueOf(test.dst).Elem().Interface(); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%T: %#v, want %#v", test.dst, got, test.want)
		}
	}
	var v value
	if err := p.Data.Bind(&v); err != nil || v.B.String() != `"/wA="` || v.S.String() != `"s"` {
		t.Errorf("%v %v %v", v.B, v.S, err)
	}
	again := event("again", v)
	if got := show(encode(t, parser.JSON, &again)); got != `51-["again",{"B":`+placeholder+`,"S":"s"}] <ff00>` {
		t.Errorf("relayed as %s", got)
	}
	for _, dst := range []any{new(struct{ B string }), new(struct{ B int }), new(map[string]string), new([]any), new(struct{ B [2]byte }),
		new(struct{ B json.Number })} {
		if _, ok := errors.AsType[*parser.ArgumentError](p.Data.Bind(dst)); !ok {
			t.Errorf("%T: decoded %v", dst, dst)
		}
	}
	loop := &struct {
		B    []byte
		Self any
	}{}
	loop.Self = loop
	if err := p.Data.Bind(loop); err != nil || string(loop.B) != "\xff\x00" {
		t.Errorf("%q, %v", loop.B, err)
	}
}

// Values of Go can be looked at like those that came.
func TestBindGo(t *testing.T) {
	p := event("e", map[string]any{"x": []byte("b")}, "text")
	var x struct{ X []byte }
	var s string
	if err := p.Data.Bind(&x, &s); err != nil || string(x.X) != "b" || s != "text" {
		t.Errorf("%q %q %v", x.X, s, err)
	}
	if got := p.Data.Args(); !reflect.DeepEqual(got, []any{map[string]any{"x": []byte("b")}, "text"}) {
		t.Errorf("%v", got)
	}
}

// Relayed one by one, with others between and in other values, nothing is decoded.
func TestRelay(t *testing.T) {
	p := receive(t, parser.JSON, messages(`52-["e",1.0, {"a" :`+`{"_placeholder":true,"num":1}`+`},[`+placeholder+`],1e2,"\u0041",5,6]`, "x", "y"))
	out := event("relay", []byte("own"), p.Data.Value(1), p.Data.Value(0), map[string]any{"in": p.Data.Value(2), "v": parser.Value{}},
		p.Data.Value(3), p.Data.Value(4), p.Data.Value(6), p.Data.Value(99))
	const want = `53-["relay",{"_placeholder":true,"num":0},{"a" :{"_placeholder":true,"num":1}},1.0,` +
		`{"in":[{"_placeholder":true,"num":2}],"v":null},1e2,"\u0041",6,null] <6f776e> <79> <78>`
	if got := show(encode(t, parser.JSON, &out)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	all := event("all", p.Data.Args()...)
	if got := show(encode(t, parser.JSON, &all)); got !=
		`52-["all",1.0,{"a" :`+placeholder+`},[{"_placeholder":true,"num":1}],1e2,"\u0041",5,6] <79> <78>` {
		t.Errorf("all of them: %s", got)
	}
}

// Connection state recovery adds the offset to the data, or to what is encoded already.
func TestAppend(t *testing.T) {
	for _, wire := range [][]parser.Message{
		messages(`2["hi",1]`), messages(`37[]`), messages(`37[ ]`), messages(`2/n,["hi"]`), messages(`51-["hi",`+placeholder+`]`, "x"),
	} {
		p := receive(t, parser.JSON, wire)
		before := encode(t, parser.JSON, p)
		longer, err := parser.JSON.AppendArgument(before, "Q83Mk-d\"")
		if err != nil {
			t.Fatal(err)
		}
		if show(encode(t, parser.JSON, p)) != show(before) {
			t.Error("what was encoded has changed")
		}
		n := p.Data.Len()
		p.Data = p.Data.Append("Q83Mk-d\"")
		if got, want := show(longer), show(encode(t, parser.JSON, p)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		var offset string
		if err := p.Data.Value(n).Decode(&offset); err != nil || offset != "Q83Mk-d\"" || p.Data.Len() != n+1 {
			t.Errorf("%q, %v", offset, err)
		}
		got := receive(t, parser.JSON, longer)
		if err := got.Data.Value(n).Decode(&offset); err != nil || offset != "Q83Mk-d\"" {
			t.Errorf("%q, %v", offset, err)
		}
	}
	for _, wire := range [][]parser.Message{nil, messages(``), messages(`0`), messages(`4"a"`), messages(`0{}`), {{Binary: true, Data: []byte("x")}}} {
		if m, err := parser.JSON.AppendArgument(wire, "x"); err == nil {
			t.Errorf("%s became %s", show(wire), show(m))
		}
	}
}

// A packet that came, and a type that was not seen before, may be used by any number of goroutines.
func TestConcurrently(t *testing.T) {
	type object struct {
		A any
		B []byte
	}
	p := receive(t, parser.JSON, messages(`51-["e",{"A":[1],"B":`+placeholder+`},"x"]`, "bytes"))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				var o object
				var s string
				if err := p.Data.Bind(&o, &s); err != nil || string(o.B) != "bytes" || s != "x" {
					t.Errorf("%+v, %q, %v", o, s, err)
				}
				clear(o.B)
				out := event("out", p.Data.Value(0), &object{B: []byte("own")})
				m, err := parser.JSON.Encode(nil, nil, &out)
				if err != nil || show(m[1:]) != "<6279746573> <6f776e>" {
					t.Errorf("%s, %v", show(m), err)
				}
			}
		})
	}
	wg.Wait()
}

// Retained is what came, not what was declared.
func TestPendingHoldsWhatCame(t *testing.T) {
	limits := &parser.Limits{MaxAttachments: 1 << 30}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	d := parser.JSON.NewDecoder(limits)
	if _, err := add(d, false, []byte(`51000000000-["a"]`)); err != nil || d.Due() != 1_000_000_000 {
		t.Errorf("%v, %d due", err, d.Due())
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 16<<10 {
		t.Errorf("%d bytes for attachments that did not come", n)
	}
}

func TestManyArguments(t *testing.T) {
	p := receive(t, parser.JSON, messages(`2[12, 0 ,1, "2" ,{"a":3}, [4] ,5,6,7]`))
	if p.Data.Name() != "12" || p.Data.Len() != 8 {
		t.Fatalf("%q, %d", p.Data.Name(), p.Data.Len())
	}
	want := []string{`0`, `1`, `"2"`, `{"a":3}`, `[4]`, `5`, `6`, `7`}
	for i, v := range p.Data.All() {
		if v.String() != want[i] || p.Data.Value(i).String() != want[i] {
			t.Errorf("argument %d is %s and %s, want %s", i, v, p.Data.Value(i), want[i])
		}
	}
	var last int
	if err := p.Data.Bind(nil, nil, nil, nil, nil, nil, nil, &last); err != nil || last != 7 {
		t.Errorf("%d, %v", last, err)
	}
}
