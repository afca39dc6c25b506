package parser

import (
	"errors"
	"reflect"
	"strings"

	"baro.dev/socketio/internal/jsonscan"
)

// A replacer makes copies of values that have a marker in place of each []byte, and shares with the original what
// has none.
type replacer struct {
	binaries []Binary
}

var errDeep = errors.New("nested too deep, or within itself")

func (r *replacer) mark(data []byte, shared bool) marker {
	r.binaries = append(r.binaries, Binary{Data: data, Shared: shared})
	return makeMarker(len(r.binaries) - 1)
}

// replace returns v itself if it has nothing to be replaced.
func (r *replacer) replace(v reflect.Value, depth int) (reflect.Value, error) {
	t := v.Type()
	if depth > jsonscan.MaxDepth {
		return v, errDeep
	}
	if !holdsBinary.about(t) {
		return v, nil
	}
	if t == valueType {
		with, err := r.value(v.Interface().(Value))
		return reflect.ValueOf(with), err
	}
	before := len(r.binaries)
	changed := func() bool { return len(r.binaries) > before }
	switch t.Kind() {
	case reflect.Interface, reflect.Pointer:
		if v.IsNil() {
			return v, nil
		}
		elem, err := r.replace(v.Elem(), depth+1)
		if err != nil || !changed() {
			return v, err
		}
		if t.Kind() == reflect.Interface {
			with := reflect.New(t).Elem()
			with.Set(elem)
			return with, nil
		}
		with := reflect.New(t.Elem())
		with.Elem().Set(elem)
		return with.Convert(t), nil
	case reflect.Slice:
		if v.IsNil() {
			return v, nil
		}
		if isBytes(t) {
			m := r.mark(v.Bytes(), false)
			with := reflect.MakeSlice(t, markerSize, markerSize)
			copy(with.Bytes(), m[:])
			return with, nil
		}
		return r.elements(v, depth)
	case reflect.Array:
		return r.elements(v, depth)
	case reflect.Map:
		return r.members(v, depth)
	case reflect.Struct:
		return r.fields(v, depth)
	}
	return v, nil
}

// value gives a received value as JSON with markers, which is what its MarshalJSON will then return.
func (r *replacer) value(v Value) (Value, error) {
	var t Text
	if err := t.AppendValue(v); err != nil || len(t.Binaries) == 0 {
		return v, err
	}
	var text []byte
	at := 0
	for _, b := range t.Binaries {
		m := r.mark(b.Data, b.Shared)
		text = append(text, t.JSON[at:b.Start]...)
		text = appendMarker(text, m)
		at = b.End
	}
	text = append(text, t.JSON[at:]...)
	return Value{string(text), textFormat}, nil
}

func (r *replacer) elements(v reflect.Value, depth int) (reflect.Value, error) {
	var with reflect.Value
	for i := range v.Len() {
		before := len(r.binaries)
		elem, err := r.replace(v.Index(i), depth+1)
		if err != nil {
			return v, err
		}
		if len(r.binaries) == before {
			continue
		}
		if !with.IsValid() {
			with = reflect.New(v.Type()).Elem()
			if with.Set(v); v.Kind() == reflect.Slice {
				with.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
				reflect.Copy(with, v)
			}
		}
		with.Index(i).Set(elem)
	}
	if !with.IsValid() {
		return v, nil
	}
	return with, nil
}

func (r *replacer) members(v reflect.Value, depth int) (reflect.Value, error) {
	var with reflect.Value
	for m := v.MapRange(); m.Next(); {
		before := len(r.binaries)
		elem, err := r.replace(m.Value(), depth+1)
		if err != nil {
			return v, err
		}
		if len(r.binaries) == before {
			continue
		}
		if !with.IsValid() {
			with = reflect.MakeMapWithSize(v.Type(), v.Len())
			for all := v.MapRange(); all.Next(); {
				with.SetMapIndex(all.Key(), all.Value())
			}
		}
		with.SetMapIndex(m.Key(), elem)
	}
	if !with.IsValid() {
		return v, nil
	}
	return with, nil
}

func (r *replacer) fields(v reflect.Value, depth int) (reflect.Value, error) {
	var with reflect.Value
	t := v.Type()
	for i := range t.NumField() {
		f := t.Field(i)
		if !isRead(f) || isBytes(f.Type) && v.Field(i).Len() == 0 && omitsEmpty(f) {
			continue
		}
		before := len(r.binaries)
		field, err := r.replace(v.Field(i), depth+1)
		if err != nil {
			return v, err
		}
		if len(r.binaries) == before {
			continue
		}
		if !with.IsValid() {
			with = reflect.New(t).Elem()
			copyFields(with, v)
		}
		writable(with.Field(i)).Set(field)
	}
	if !with.IsValid() {
		return v, nil
	}
	return with, nil
}

// copyFields copies no field that encoding/json does not look at: others may be guarded by a lock that is not held.
func copyFields(to, from reflect.Value) {
	t := from.Type()
	for i := range t.NumField() {
		f := t.Field(i)
		switch {
		case !isRead(f):
		case f.IsExported():
			to.Field(i).Set(from.Field(i))
		case f.Type.Kind() == reflect.Struct:
			copyFields(to.Field(i), from.Field(i))
		case !from.Field(i).IsNil():
			embedded := reflect.New(f.Type.Elem())
			copyFields(embedded.Elem(), from.Field(i).Elem())
			writable(to.Field(i)).Set(embedded)
		}
	}
}

// writable gives leave to set an embedded struct whose type is not exported, in a copy that is nobody else's.
func writable(field reflect.Value) reflect.Value {
	if field.CanSet() {
		return field
	}
	return reflect.NewAt(field.Type(), field.Addr().UnsafePointer()).Elem()
}

func omitsEmpty(f reflect.StructField) bool {
	_, options, _ := strings.Cut(f.Tag.Get("json"), ",")
	for option := range strings.SplitSeq(options, ",") {
		if option == "omitempty" {
			return true
		}
	}
	return false
}
