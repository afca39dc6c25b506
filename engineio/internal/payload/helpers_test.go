package payload

import (
	"bytes"
	"errors"
	"slices"
	"testing"
)

func text(t Type, data string) Packet { return Packet{Type: t, Data: []byte(data)} }
func message(data string) Packet      { return text(Message, data) }
func bin(data string) Packet          { return Packet{Type: Message, Binary: true, Data: []byte(data)} }
func equal(a, b Packet) bool {
	return a.Type == b.Type && a.Binary == b.Binary && bytes.Equal(a.Data, b.Data)
}
func equalAll(a, b []Packet) bool { return slices.EqualFunc(a, b, equal) }
func formats() []Format           { return []Format{V4, V4Base64, V3, V3Base64} }
func payloadOf(f Format, p []Packet) []byte {
	out, _ := f.AppendPayload(nil, p)
	return out
}

// decode works on a copy of body, as decoding changes it.
func decode(t testing.TB, f Format, body string, binary bool) ([]Packet, error) {
	t.Helper()
	var all []Packet
	var failed error
	for p, err := range f.Packets([]byte(body), binary) {
		if failed != nil {
			t.Fatalf("%v: %q: something follows the error %v", f, body, failed)
		}
		if failed = err; err == nil {
			all = append(all, p)
		}
	}
	if failed != nil {
		wellFormed(t, failed, len(body), len(all))
	}
	return all, failed
}

// wellFormed checks that an error says what is wrong and where.
func wellFormed(t testing.TB, err error, size, packets int) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Err == nil || !errors.Is(err, e.Err) {
		t.Fatalf("an untyped error: %#v", err)
	}
	if e.Offset < 0 || e.Offset > size || e.Packet != packets {
		t.Fatalf("%v: with %d bytes and %d packets before it", err, size, packets)
	}
	for _, c := range []byte(err.Error()) {
		if c < ' ' || c > '~' {
			t.Fatalf("%q: not printable", err)
		}
	}
	return e
}
