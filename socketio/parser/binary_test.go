package parser_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"baro.dev/socketio/parser"
)

type Named []byte

type small byte

type embedded struct {
	Inner []byte `json:"inner"`
}

type pointed struct{ Far []byte }

type Embedded struct{ Shown []byte }

type everything struct {
	embedded
	*pointed
	Embedded
	lock     sync.Mutex        // must not be looked at
	Plain    []byte            `json:"plain"`
	Named    Named             `json:"named"`
	Small    []small           `json:"small"`
	Pointer  *[]byte           `json:"pointer"`
	Map      map[string][]byte `json:"map"`
	Slice    [][]byte          `json:"slice"`
	Array    [2][]byte         `json:"array"`
	Any      any               `json:"any"`
	Numbers  [3]byte           `json:"numbers"`
	Text     string            `json:"text"`
	Nil      []byte            `json:"nil"`
	Empty    []byte            `json:"empty"`
	Omitted  []byte            `json:"omitted,omitempty"`
	Omitted2 []byte            `json:"omitted2,omitzero"`
	Hidden   []byte            `json:"-"`
	Self     *everything       `json:"self,omitempty"`
}

// []byte wherever it can be leaves as an attachment, and comes back from where it was.
func TestBinaryEverywhere(t *testing.T) {
	pointer := []byte("pointer")
	v := &everything{
		embedded: embedded{[]byte("inner")}, pointed: &pointed{[]byte("far")}, Embedded: Embedded{[]byte("shown")},
		Plain: []byte("plain"), Named: Named("named"), Small: []small{1, 2}, Pointer: &pointer,
		Map: map[string][]byte{"b": []byte("mb"), "a": []byte("ma")}, Slice: [][]byte{nil, []byte("s1"), {}},
		Array: [2][]byte{[]byte("a0"), nil},
		Any:   map[string]any{"x": []any{1.5, []byte("any"), Named("n")}, "y": &Embedded{[]byte("deep")}},
		Text:  "text", Numbers: [3]byte{1, 2, 3}, Empty: []byte{}, Omitted: nil,
	}
	v.lock.Lock()
	defer v.lock.Unlock()
	before, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	p := event("e", v)
	m := encode(t, parser.JSON, &p)
	const want = `{"inner":0,"Far":1,"Shown":2,"plain":3,"named":4,"small":5,"pointer":6,"map":{"a":7,"b":8},` +
		`"slice":[null,9,10],"array":[11,null],"any":{"x":[1.5,12,13],"y":{"Shown":14}},"numbers":[1,2,3],"text":"text",` +
		`"nil":null,"empty":15}`
	short := undoPlaceholders(string(m[0].Data))
	if short != `516-["e",`+want+`]` {
		t.Errorf("encoded %s\nwant    516-[\"e\",%s]", short, want)
	}
	var attachments []string
	for _, a := range m[1:] {
		attachments = append(attachments, string(a.Data))
	}
	if got := strings.Join(attachments, " "); got != "inner far shown plain named \x01\x02 pointer ma mb s1  a0 any n deep " {
		t.Errorf("attachments %q", got)
	}
	if after, _ := json.Marshal(v); string(after) != string(before) {
		t.Errorf("encoding changed the value:\n%s\n%s", before, after)
	}

	d := parser.JSON.NewDecoder(&parser.Limits{MaxAttachments: 20})
	var in *parser.Packet
	for _, m := range m {
		if in, err = add(d, m.Binary, m.Data); err != nil {
			t.Fatal(err)
		}
	}
	got := &everything{pointed: new(pointed)}
	if err := in.Data.Bind(got); err != nil {
		t.Fatal(err)
	}
	got.lock.Lock()
	gotAny := got.Any
	if got.Any = v.Any; !reflect.DeepEqual(got, v) {
		t.Errorf("decoded %+v", got)
	}
	wantAny := map[string]any{"x": []any{1.5, []byte("any"), []byte("n")}, "y": map[string]any{"Shown": []byte("deep")}}
	if !reflect.DeepEqual(gotAny, wantAny) {
		t.Errorf("decoded %v, want %v", gotAny, wantAny)
	}
	var a any
	if err := in.Data.Bind(&a); err != nil || !reflect.DeepEqual(a.(map[string]any)["any"], wantAny) {
		t.Errorf("as any %v, %v", a, err)
	}
	// What is decoded belongs to who decoded it.
	clear(got.Plain)
	if err := in.Data.Bind(got); err != nil || string(got.Plain) != "plain" {
		t.Errorf("decoded again: %q, %v", got.Plain, err)
	}
}

func undoPlaceholders(s string) string {
	for {
		before, after, ok := strings.Cut(s, `{"_placeholder":true,"num":`)
		if !ok {
			return s
		}
		number, after, _ := strings.Cut(after, "}")
		s = before + number + after
	}
}

type ownJSON struct{ B []byte }

func (o ownJSON) MarshalJSON() ([]byte, error) { return json.Marshal("own:" + string(o.B)) }

type ownPointer struct{ B []byte }

func (o *ownPointer) MarshalText() ([]byte, error) { return []byte("text:" + string(o.B)), nil }

// Types that write themselves are left alone.
func TestOwnMarshalers(t *testing.T) {
	for _, test := range []struct {
		arg  any
		want string
	}{
		{ownJSON{[]byte("a")}, `"own:a"`},
		{[]any{ownJSON{[]byte("a")}, &ownPointer{[]byte("b")}}, `["own:a","text:b"]`},
		{struct{ J json.RawMessage }{json.RawMessage(`{"x":1.0}`)}, `{"J":{"x":1.0}}`},
		{json.RawMessage(` {"x": 1.0}`), ` {"x": 1.0}`},
		{json.RawMessage(nil), `null`},
		{net.IPv4(127, 0, 0, 1), `"127.0.0.1"`},
		{time.Unix(0, 0).UTC(), `"1970-01-01T00:00:00Z"`},
		{json.Number("1.50"), `1.50`},
		{[]any{nil, (*everything)(nil), []byte(nil), map[string][]byte(nil)}, `[null,null,null,null]`},
		{map[int]float64{1: 1e21}, `{"1":1e+21}`},
		{base64.StdEncoding, `{}`},
	} {
		p := event("e", test.arg)
		if got := show(encode(t, parser.JSON, &p)); got != `2["e",`+test.want+`]` {
			t.Errorf("%T: %s, want %s", test.arg, got, test.want)
		}
	}
}

type ring struct {
	Next *ring
	B    []byte
}

func TestCannotBeEncoded(t *testing.T) {
	r := &ring{}
	r.Next = r
	for _, arg := range []any{make(chan int), func() {}, r, map[string]any{"x": []any{make(chan int)}}, json.RawMessage(`{`), json.RawMessage(`1 2`)} {
		p := event("e", 1, arg)
		m, err := parser.JSON.Encode(nil, nil, &p)
		wrong, ok := errors.AsType[*parser.ArgumentError](err)
		if !ok || wrong.Index != 1 || m != nil {
			t.Errorf("%T: %v, %v", arg, m, err)
		}
	}
	for _, p := range []parser.Packet{
		{Type: 5}, {Type: parser.Event}, {Type: parser.Event, Data: parser.Values("a")}, event("connect"),
		{Type: parser.Ack}, {Type: parser.Connect, HasID: true}, {Type: parser.Ack, HasID: true, ID: parser.MaxID + 1},
		{Type: parser.Disconnect, Data: parser.Values(1)}, {Type: parser.Connect, Data: parser.Values(1)},
		{Type: parser.Connect, Data: parser.Values(map[string]any{}, 2)}, {Type: parser.ConnectError, Data: parser.Values([]byte("x"))},
		{Type: parser.Connect, Namespace: "chat"}, {Type: parser.Connect, Namespace: "/a,b"},
		{Type: parser.Connect, Namespace: "/" + strings.Repeat("a", parser.MaxNamespace)},
		{Type: parser.Ack, HasID: true, Data: parser.EventData("a")},
	} {
		if m, err := parser.JSON.Encode(nil, nil, &p); err == nil {
			t.Errorf("%+v was encoded as %s", p, show(m))
		}
	}
}

// What is encoded does not change when the caller changes what was given.
func TestEncodedIsACopy(t *testing.T) {
	b := []byte("before")
	p := event("e", b, map[string]any{"x": b})
	m := encode(t, parser.JSON, &p)
	copy(b, "after!")
	if string(m[1].Data) != "before" || string(m[2].Data) != "before" {
		t.Errorf("%s", show(m))
	}
	_ = append(m[0].Data, "overwrite"...)
	if string(m[1].Data) != "before" {
		t.Error("appending to one message changes the next")
	}
}
