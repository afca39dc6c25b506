package parser

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"
	"unsafe"

	"baro.dev/socketio/internal/jsonscan"
)

// decode decodes JSON that came, which begins base bytes into its packet and is known to be valid.
func decode(raw string, base uint32, from *binaries, dst any) error {
	places := from.within(base, len(raw))
	if decodeSimply(raw, places, from, dst) {
		return nil
	}
	if len(places) == 0 {
		return json.Unmarshal(lend(raw), dst)
	}
	t := GetText()
	defer PutText(t)
	t.appendPlaces(raw, base, from)
	to := reflect.ValueOf(dst)
	if to.Kind() != reflect.Pointer || to.IsNil() || decodesItself.about(to.Type()) {
		return json.Unmarshal(t.base64(), dst)
	}
	if err := json.Unmarshal(t.marked(), dst); err != nil {
		return err
	}
	r := restorer{marked: t.Binaries, left: len(t.Binaries)}
	return r.restore(to)
}

// decodeSimply decodes what needs no encoding/json, to the same effect, and reports whether it was that.
func decodeSimply(raw string, places []jsonscan.Place, from *binaries, dst any) bool {
	switch to := dst.(type) {
	case *string:
		if to != nil && raw[0] == '"' && strings.IndexByte(raw, '\\') < 0 && utf8.ValidString(raw) {
			*to = strings.Clone(raw[1 : len(raw)-1])
			return true
		}
	case *bool:
		if to != nil && (raw == "true" || raw == "false") {
			*to = raw == "true"
			return true
		}
	case *int:
		if n, err := strconv.Atoi(raw); to != nil && err == nil {
			*to = n
			return true
		}
	case *float64:
		if f, err := strconv.ParseFloat(raw, 64); to != nil && err == nil {
			*to = f
			return true
		}
	case *[]byte:
		if to != nil && len(places) == 1 && places[0].End-places[0].Start == len(raw) {
			*to = bytes.Clone(nonNil(from.data[places[0].Number]))
			return true
		}
	case *json.RawMessage:
		if to != nil {
			*to = json.RawMessage(raw)
			return true
		}
	}
	return false
}

// lend gives the bytes of s to who only reads them: encoding/json says so of itself, and asks it of UnmarshalJSON.
func lend(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// nonNil keeps an empty attachment from becoming nil.
func nonNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// marked returns the JSON with markers in place of the placeholders.
func (t *Text) marked() []byte {
	var text []byte
	at := 0
	for i, b := range t.Binaries {
		text = append(text, t.JSON[at:b.Start]...)
		text = appendMarker(text, makeMarker(i))
		at = b.End
	}
	return append(text, t.JSON[at:]...)
}

// A restorer puts what is binary in place of the markers that encoding/json decoded.
type restorer struct {
	marked []Binary
	left   int // how many were not met yet
	seen   map[visit]bool
}

// A visit tells a pointer to a struct from one to its first field.
type visit struct {
	at  uintptr
	typ reflect.Type
}

func (r *restorer) met(number int, ok bool) ([]byte, bool) {
	if !ok || number >= len(r.marked) {
		return nil, false
	}
	r.left--
	return bytes.Clone(nonNil(r.marked[number].Data)), true
}

// restore goes through all that can be reached from v, which can be set or is a pointer.
func (r *restorer) restore(v reflect.Value) error {
	if r.left == 0 {
		return nil
	}
	t := v.Type()
	switch t.Kind() {
	case reflect.String:
		if _, ok := markerTextNumber(v.String()); ok {
			return &json.UnmarshalTypeError{Value: "binary", Type: t}
		}
	case reflect.Interface:
		if !v.IsNil() {
			return r.dynamic(v)
		}
	case reflect.Pointer:
		if at := (visit{v.Pointer(), t}); !v.IsNil() && !r.seen[at] {
			if r.seen == nil {
				r.seen = make(map[visit]bool)
			}
			r.seen[at] = true
			return r.restore(v.Elem())
		}
	case reflect.Slice, reflect.Array:
		return r.elements(v)
	case reflect.Map:
		return r.members(v)
	case reflect.Struct:
		if t == valueType {
			to := v.Addr().Interface().(*Value)
			if to.format != nil && to.format.binary == nil && strings.Contains(to.raw, secret().text) {
				text := r.text(to.raw)
				*to = Value{string(text.JSON), textWith(text.binaries())}
			}
			return nil
		}
		for i := range t.NumField() {
			if isRead(t.Field(i)) {
				if err := r.restore(v.Field(i)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// text gives JSON that has markers as a Text.
func (r *restorer) text(raw string) *Text {
	t := &Text{JSON: []byte(raw)}
	t.placeMarked(0, r.marked)
	r.left -= len(t.Binaries)
	return t
}

func (r *restorer) dynamic(v reflect.Value) error {
	switch held := v.Interface().(type) {
	case string:
		if data, ok := r.met(markerTextNumber(held)); ok && v.NumMethod() == 0 {
			v.Set(reflect.ValueOf(data))
		}
	case []any:
		return r.elements(reflect.ValueOf(held))
	case map[string]any:
		return r.members(reflect.ValueOf(held))
	default:
		if v.Elem().Kind() == reflect.Pointer {
			return r.restore(v.Elem())
		}
	}
	return nil
}

func (r *restorer) elements(v reflect.Value) error {
	t := v.Type()
	if t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8 {
		if t == rawType && bytes.Contains(v.Bytes(), []byte(secret().text)) {
			v.SetBytes(r.text(string(v.Bytes())).JSON)
		} else if data, ok := r.met(markerNumber(v.Bytes())); ok {
			v.SetBytes(data)
		}
		return nil
	}
	switch t.Elem().Kind() {
	case reflect.String, reflect.Interface, reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map, reflect.Struct:
	default:
		return nil
	}
	for i := range v.Len() {
		if err := r.restore(v.Index(i)); err != nil {
			return err
		}
	}
	return nil
}

// members changes the map as it goes: to set a member that is there already is allowed.
func (r *restorer) members(v reflect.Value) error {
	for m := v.MapRange(); m.Next(); {
		before := r.left
		member := reflect.New(v.Type().Elem()).Elem()
		member.Set(m.Value())
		if err := r.restore(member); err != nil {
			return err
		}
		if r.left != before {
			v.SetMapIndex(m.Key(), member)
		}
	}
	return nil
}
