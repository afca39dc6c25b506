package parser

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"baro.dev/internal/jsonstring"
)

// JSON is the default codec, that of socket.io-parser 4: a packet is one text message, then a binary message for each
// attachment.
//
// Values of Go become what [encoding/json] makes of them, with two exceptions. Characters that mean something in HTML
// are not escaped. And what is binary stays binary: a []byte, wherever it is in a value, be it a field, an element, in
// an interface or behind a pointer, leaves as an attachment, and nil as null. A type with its own MarshalJSON or
// MarshalText, [encoding/json.RawMessage] too, is left alone; so is an array of bytes, which is one of numbers. Official
// clients take 10 attachments in a packet and close the connection if there are more.
var JSON Codec = jsonCodec{}

type jsonCodec struct{}

var errRoom = errors.New("parser: only an event or an acknowledgement takes one more argument")

func (jsonCodec) Encode(dst []Message, buf *[]byte, p *Packet) ([]Message, error) {
	if err := p.Check(); err != nil {
		return dst, err
	}
	t := GetText()
	defer PutText(t)
	if err := t.appendPayload(p); err != nil {
		return dst, err
	}
	// Everything goes into one piece of memory of the right size.
	size := len("0-,") + len(p.Namespace) + 2*20 + len(t.JSON)
	for _, b := range t.Binaries {
		if !b.Shared {
			size += len(b.Data)
		}
	}
	if buf == nil {
		buf = new([]byte)
	}
	all := slices.Grow(*buf, size)
	start := len(all)
	all = append(appendHead(all, p, len(t.Binaries)), t.JSON...)
	dst = append(dst, Message{Data: slices.Clip(all[start:])})
	for _, b := range t.Binaries {
		data := b.Data
		if !b.Shared {
			start = len(all)
			all = append(all, data...)
			data = slices.Clip(all[start:])
		}
		dst = append(dst, Message{Binary: true, Data: data})
	}
	*buf = all
	return dst, nil
}

// appendHead appends what stands before the payload: <type>[<attachments>-][<namespace>,][<id>].
func appendHead(b []byte, p *Packet, attachments int) []byte {
	t := byte(p.Type)
	if attachments > 0 {
		t += binaryEvent - byte(Event)
	}
	b = append(b, '0'+t)
	if attachments > 0 {
		b = strconv.AppendInt(b, int64(attachments), 10)
		b = append(b, '-')
	}
	if p.Namespace != "" && p.Namespace != "/" {
		b = append(b, p.Namespace...)
		b = append(b, ',')
	}
	if p.HasID {
		b = strconv.AppendUint(b, p.ID, 10)
	}
	return b
}

func (t *Text) appendPayload(p *Packet) error {
	switch p.Type {
	case Event, Ack:
		return t.AppendData(&p.Data)
	case Connect, ConnectError:
		if p.Data.Len() == 0 {
			return nil
		}
		if err := t.AppendValue(p.Data.Value(0)); err != nil {
			return &ArgumentError{0, err}
		}
		if len(t.Binaries) > 0 {
			return &ArgumentError{0, fmt.Errorf("a %s cannot have binary", p.Type)}
		}
		switch {
		case p.Type == Connect && string(t.JSON) == "null":
			t.JSON = t.JSON[:0]
		case p.Type == Connect && t.JSON[0] != '{':
			return &ArgumentError{0, errors.New("what a CONNECT carries must be an object")}
		}
	}
	return nil
}

// AppendData appends the array of an event or an acknowledgement: the name of the event, then the arguments.
func (t *Text) AppendData(d *Data) error {
	t.JSON = append(t.JSON, '[')
	empty := len(t.JSON)
	switch {
	case d.format == nil:
		if d.named {
			t.AppendString(d.name)
		}
	case d.format.text:
		t.appendPlaces(d.raw, 0, d.format.binary)
	default:
		if err := t.translate(d, empty); err != nil {
			return err
		}
	}
	for i, arg := range d.values {
		t.comma(empty)
		if err := t.AppendGo(arg); err != nil {
			return &ArgumentError{int(d.count) + i, err}
		}
	}
	t.JSON = append(t.JSON, ']')
	return nil
}

// translate appends what came in another format.
func (t *Text) translate(d *Data, empty int) error {
	index := 0
	if d.named {
		index = -1
	}
	for at := 0; index < int(d.count); index++ {
		start, end := d.format.Next(d.raw, at)
		t.comma(empty)
		if err := d.format.AppendJSON(t, d.raw[start:end]); err != nil {
			return &ArgumentError{index, err}
		}
		at = end
	}
	return nil
}

func (t *Text) comma(empty int) {
	if len(t.JSON) > empty {
		t.JSON = append(t.JSON, ',')
	}
}

func (jsonCodec) AppendArgument(encoded []Message, argument string) ([]Message, error) {
	if len(encoded) == 0 || encoded[0].Binary || len(encoded[0].Data) == 0 {
		return nil, errRoom
	}
	text := encoded[0].Data
	if t, _, ok := (jsonCodec{}).Peek(false, text); !ok || t != Event && t != Ack || text[len(text)-1] != ']' {
		return nil, errRoom
	}
	longer := make([]byte, 0, len(text)+len(argument)+3)
	longer = append(longer, text[:len(text)-1]...)
	if longer[len(longer)-1] != '[' {
		longer = append(longer, ',')
	}
	longer = append(jsonstring.Append(longer, argument), ']')
	messages := slices.Clone(encoded)
	messages[0].Data = longer
	return messages, nil
}
