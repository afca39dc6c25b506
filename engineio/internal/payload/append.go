package payload

import (
	"encoding/base64"
	"slices"
	"strconv"
)

// separator stands between the packets of a payload of protocol 4.
const separator = 0x1e

// The bytes of the framing of a packet in a binary payload of protocol 3.
const (
	frameText   = 0x00
	frameBinary = 0x01
	frameEnd    = 0xff // of the digits of the length
)

// Binary tells whether the payload of packets is bytes, of the content type application/octet-stream, and not text. That
// is so in protocol 3, if the client takes binary and one of the packets is.
func (f Format) Binary(packets []Packet) bool {
	if f != V3 {
		return false
	}
	for i := range packets {
		if packets[i].Binary {
			return true
		}
	}
	return false
}

// AppendPayload appends the payload of packets to dst and returns it, and whether it is binary, as [Format.Binary] says.
func (f Format) AppendPayload(dst []byte, packets []Packet) (out []byte, binary bool) {
	binary = f.Binary(packets)
	for i, p := range packets {
		if i > 0 {
			dst = f.AppendSeparator(dst)
		}
		dst = f.AppendPacket(dst, p, binary)
	}
	return dst, binary
}

// AppendPacket appends p to dst as it is in a payload that is binary or not, and returns it. Between two packets belongs a
// separator.
func (f Format) AppendPacket(dst []byte, p Packet, binary bool) []byte {
	switch {
	case f.Protocol() == 4:
		return f.appendText(dst, p)
	case binary:
		frame := byte(frameText)
		if p.Binary {
			frame = frameBinary
		}
		dst = append(dst, frame)
		first := len(dst)
		dst = strconv.AppendInt(dst, int64(1+len(p.Data)), 10)
		for i := range dst[first:] {
			dst[first+i] -= '0'
		}
		dst = append(dst, frameEnd)
		return V3.AppendMessage(dst, p)
	}
	dst = strconv.AppendInt(dst, int64(f.textUnits(p)), 10)
	dst = append(dst, ':')
	return f.appendText(dst, p)
}

// AppendSeparator appends what has to be between two packets of a payload to dst, and returns it.
func (f Format) AppendSeparator(dst []byte) []byte {
	if f.Protocol() == 4 {
		dst = append(dst, separator)
	}
	return dst
}

// AppendMessage appends the payload of the WebSocket message that carries p to dst and returns it. [Format.IsBinary] tells
// what kind of message it is. In V4 that of a binary packet is just its data.
func (f Format) AppendMessage(dst []byte, p Packet) []byte {
	switch {
	case !f.IsBinary(p):
		return f.appendText(dst, p)
	case f == V3:
		dst = append(dst, byte(Message))
	}
	return append(dst, p.Data...)
}

// IsBinary tells whether the WebSocket message that carries p is a binary one.
func (f Format) IsBinary(p Packet) bool { return p.Binary && f.takesBinary() }

// appendText appends p as text.
func (f Format) appendText(dst []byte, p Packet) []byte {
	if !p.Binary {
		dst = append(dst, p.Type.digit())
		return append(dst, p.Data...)
	}
	dst = append(dst, 'b')
	if f.Protocol() == 3 {
		dst = append(dst, Message.digit())
	}
	return appendBase64(dst, p.Data)
}

func appendBase64(dst, data []byte) []byte {
	n, size := len(dst), base64.StdEncoding.EncodedLen(len(data))
	dst = slices.Grow(dst, size)[:n+size]
	base64.StdEncoding.Encode(dst[n:], data)
	return dst
}
