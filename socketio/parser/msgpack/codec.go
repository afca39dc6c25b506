package msgpack

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"unsafe"

	"github.com/tinylib/msgp/msgp"

	"baro.dev/socketio/parser"
)

// Codec is the codec. It has no state.
var Codec parser.Codec = codec{}

type codec struct{}

// scratch is a cache, not state.
var scratch = sync.Pool{New: func() any { return new([]byte) }}

func (codec) Encode(dst []parser.Message, buf *[]byte, p *parser.Packet) ([]parser.Message, error) {
	if err := p.Check(); err != nil {
		return dst, err
	}
	if buf != nil {
		start := len(*buf)
		b, err := appendPacket(*buf, p)
		if err != nil {
			return dst, err
		}
		*buf = b
		return append(dst, parser.Message{Binary: true, Data: slices.Clip(b[start:])}), nil
	}
	rough := scratch.Get().(*[]byte)
	b, err := appendPacket((*rough)[:0], p)
	if err != nil {
		return dst, err
	}
	dst = append(dst, parser.Message{Binary: true, Data: slices.Clone(b)})
	if *rough = b; cap(b) <= 64<<10 {
		scratch.Put(rough)
	}
	return dst, nil
}

func appendPacket(b []byte, p *parser.Packet) ([]byte, error) {
	array := p.Type == parser.Event || p.Type == parser.Ack
	members := uint32(2)
	if p.HasID {
		members++
	}
	var data []byte
	if !array && p.Data.Len() > 0 {
		var err error
		if data, err = appendValue(nil, p.Data.Value(0)); err != nil {
			return nil, &parser.ArgumentError{Index: 0, Err: err}
		}
		if p.Type == parser.Connect {
			switch c := data[0]; {
			case c == 0xc0: // nil
				data = nil
			case c&0xf0 != 0x80 && c|1 != 0xdf:
				return nil, &parser.ArgumentError{Index: 0, Err: errors.New("what a CONNECT carries must be an object")}
			}
		}
	}
	if array || data != nil {
		members++
	}
	b = msgp.AppendMapHeader(b, members)
	b = msgp.AppendString(b, "type")
	b = msgp.AppendUint64(b, uint64(p.Type))
	b = msgp.AppendString(b, "nsp")
	if p.Namespace == "" {
		b = msgp.AppendString(b, "/")
	} else {
		b = msgp.AppendString(b, p.Namespace)
	}
	if p.HasID {
		b = msgp.AppendString(b, "id")
		b = msgp.AppendUint64(b, p.ID)
	}
	if array || data != nil {
		b = msgp.AppendString(b, "data")
	}
	if !array {
		return append(b, data...), nil
	}
	return appendData(b, &p.Data, p.Type == parser.Event)
}

func appendData(b []byte, d *parser.Data, event bool) ([]byte, error) {
	size := d.Len()
	if event {
		size++
	}
	b = msgp.AppendArrayHeader(b, uint32(size))
	raw, came, _ := d.Raw(format)
	b = append(b, raw...)
	if event {
		if came--; raw == "" {
			b, came = msgp.AppendString(b, d.Name()), 0
		}
	}
	for i, v := range d.All() {
		if i < came {
			continue
		}
		var err error
		if b, err = appendValue(b, v); err != nil {
			return nil, &parser.ArgumentError{Index: i, Err: err}
		}
	}
	return b, nil
}

func appendValue(b []byte, v parser.Value) ([]byte, error) {
	if raw, ok := v.Raw(format); ok {
		return append(b, raw...), nil
	}
	t := parser.GetText()
	defer parser.PutText(t)
	if err := t.AppendValue(v); err != nil {
		return b, err
	}
	return AppendText(b, t), nil
}

func (codec) AppendArgument(encoded []parser.Message, argument string) ([]parser.Message, error) {
	if len(encoded) != 1 || !encoded[0].Binary {
		return nil, errRoom
	}
	s := string(encoded[0].Data)
	var f fields
	if err := f.read(s); err != nil || f.data.end == 0 {
		return nil, errRoom
	}
	h, err := readHead(s, f.data.start)
	if err != nil || h.kind != kindArray {
		return nil, errRoom
	}
	b := make([]byte, 0, len(s)+len(argument)+9)
	b = append(b, s[:f.data.start]...)
	b = msgp.AppendArrayHeader(b, uint32(h.n)+1)
	b = append(b, s[h.body:f.data.end]...)
	b = msgp.AppendString(b, argument)
	return []parser.Message{{Binary: true, Data: append(b, s[f.data.end:]...)}}, nil
}

var errRoom = errors.New("msgpack: only an event or an acknowledgement takes one more argument")

func (codec) Peek(binary bool, data []byte) (t parser.Type, attachments int, ok bool) {
	s := unsafe.String(unsafe.SliceData(data), len(data)) // for the time of this call
	if h, err := readHead(s, 0); !binary || err != nil || h.kind != kindMap {
		return 0, 0, false
	}
	var f fields
	f.peek = true
	if f.read(s) != nil || f.typ.end == 0 {
		return 0, 0, false
	}
	h, err := readHead(s, f.typ.start)
	if err != nil || h.kind != kindUint || h.n > uint64(parser.ConnectError) {
		return 0, 0, false
	}
	return parser.Type(h.n), 0, true
}

// fields are where the members of a packet stand; of one that comes twice the last counts.
type fields struct {
	typ, nsp, id, data span
	peek               bool // to stop at the type
}

type span struct{ start, end int }

// read checks s as a whole.
func (f *fields) read(s string) error {
	wrong := func(at int, err error) error {
		return &parser.Error{Part: parser.PartMessage, Offset: at, Reason: err.Error(), Err: err}
	}
	h, err := readHead(s, 0)
	switch {
	case err != nil:
		return wrong(0, err)
	case h.kind != kindMap:
		return wrong(0, errors.New("it is not a map"))
	}
	var c counter
	i := h.body
	for range h.n {
		key, err := readHead(s, i)
		switch {
		case err != nil:
			return wrong(i, err)
		case key.kind != kindString:
			return wrong(i, errors.New("the name of a member is not a string"))
		}
		start := key.end()
		end, err := c.skip(s, start)
		if err != nil {
			return wrong(end, err)
		}
		switch at := (span{start, end}); s[key.body:start] {
		case "type":
			if f.typ = at; f.peek {
				return nil
			}
		case "nsp":
			f.nsp = at
		case "id":
			f.id = at
		case "data":
			f.data = at
		}
		i = end
	}
	if i != len(s) {
		return wrong(i, fmt.Errorf("%d bytes behind the packet", len(s)-i))
	}
	return nil
}
