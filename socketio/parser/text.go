package parser

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
	"sync"

	"baro.dev/internal/jsonstring"
)

// A Text is JSON being written, with the binary values in it kept aside: what the values of every codec can be turned
// into. Only who writes a codec needs it. The zero Text is empty. Not for concurrent use.
type Text struct {
	// JSON has a placeholder, {"_placeholder":true,"num":0}, in place of each binary value.
	JSON []byte
	// Binaries are the binary values, in the order of their placeholders.
	Binaries []Binary

	encoder *json.Encoder // writes to this Text
}

// A Binary is a binary value of a [Text].
type Binary struct {
	Start, End int // where its placeholder stands in the JSON
	Data       []byte
	// Shared: nobody changes Data any more. What is not shared belongs to the caller, and is copied before it is sent.
	Shared bool
}

// AppendBinary appends a placeholder for data.
func (t *Text) AppendBinary(data []byte, shared bool) {
	start := len(t.JSON)
	t.JSON = append(t.JSON, `{"_placeholder":true,"num":`...)
	t.JSON = strconv.AppendInt(t.JSON, int64(len(t.Binaries)), 10)
	t.JSON = append(t.JSON, '}')
	t.Binaries = append(t.Binaries, Binary{start, len(t.JSON), data, shared})
}

// AppendString appends s as a JSON string. What is not UTF-8 in it becomes U+FFFD.
func (t *Text) AppendString(s string) { t.JSON = jsonstring.Append(t.JSON, s) }

// AppendValue appends a received value: as it came if that was JSON.
func (t *Text) AppendValue(v Value) error {
	switch f := v.format; {
	case f == nil:
		t.JSON = append(t.JSON, "null"...)
		return nil
	case f.text:
		t.appendPlaces(v.raw, f.base, f.binary)
		return nil
	case f.given:
		return t.AppendGo(f.value)
	}
	return v.format.AppendJSON(t, v.raw)
}

// appendPlaces appends JSON text that came, which begins base bytes into its packet, and numbers its binaries anew.
func (t *Text) appendPlaces(raw string, base uint32, from *binaries) {
	at := 0
	for _, p := range from.within(base, len(raw)) {
		t.JSON = append(t.JSON, raw[at:p.Start-int(base)]...)
		t.AppendBinary(from.data[p.Number], true)
		at = p.End - int(base)
	}
	t.JSON = append(t.JSON, raw[at:]...)
}

// base64 returns the JSON with base64 in place of the placeholders, as encoding/json would write it.
func (t *Text) base64() []byte {
	if len(t.Binaries) == 0 {
		return t.JSON
	}
	var text []byte
	at := 0
	for _, b := range t.Binaries {
		text = append(text, t.JSON[at:b.Start]...)
		text = append(text, '"')
		text = base64.StdEncoding.AppendEncode(text, b.Data)
		text = append(text, '"')
		at = b.End
	}
	return append(text, t.JSON[at:]...)
}

// Write appends p to the JSON.
func (t *Text) Write(p []byte) (int, error) {
	t.JSON = append(t.JSON, p...)
	return len(p), nil
}

// Reset empties t and keeps its room.
func (t *Text) Reset() {
	clear(t.Binaries)
	t.JSON, t.Binaries = t.JSON[:0], t.Binaries[:0]
}

// GetText returns an empty Text that was used before, for one encoding or decoding.
func GetText() *Text { return texts.Get().(*Text) }

// PutText gives back a Text of [GetText]: nothing of it is used any more, its JSON included.
func PutText(t *Text) {
	if cap(t.JSON) > 64<<10 {
		return
	}
	t.Reset()
	texts.Put(t)
}

// texts is a cache, not state.
var texts = sync.Pool{New: func() any { return new(Text) }}
