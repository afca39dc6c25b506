package parser

import (
	"baro.dev/socketio/internal/jsonscan"
)

// A Value is one argument as it came, not decoded. It never changes, may be kept, and may be used by any number of
// goroutines; it keeps the bytes of its packet alive. Given as an argument, or anywhere within one, it is relayed: the
// codec that it came by copies it, numbers and all as they were written, and carries its attachments over; another
// codec translates it.
//
// The zero Value is that of an argument which is not there: decoding it is [ErrMissing], and it is encoded as null.
//
// As part of a type that is decoded into, a Value takes what is there undecoded; what came by another codec than the
// default one is translated to that first.
type Value struct {
	raw    string
	format *Format
}

// binaries are the attachments of a packet and where their placeholders stand, in order.
type binaries struct {
	places []jsonscan.Place
	data   [][]byte
}

// within returns the places within n bytes from base.
func (b *binaries) within(base uint32, n int) []jsonscan.Place {
	if b == nil {
		return nil
	}
	places := b.places
	for len(places) > 0 && places[0].Start < int(base) {
		places = places[1:]
	}
	for len(places) > 0 && places[len(places)-1].End > int(base)+n {
		places = places[:len(places)-1]
	}
	return places
}

// MakeValue is for who writes a codec: a value of format f that was checked.
func MakeValue(f *Format, raw string) Value { return Value{raw, f} }

// Raw returns the value as it is written in format f, and false if it came in another. JSON may have placeholders for
// attachments.
func (v Value) Raw(f *Format) (raw string, ok bool) {
	if v.format == nil || v.format != f {
		return "", false
	}
	return v.raw, true
}

// Size returns how many bytes the value came in, its attachments not among them.
func (v Value) Size() int { return len(v.raw) }

// IsZero reports whether v is the zero Value.
func (v Value) IsZero() bool { return v.format == nil }

// Decode decodes the value into dst, a pointer, as [encoding/json.Unmarshal] would, whichever codec it came by. Where
// the value has binary, dst must have a []byte or an any, in which it becomes a []byte; either is a copy that belongs to
// the caller. A type with its own UnmarshalJSON or UnmarshalText gets the base64 of it, as encoding/json would make of
// a []byte.
func (v Value) Decode(dst any) error {
	if to, ok := dst.(*Value); ok {
		*to = v
		return nil
	}
	switch f := v.format; {
	case f == nil:
		return ErrMissing
	case f.text:
		return decode(v.raw, f.base, f.binary, dst)
	}
	t := GetText()
	defer PutText(t)
	if err := t.AppendValue(v); err != nil {
		return err
	}
	return decode(string(t.JSON), 0, t.binaries(), dst)
}

// binaries makes what is aside in t look like the attachments of a packet.
func (t *Text) binaries() *binaries {
	if len(t.Binaries) == 0 {
		return nil
	}
	b := new(binaries)
	for i, from := range t.Binaries {
		b.places = append(b.places, jsonscan.Place{Start: from.Start, End: from.End, Number: i})
		b.data = append(b.data, from.Data)
	}
	return b
}

// MarshalJSON gives the value as JSON, with base64 for what is binary.
func (v Value) MarshalJSON() ([]byte, error) {
	t := new(Text)
	if err := t.AppendValue(v); err != nil {
		return nil, err
	}
	return t.base64(), nil
}

// UnmarshalJSON takes a copy of data.
func (v *Value) UnmarshalJSON(data []byte) error {
	*v = Value{string(data), textFormat}
	return nil
}

// String gives the value as JSON, for people to read.
func (v Value) String() string {
	text, err := v.MarshalJSON()
	if err != nil {
		return "!(" + err.Error() + ")"
	}
	return string(text)
}

// textFormat is the format of the default codec, for values without binary.
var textFormat = &Format{text: true, Next: nextText, AppendJSON: appendText}

func textWith(b *binaries) *Format {
	if b == nil {
		return textFormat
	}
	return &Format{text: true, Next: nextText, AppendJSON: appendText, binary: b}
}

func nextText(raw string, from int) (start, end int) {
	start = jsonscan.Space(raw, from)
	if from > 0 { // behind a value, and a comma
		start = jsonscan.Space(raw, start+1)
	}
	return start, jsonscan.Skip(raw, start)
}

func appendText(t *Text, value string) error {
	t.JSON = append(t.JSON, value...)
	return nil
}

// from is the format of a value that begins at base.
func (f *Format) from(base uint32) *Format {
	if f.binary == nil {
		return f
	}
	with := *f
	with.base = base
	return &with
}
