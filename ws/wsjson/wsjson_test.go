package wsjson_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"baro.dev/ws"
	"baro.dev/ws/wsjson"
)

type point struct {
	X int    `json:"x"`
	S string `json:"s,omitempty"`
}

// pair returns both ends of a connection.
func pair(t testing.TB) (client, server *ws.Conn) {
	t.Helper()
	a, b := net.Pipe()
	client, server = ws.NewConn(a, true, "", nil), ws.NewConn(b, false, "", nil)
	t.Cleanup(func() {
		client.CloseNow()
		server.CloseNow()
	})
	return client, server
}

func TestWriteOnTheWire(t *testing.T) {
	for _, tt := range []struct {
		v    any
		want string
	}{
		{point{X: 1, S: "<a&b>"}, `{"x":1,"s":"<a&b>"}`}, // no HTML escaping
		{&point{X: 2}, `{"x":2}`},
		{nil, `null`},
		{"메세지\n", `"메세지\n"`}, // the newline of the value stays
		{json.RawMessage(` [1, 2] `), `[1,2]`},
		{[]int{}, `[]`},
	} {
		client, server := pair(t)
		if err := wsjson.Write(t.Context(), client, tt.v); err != nil {
			t.Fatal(err)
		}
		m, err := server.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if m.Type != ws.Text || m.String() != tt.want {
			t.Errorf("%#v came as %v %q, want %q", tt.v, m.Type, m.Data, tt.want)
		}
	}
}

func TestRead(t *testing.T) {
	ctx := t.Context()
	client, server := pair(t)
	// Text and binary alike.
	for _, typ := range []ws.MessageType{ws.Text, ws.Binary} {
		if err := client.Write(ctx, typ, []byte(` {"x":7,"s":"a"} `)); err != nil {
			t.Fatal(err)
		}
		if v, err := wsjson.Read[point](ctx, server); err != nil || v != (point{7, "a"}) {
			t.Fatal(v, err)
		}
	}
	client.Write(ctx, ws.Text, []byte(`{"x":8}`))
	v := point{X: 1, S: "kept"}
	if err := wsjson.ReadInto(ctx, server, &v); err != nil || v != (point{8, "kept"}) {
		t.Fatal(v, err)
	}
	wsjson.Write(ctx, client, map[string]any{"n": 1})
	if v, err := wsjson.Read[map[string]any](ctx, server); err != nil || v["n"] != 1.0 {
		t.Fatal(v, err)
	}
}

// own is a type with an UnmarshalJSON that refuses.
type own struct{}

var errOwn = errors.New("not today")

func (*own) UnmarshalJSON([]byte) error { return errOwn }

func TestMalformed(t *testing.T) {
	read := wsjson.Read[point]
	for _, tt := range []struct {
		text   string
		offset int64
		syntax bool
	}{
		{``, 0, true},
		{`{`, 1, true},
		{`{"x":1} {"x":2}`, 9, true}, // one value a message
		{`{"x":nul}`, 9, true},
		{"{\"x\":1}\n]", 9, true},
		{`{"x":"1"}`, 8, false},
		{`[]`, 1, false},
		{`{"x":1e99}`, 9, false},
		{"\x00", 1, true},
	} {
		t.Run(tt.text, func(t *testing.T) {
			ctx := t.Context()
			client, server := pair(t)
			client.Write(ctx, ws.Text, []byte(tt.text))
			v, err := read(ctx, server)
			var de *wsjson.DecodeError
			if !errors.As(err, &de) || v != (point{}) {
				t.Fatalf("%v, %v", v, err)
			}
			if de.Offset != tt.offset || !strings.Contains(err.Error(), fmt.Sprintf("byte %d", tt.offset)) {
				t.Errorf("offset %d, want %d: %v", de.Offset, tt.offset, err)
			}
			var syntax *json.SyntaxError
			var mismatch *json.UnmarshalTypeError
			if errors.As(err, &syntax) != tt.syntax || errors.As(err, &mismatch) == tt.syntax {
				t.Errorf("%#v", de.Err)
			}
			// The connection is as it was.
			client.Write(ctx, ws.Text, []byte(`{"x":3}`))
			if v, err := read(ctx, server); err != nil || v.X != 3 {
				t.Fatal(v, err)
			}
		})
	}
	_, err := wsjson.Decode[own](ws.Message{Data: []byte(`1`)})
	var de *wsjson.DecodeError
	if !errors.As(err, &de) || de.Offset != -1 || !errors.Is(err, errOwn) || strings.Contains(err.Error(), "byte") {
		t.Error(err)
	}
}

// A mistake of the caller's does not cost a message.
func TestReadIntoNothing(t *testing.T) {
	ctx := t.Context()
	client, server := pair(t)
	wsjson.Write(ctx, client, point{X: 5})
	for _, v := range []any{nil, point{}, (*point)(nil)} {
		var invalid *json.InvalidUnmarshalError
		if err := wsjson.ReadInto(ctx, server, v); !errors.As(err, &invalid) {
			t.Fatalf("%#v: %v", v, err)
		}
	}
	if v, err := wsjson.Read[point](ctx, server); err != nil || v.X != 5 {
		t.Fatal(v, err)
	}
}

func TestUnencodable(t *testing.T) {
	ctx := t.Context()
	client, server := pair(t)
	var unsupported *json.UnsupportedTypeError
	if err := wsjson.Write(ctx, client, map[string]any{"a": 1, "b": make(chan int)}); !errors.As(err, &unsupported) {
		t.Fatal(err)
	}
	// Nothing of it left, nor stays in the buffer.
	if err := wsjson.Write(ctx, client, point{X: 6}); err != nil {
		t.Fatal(err)
	}
	if m, err := server.Read(ctx); err != nil || m.String() != `{"x":6}` {
		t.Fatal(m, err)
	}
}

func TestMessages(t *testing.T) {
	ctx := t.Context()
	client, server := pair(t)
	go func() {
		wsjson.Write(ctx, client, []byte("first, and kept"))
		client.Write(ctx, ws.Text, []byte(`{"broken`))
		wsjson.Write(ctx, client, []byte("second"))
		client.Close(ctx, ws.StatusNormalClosure, "")
	}()
	var got []string
	var values [][]byte
	for v, err := range wsjson.Messages[[]byte](ctx, server) {
		var de *wsjson.DecodeError
		switch {
		case errors.As(err, &de):
			got = append(got, fmt.Sprint("error at ", de.Offset))
		case err != nil:
			t.Fatal(err)
		default:
			got = append(got, "value")
			values = append(values, v)
		}
	}
	if fmt.Sprint(got) != "[value error at 8 value]" {
		t.Error(got)
	}
	if fmt.Sprintf("%s", values) != "[first, and kept second]" {
		t.Errorf("%s", values)
	}
}

// The last step has the error, and a loop may be left at any step.
func TestMessagesEnd(t *testing.T) {
	ctx := t.Context()
	client, server := pair(t)
	for i := range 3 {
		go wsjson.Write(ctx, client, i)
		for v, err := range wsjson.Messages[int](ctx, server) {
			if err != nil || v != i {
				t.Fatal(v, err)
			}
			break
		}
	}
	client.CloseNow()
	var last error
	for _, err := range wsjson.Messages[int](ctx, server) {
		last = err
	}
	if !errors.Is(last, io.ErrUnexpectedEOF) {
		t.Fatal(last)
	}
	if _, err := wsjson.Read[int](ctx, server); ws.CloseStatus(err) != ws.StatusAbnormalClosure {
		t.Fatal(err)
	}
	var v int
	if err := wsjson.ReadInto(ctx, server, &v); ws.CloseStatus(err) != ws.StatusAbnormalClosure {
		t.Fatal(err)
	}
}

func TestCancelled(t *testing.T) {
	client, server := pair(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := wsjson.Read[int](ctx, server); err != context.Canceled {
		t.Fatal(err)
	}
	wsjson.Write(t.Context(), client, 9)
	if v, err := wsjson.Read[int](t.Context(), server); err != nil || v != 9 {
		t.Fatal(v, err)
	}
}

// Pooled buffers are never shared by two writers, and large ones not kept.
func TestConcurrentWrites(t *testing.T) {
	ctx := t.Context()
	client, server := pair(t)
	const writers, each = 8, 50
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for range each {
				if err := wsjson.Write(ctx, client, point{i, strings.Repeat(string(rune('a'+i)), 1<<(i*2+2))}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range writers * each {
		v, err := wsjson.Read[point](ctx, server)
		if err != nil {
			t.Fatal(err)
		}
		if v.S != strings.Repeat(string(rune('a'+v.X)), 1<<(v.X*2+2)) {
			t.Fatalf("writer %d sent %.40q… of %d bytes", v.X, v.S, len(v.S))
		}
	}
	wg.Wait()
}
