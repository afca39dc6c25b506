// Package strictjson reads JSON that a program has written, and takes nothing that the program may have meant differently: no
// member that is unknown, or there twice, or of another case; no null for something; nothing after the value; no text that is
// not UTF-8. It says where the mistake is, and for a name that is unknown which one is nearest to it.
package strictjson

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"baro.dev/internal/jsonstring"
)

// MaxDepth is how deep arrays and objects may be within one another.
const MaxDepth = 100

// An Error is a mistake in JSON.
type Error struct {
	Path   string // where: "messages[3].channel"; "" for the whole
	Reason string // what: "it must be a string"
	// TooMany says that a list has more than its tag permits.
	TooMany bool
}

func (e *Error) Error() string {
	if e.Path == "" {
		return e.Reason
	}
	return e.Path + ": " + e.Reason
}

// A Reader reads values of a type: of structs, slices, pointers, strings, numbers and booleans, and of what reads itself
// ([json.Unmarshaler]). A [json.RawMessage], and nothing else, may be null. A slice in a field with a tag like max:"100" has no
// more elements than that, which is seen before they are read. Make one with [For]; it may be used from any goroutine.
type Reader[T any] struct{ root *node }

// For makes a reader. A type that it cannot read is a panic.
func For[T any]() *Reader[T] {
	return &Reader[T]{nodeOf(reflect.TypeFor[T]())}
}

// Read reads a value. The error is an [*Error]. Nothing of data is kept.
func (r *Reader[T]) Read(data []byte) (value T, err error) {
	if !utf8.Valid(data) {
		return value, &Error{Reason: "it is not valid UTF-8"}
	}
	// From here on the syntax is right.
	var whole json.RawMessage
	if err := json.Unmarshal(data, &whole); err != nil {
		return value, &Error{Reason: reasonOf(err, len(data))}
	}
	if at := jsonstring.LoneSurrogate(data); at >= 0 {
		return value, &Error{Reason: fmt.Sprintf("at byte %d: half of a surrogate pair is no character", at+1)}
	}
	w := walker{data: data}
	if err := w.value(r.root, nil); err != nil {
		return value, err
	}
	if err := json.Unmarshal(data, &value); err != nil {
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return value, &Error{Path: wrong.Field, Reason: "it cannot be the " + wrong.Value}
		}
		return value, &Error{Reason: err.Error()}
	}
	return value, nil
}

func reasonOf(err error, size int) string {
	if size == 0 {
		return "it is empty"
	}
	if wrong, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Sprintf("at byte %d: %s", wrong.Offset, wrong.Error())
	}
	return err.Error()
}

// node is what is known of a type.
type node struct {
	kind    reflect.Kind // Invalid: anything
	null    bool         // it may be null
	members []member     // of a struct
	element *node        // of a slice
	most    int          // how many; 0: no bound
}

type member struct {
	name string
	node *node
}

func nodeOf(t reflect.Type) *node {
	if t.Implements(reflect.TypeFor[json.Unmarshaler]()) || reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()) {
		return &node{null: t == reflect.TypeFor[json.RawMessage]()}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return nodeOf(t.Elem())
	case reflect.Slice:
		return &node{kind: reflect.Slice, element: nodeOf(t.Elem())}
	case reflect.Struct:
		n := &node{kind: reflect.Struct}
		n.add(t)
		return n
	case reflect.String, reflect.Bool:
		return &node{kind: t.Kind()}
	case reflect.Int, reflect.Int64, reflect.Uint64, reflect.Float64:
		return &node{kind: reflect.Float64}
	}
	panic("strictjson: it cannot read a " + t.String())
}

// add adds the fields of a struct, and of those that it embeds.
func (n *node) add(t reflect.Type) {
	for f := range t.Fields() {
		if f.Anonymous {
			n.add(f.Type)
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		child := nodeOf(f.Type)
		child.most, _ = strconv.Atoi(f.Tag.Get("max"))
		n.members = append(n.members, member{name, child})
	}
	if len(n.members) > 64 {
		panic("strictjson: a struct has at most 64 members")
	}
}

func (n *node) names() []string {
	names := make([]string, len(n.members))
	for i, m := range n.members {
		names[i] = m.name
	}
	return names
}

// kindName says what a value of the kind is called.
func kindName(k reflect.Kind) string {
	switch k {
	case reflect.Struct:
		return "an object"
	case reflect.Slice:
		return "an array"
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	}
	return "a number"
}
