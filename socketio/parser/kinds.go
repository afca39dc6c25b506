package parser

import (
	"crypto/rand"
	"encoding"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"reflect"
	"sync"
	"time"
)

var (
	marshaler       = reflect.TypeFor[json.Marshaler]()
	textMarshaler   = reflect.TypeFor[encoding.TextMarshaler]()
	unmarshaler     = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()

	valueType = reflect.TypeFor[Value]()
	rawType   = reflect.TypeFor[json.RawMessage]()
	timeType  = reflect.TypeFor[time.Time]()
)

// A question about a type is answered for it and all that can be reached from it, and kept: a cache, not state.
type question struct {
	answers sync.Map // from reflect.Type to bool
	// ask: yes and no are final, otherwise it goes on with what t is made of.
	ask func(t reflect.Type) (yes, no bool)
}

// holdsBinary: may there be a []byte or a Value in it that encoding/json would write itself?
var holdsBinary = &question{ask: func(t reflect.Type) (yes, no bool) {
	if t == valueType {
		return true, false
	}
	return t.Kind() == reflect.Interface || isBytes(t), leftAlone(t)
}}

// decodesItself: may there be something in it with a method of its own for decoding, one that minds markers?
var decodesItself = &question{ask: func(t reflect.Type) (yes, no bool) {
	if t == valueType || t == rawType || t == timeType || t.Kind() == reflect.Interface {
		return false, true
	}
	return hasMethod(t, unmarshaler, textUnmarshaler), false
}}

func (q *question) about(t reflect.Type) bool {
	if answer, ok := q.answers.Load(t); ok {
		return answer.(bool)
	}
	answer := q.search(t, make(map[reflect.Type]bool))
	q.answers.Store(t, answer)
	return answer
}

// search looks at each type once: one that was seen already says nothing new.
func (q *question) search(t reflect.Type, seen map[reflect.Type]bool) bool {
	if seen[t] {
		return false
	}
	seen[t] = true
	if yes, no := q.ask(t); yes || no {
		return yes && !no
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Array, reflect.Slice:
		return q.search(t.Elem(), seen)
	case reflect.Struct:
		for f := range t.Fields() {
			if isRead(f) && q.search(f.Type, seen) {
				return true
			}
		}
	}
	return false
}

// hasMethod reports whether t or a pointer to it implements a or b.
func hasMethod(t, a, b reflect.Type) bool {
	if t.Implements(a) || t.Implements(b) {
		return true
	}
	p := reflect.PointerTo(t)
	return t.Kind() != reflect.Interface && (p.Implements(a) || p.Implements(b))
}

// leftAlone reports whether encoding/json asks t itself for its JSON.
func leftAlone(t reflect.Type) bool { return hasMethod(t, marshaler, textMarshaler) }

// isBytes reports whether encoding/json takes t for bytes, to be written as base64.
func isBytes(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8 && !leftAlone(t.Elem())
}

// isRead reports whether encoding/json looks at a field: it is exported, or an embedded struct, which has fields that
// may be.
func isRead(f reflect.StructField) bool {
	if f.Tag.Get("json") == "-" || f.IsExported() || !f.Anonymous {
		return f.Tag.Get("json") != "-" && f.IsExported()
	}
	t := f.Type
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.Kind() == reflect.Struct
}

// A marker is what stands in for a binary value while encoding/json is at work: 18 bytes nobody can guess, so that
// nothing else is ever taken for one. As base64 it is 24 characters, the first 16 of which are always the same.
type marker [markerSize]byte

const (
	markerSize   = 18
	randomSize   = 12
	markerText   = markerSize / 3 * 4
	markerPrefix = randomSize / 3 * 4
)

// secret is the random part of the markers of this process, and its base64.
var secret = sync.OnceValue(func() (s struct {
	bytes [randomSize]byte
	text  string
}) {
	rand.Read(s.bytes[:]) // never fails: it ends the program instead
	s.text = base64.StdEncoding.EncodeToString(s.bytes[:])
	return s
})

func makeMarker(number int) (m marker) {
	*(*[randomSize]byte)(m[:]) = secret().bytes
	binary.BigEndian.PutUint32(m[randomSize:], uint32(number))
	return m
}

func appendMarker(dst []byte, m marker) []byte {
	dst = append(dst, '"')
	dst = base64.StdEncoding.AppendEncode(dst, m[:])
	return append(dst, '"')
}

// markerNumber reads a marker.
func markerNumber(b []byte) (number int, ok bool) {
	if len(b) != markerSize || [randomSize]byte(b) != secret().bytes {
		return 0, false
	}
	return int(binary.BigEndian.Uint32(b[randomSize:])), true
}

// markerTextNumber reads the base64 of a marker.
func markerTextNumber[T string | []byte](s T) (number int, ok bool) {
	if len(s) != markerText || string(s[:markerPrefix]) != secret().text {
		return 0, false
	}
	var m marker
	if n, err := base64.StdEncoding.Decode(m[:], []byte(s)); n != markerSize || err != nil {
		return 0, false
	}
	return markerNumber(m[:])
}
