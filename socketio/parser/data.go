package parser

import (
	"iter"
	"reflect"
	"slices"
)

// Data is what a packet carries: the name of an event and its arguments, the arguments of an acknowledgement, or the
// value of a CONNECT or CONNECT_ERROR, which is then the only argument. It is either values of Go that are to be sent,
// or values that came and are not decoded until someone binds them; values of Go can be appended to those. The zero
// Data is empty. Data may be copied, and what came may be used by any number of goroutines.
type Data struct {
	name   string
	raw    string  // what came, the name included
	format *Format // of raw; nil: only values
	values []any
	count  uint32 // of arguments in raw
	first  span   // of the first one; the others are looked for
	named  bool
}

type span struct{ start, end uint32 }

// EventData is the data of an event. args is kept, not copied. An argument may be whatever [encoding/json.Marshal]
// takes, and binary as described with [JSON]; or a [Value] that came.
func EventData(name string, args ...any) Data { return Data{name: name, named: true, values: args} }

// Values is the data of an acknowledgement, or with one argument that of a CONNECT or CONNECT_ERROR. args is kept, not
// copied.
func Values(args ...any) Data { return Data{values: args} }

// Received is for who writes a codec: count values of format f that were checked and stand in raw one behind the other.
// The data is that of an event if event is true: then the first of the values is its name.
func Received(f *Format, raw string, count int, event bool, name string) Data {
	d := Data{format: f, raw: raw, count: uint32(count), named: event, name: name}
	var before span
	if event {
		before = d.next(before)
		d.count--
	}
	if d.count > 0 {
		d.first = d.next(before)
	}
	return d
}

// Name returns the name of the event; that of one named by a number is how the number was written. It is "" for what is
// no event. It does not allocate, and keeps the bytes of the packet alive.
func (d *Data) Name() string { return d.name }

// Len returns the number of arguments. The name of an event is none.
func (d *Data) Len() int { return int(d.count) + len(d.values) }

// Append returns data that has args behind the arguments of d, which stays as it is.
func (d Data) Append(args ...any) Data {
	d.values = append(slices.Clip(d.values), args...)
	return d
}

// Value returns argument i, or the zero Value if there are not so many. To look at many of them, use [Data.All].
func (d *Data) Value(i int) Value {
	switch {
	case i < 0 || i >= d.Len():
		return Value{}
	case i >= int(d.count):
		return valueOf(d.values[i-int(d.count)])
	}
	s := d.first
	for range i {
		s = d.next(s)
	}
	return d.at(s)
}

func (d *Data) next(s span) span {
	start, end := d.format.Next(d.raw, int(s.end))
	return span{uint32(start), uint32(end)}
}

func (d *Data) at(s span) Value {
	return Value{d.raw[s.start:s.end], d.format.from(s.start)}
}

func valueOf(arg any) Value {
	if v, ok := arg.(Value); ok {
		return v
	}
	return Value{format: &Format{given: true, value: arg}}
}

// All yields the arguments in order.
func (d *Data) All() iter.Seq2[int, Value] {
	return func(yield func(int, Value) bool) {
		s := d.first
		for i := range int(d.count) {
			if i > 0 {
				s = d.next(s)
			}
			if !yield(i, d.at(s)) {
				return
			}
		}
		for i, arg := range d.values {
			if !yield(int(d.count)+i, valueOf(arg)) {
				return
			}
		}
	}
}

// Args returns the arguments in a fresh slice, as they can be sent again: those that came as [Value], the others as they
// were given.
func (d *Data) Args() []any {
	args := make([]any, 0, d.Len())
	for i, v := range d.All() {
		if i >= int(d.count) {
			break
		}
		args = append(args, v)
	}
	return append(args, d.values...)
}

// Bind decodes the first arguments, each into what dst has for it (see [Value.Decode]). nil leaves one out; arguments
// that dst has nothing for are not looked at. The error is an [*ArgumentError]; it matches [ErrMissing] if there are
// not so many arguments.
//
// Arguments that may be missing are bound to a pointer, an interface or a [Value] (dst has a **T, an *any, a *Value):
// these are then nil, or the zero Value.
func (d *Data) Bind(dst ...any) error {
	bound := 0
	for i, v := range d.All() {
		if i == len(dst) {
			break
		}
		if bound++; dst[i] == nil {
			continue
		}
		if err := v.Decode(dst[i]); err != nil {
			return &ArgumentError{i, err}
		}
	}
	for i := bound; i < len(dst); i++ {
		if dst[i] != nil && !leftOut(dst[i]) {
			return &ArgumentError{i, ErrMissing}
		}
	}
	return nil
}

// leftOut notes in dst that there is no argument for it, and reports whether it can tell.
func leftOut(dst any) bool {
	if v, ok := dst.(*Value); ok {
		*v = Value{}
		return true
	}
	to := reflect.ValueOf(dst)
	if to.Kind() != reflect.Pointer || to.IsNil() {
		return false
	}
	to = to.Elem()
	if kind := to.Kind(); kind != reflect.Pointer && kind != reflect.Interface {
		return false
	}
	to.SetZero()
	return true
}

// Raw returns what came in format f, the name of an event included, and how many values that is. It is followed by the
// last d.Len() + 1 - count arguments of an event, or d.Len() - count others. ok is false if nothing came in f.
func (d *Data) Raw(f *Format) (raw string, count int, ok bool) {
	if d.format == nil || d.format != f {
		return "", 0, false
	}
	if count = int(d.count); d.named {
		count++
	}
	return d.raw, count, true
}
