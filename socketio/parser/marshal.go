package parser

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"unsafe"

	"baro.dev/socketio/internal/jsonscan"
)

// AppendGo appends an argument: a value of Go, or a [Value].
func (t *Text) AppendGo(v any) error {
	switch v := v.(type) {
	case nil:
		t.JSON = append(t.JSON, "null"...)
	case string:
		t.AppendString(v)
	case bool:
		t.JSON = strconv.AppendBool(t.JSON, v)
	case int:
		t.JSON = strconv.AppendInt(t.JSON, int64(v), 10)
	case int64:
		t.JSON = strconv.AppendInt(t.JSON, v, 10)
	case uint64:
		t.JSON = strconv.AppendUint(t.JSON, v, 10)
	case []byte:
		if v == nil {
			return t.AppendGo(nil)
		}
		t.AppendBinary(v, false)
	case json.RawMessage:
		return t.appendRaw(v)
	case Value:
		return t.AppendValue(v)
	default:
		return t.marshal(v)
	}
	return nil
}

// appendRaw appends JSON as it is, once it is known to be JSON.
func (t *Text) appendRaw(v json.RawMessage) error {
	if v == nil {
		return t.AppendGo(nil)
	}
	raw := unsafe.String(unsafe.SliceData(v), len(v)) // for the time of this call
	end, err := jsonscan.Value(raw, jsonscan.Space(raw, 0))
	if err == nil && jsonscan.Space(raw, end) != len(raw) {
		err = &jsonscan.SyntaxError{Offset: end, Reason: "something behind the value"}
	}
	if err != nil {
		return fmt.Errorf("json.RawMessage: %w", err)
	}
	t.JSON = append(t.JSON, v...)
	return nil
}

// marshal has encoding/json write v, with markers in place of what is binary, and then puts placeholders there.
func (t *Text) marshal(v any) error {
	r := replacer{}
	if holdsBinary.about(reflect.TypeOf(v)) {
		with, err := r.replace(reflect.ValueOf(v), 0)
		if err != nil {
			return err
		}
		if len(r.binaries) > 0 {
			v = with.Interface()
		}
	}
	start := len(t.JSON)
	if t.encoder == nil {
		t.encoder = json.NewEncoder(t)
		t.encoder.SetEscapeHTML(false)
	}
	if err := t.encoder.Encode(v); err != nil {
		t.JSON = t.JSON[:start]
		return err
	}
	t.JSON = t.JSON[:len(t.JSON)-1] // the line break that an Encoder adds
	if len(r.binaries) > 0 {
		t.placeMarked(start, r.binaries)
	}
	return nil
}

// placeMarked puts placeholders in place of the markers that are in the JSON from start on.
func (t *Text) placeMarked(start int, marked []Binary) {
	text := bytes.Clone(t.JSON[start:])
	t.JSON = t.JSON[:start]
	quoted := []byte(`"` + secret().text)
	for {
		i := bytes.Index(text, quoted)
		if i < 0 {
			t.JSON = append(t.JSON, text...)
			return
		}
		t.JSON = append(t.JSON, text[:i]...)
		number, ok := markerTextNumber(text[i+1 : min(i+1+markerText, len(text))])
		if ok && number < len(marked) {
			t.AppendBinary(marked[number].Data, marked[number].Shared)
			text = text[i+markerText+2:]
			continue
		}
		t.JSON = append(t.JSON, text[i])
		text = text[i+1:]
	}
}
