package payload

import (
	"bytes"
	"fmt"
	"iter"
)

// Packets decodes the payload in body, which is binary if its content type was application/octet-stream. After the
// packets it could decode comes the [*Error] that kept it from going on, with an empty packet.
//
// The data of the packets lies in body, which is changed: it is decoded once, and belongs to the packets from then on.
// Text is valid UTF-8. Nothing is allocated but errors.
func (f Format) Packets(body []byte, binary bool) iter.Seq2[Packet, error] {
	return func(yield func(Packet, error) bool) {
		d := decoder{format: f, body: body}
		for more := true; more; {
			var p Packet
			var e *Error
			switch {
			case len(body) == 0:
				e = fault(ErrEmpty, 0, "no packet at all")
			case f.Protocol() == 4 && binary:
				e = fault(ErrBinary, 0, "payloads of protocol 4 are text")
			case f.Protocol() == 4:
				p, more, e = d.next4()
			case binary:
				p, more, e = d.next3Binary()
			default:
				p, more, e = d.next3()
			}
			if e != nil {
				e.Packet = d.packet
				yield(Packet{}, e)
				return
			}
			d.packet++
			if !yield(p, nil) {
				return
			}
		}
	}
}

// DecodeMessage decodes the one packet that a WebSocket message carries, which is binary or text. The error is an
// [*Error].
//
// The data of the packet lies in data, which is changed if it is base64. The text of a WebSocket message is valid UTF-8
// already, and is not looked at again.
func (f Format) DecodeMessage(data []byte, binary bool) (Packet, error) {
	var p Packet
	var e *Error
	switch {
	case binary && f.Protocol() == 4:
		return Packet{Type: Message, Binary: true, Data: data}, nil
	case binary:
		p, e = binaryPacket(data, 0)
	default:
		p, e = f.textPacket(data, 0)
	}
	if e != nil {
		return Packet{}, e
	}
	return p, nil
}

// decoder walks a payload.
type decoder struct {
	format Format
	body   []byte
	at     int // where the next packet begins
	packet int // how many have been decoded
}

// next4 decodes a packet of protocol 4, and tells whether there is another.
func (d *decoder) next4() (p Packet, more bool, e *Error) {
	start, end := d.at, len(d.body)
	if i := bytes.IndexByte(d.body[start:], separator); i >= 0 {
		end, more = start+i, true
	}
	d.at = end + 1
	p, e = d.text(start, end)
	return p, more, e
}

// next3 decodes <length>:<packet>, the length being in UTF-16 code units.
func (d *decoder) next3() (p Packet, more bool, e *Error) {
	length, start, e := d.length(d.at, '0', ':')
	if e != nil {
		return p, false, e
	}
	size, missing := prefix(d.body[start:], length)
	switch {
	case missing > 0:
		return p, false, fault(ErrTruncated, len(d.body), fmt.Sprintf("%d more characters expected", missing))
	case missing < 0:
		return p, false, fault(ErrLength, d.at, fmt.Sprintf("%d ends within a surrogate pair", length))
	}
	d.at = start + size
	p, e = d.text(start, d.at)
	return p, d.at < len(d.body), e
}

// next3Binary decodes 00 or 01, the digits of the length in bytes, ff, and the packet.
func (d *decoder) next3Binary() (p Packet, more bool, e *Error) {
	frame := d.body[d.at]
	if frame != frameText && frame != frameBinary {
		return p, false, fault(ErrType, d.at, "neither text nor binary: "+quoteByte(frame))
	}
	length, start, e := d.length(d.at+1, 0, frameEnd)
	if e != nil {
		return p, false, e
	}
	d.at = start + length
	if frame == frameText {
		p, e = d.text(start, d.at)
	} else {
		p, e = binaryPacket(d.body[start:d.at:d.at], start)
	}
	return p, d.at < len(d.body), e
}

// length reads a decimal length, whose digits count from zero and are followed by end; start is the byte after that. A
// length is never more than what is left of the body.
func (d *decoder) length(at int, zero, end byte) (length, start int, e *Error) {
	first := at
	for ; at < len(d.body) && d.body[at] != end; at++ {
		digit := d.body[at] - zero
		if digit > 9 || digit == 0 && at == first {
			return 0, 0, d.badLength(at, zero, end)
		}
		if length = 10*length + int(digit); length > len(d.body)-at {
			return 0, 0, fault(ErrTruncated, len(d.body), fmt.Sprintf("the length at byte %d is more than what follows", first))
		}
	}
	switch left := len(d.body) - at - 1; {
	case left < 0:
		return 0, 0, fault(ErrTruncated, len(d.body), "within a length")
	case at == first:
		return 0, 0, fault(ErrLength, at, "none")
	case length > left:
		return 0, 0, fault(ErrTruncated, len(d.body), fmt.Sprintf("the length %d at byte %d is more than what follows", length, first))
	}
	return length, at + 1, nil
}

// badLength is about what cannot be part of a length. Only zero, which no packet can be long, is one.
func (d *decoder) badLength(at int, zero, end byte) *Error {
	switch next := at + 1; {
	case d.body[at] != zero:
		return fault(ErrLength, at, "no digit: "+quoteByte(d.body[at]))
	case next == len(d.body):
		return fault(ErrTruncated, next, "within a length")
	case d.body[next] == end:
		return fault(ErrEmpty, at, "")
	}
	return fault(ErrLength, at, "leading zero")
}

// text decodes the text packet between two places of the body.
func (d *decoder) text(start, end int) (Packet, *Error) {
	p, e := d.format.textPacket(d.body[start:end:end], start)
	if e == nil && !p.Binary {
		if at := validUTF8(p.Data); at >= 0 {
			return p, fault(ErrUTF8, start+1+at, quoteByte(p.Data[at]))
		}
	}
	return p, e
}

// textPacket decodes a packet that is text, found at offset of its body: a digit and data, or b and base64, in protocol 3
// with the digit between them.
func (f Format) textPacket(text []byte, offset int) (p Packet, e *Error) {
	if len(text) == 0 {
		return p, fault(ErrEmpty, offset, "")
	}
	if text[0] != 'b' {
		p.Type, p.Data = Type(text[0]-'0'), text[1:]
		if p.Type >= types {
			return p, fault(ErrType, offset, quoteByte(text[0]))
		}
		return p, nil
	}
	skip := 1
	if f.Protocol() == 3 {
		if skip++; len(text) < skip {
			return p, fault(ErrType, offset+1, "none")
		}
		if t := Type(text[1] - '0'); t != Message {
			return p, notMessage(t, text[1], offset+1)
		}
	}
	data, bad := decodeBase64(text[skip:])
	if bad >= 0 {
		return p, badBase64(text, skip+bad, offset)
	}
	return Packet{Type: Message, Binary: true, Data: data}, nil
}

// badBase64 may be about a byte that is still there: decoding writes only before what it has read.
func badBase64(text []byte, at, offset int) *Error {
	if at == len(text) {
		return fault(ErrBase64, offset+at, "it ends too soon")
	}
	return fault(ErrBase64, offset+at, quoteByte(text[at]))
}

// binaryPacket decodes a packet of protocol 3 that is bytes, found at offset of its body.
func binaryPacket(data []byte, offset int) (p Packet, e *Error) {
	if len(data) == 0 {
		return p, fault(ErrEmpty, offset, "")
	}
	if t := Type(data[0]); t != Message {
		return p, notMessage(t, data[0], offset)
	}
	return Packet{Type: Message, Binary: true, Data: data[1:]}, nil
}

// notMessage is about a binary packet whose type says that it is none.
func notMessage(t Type, c byte, offset int) *Error {
	if t < types {
		return fault(ErrBinary, offset, t.String()+" packet")
	}
	return fault(ErrType, offset, quoteByte(c))
}
