// Package frame reads and writes the frames of Engine.IO over a stream, as WebTransport has one.
package frame

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"baro.dev/engineio/internal/payload"
)

// ErrMalformed is what is no frame, or one that is larger than it may be.
var ErrMalformed = errors.New("engineio: malformed frame")

// A frame carries a packet over a stream: a byte that says whether it is binary and how long it is, more bytes of the length
// if there is no room for it, and what would be the payload of a WebSocket message.
// https://socket.io/docs/v4/engine-io-protocol/#framing
const (
	frameBinary   = 0x80
	frameLength16 = 126 // two bytes of length follow
	frameLength64 = 127 // eight do

	maxFrameHeader = 1 + 8
)

const (
	// frameBuffer is how much is read at once.
	frameBuffer = 2 << 10
	// KeepBuffer is how large a buffer is kept.
	KeepBuffer = 64<<10 + maxFrameHeader
)

// Reader reads the frames of a stream. Its buffer grows with what comes, whatever length a frame claims to have.
type Reader struct {
	R   io.Reader
	Max int64 // length of a frame

	buf   []byte
	begin int // of what has been read, and is for the next frame
	end   int
}

// Next returns the next frame, which is lent until the next call. Between two frames the stream may end: io.EOF.
func (f *Reader) Next() (isBinary bool, data []byte, err error) {
	if f.begin == f.end {
		f.begin, f.end = 0, 0
		if len(f.buf) > KeepBuffer {
			f.buf = nil
		}
	}
	if err := f.need(1); err != nil {
		return false, nil, err
	}
	first := f.buf[f.begin]
	header, shortest := 1, uint64(1)
	length := uint64(first &^ frameBinary)
	switch length {
	case frameLength16:
		header, shortest = 3, frameLength16
		if err := f.need(header); err != nil {
			return false, nil, err
		}
		length = uint64(binary.BigEndian.Uint16(f.buf[f.begin+1:]))
	case frameLength64:
		header, shortest = maxFrameHeader, math.MaxUint16+1
		if err := f.need(header); err != nil {
			return false, nil, err
		}
		length = binary.BigEndian.Uint64(f.buf[f.begin+1:])
	}
	switch {
	case length < shortest:
		return false, nil, fmt.Errorf("%w: length %d in %d bytes", ErrMalformed, length, header)
	case length > uint64(min(f.Max, math.MaxInt-maxFrameHeader)):
		return false, nil, fmt.Errorf("%w: length %d is more than %d", ErrMalformed, length, f.Max)
	}
	if err := f.need(header + int(length)); err != nil {
		return false, nil, err
	}
	from := f.begin + header
	f.begin = from + int(length)
	return first&frameBinary != 0, f.buf[from:f.begin:f.begin], nil
}

// need reads until n bytes of the next frame are there.
func (f *Reader) need(n int) error {
	for idle := 0; f.end-f.begin < n; {
		if f.end == len(f.buf) {
			f.room(n)
		}
		k, err := f.R.Read(f.buf[f.end:])
		f.end += k
		switch {
		case k > 0:
			idle = 0
		case err == io.EOF && f.end > f.begin:
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		default:
			if idle++; idle == 100 {
				return io.ErrNoProgress
			}
		}
	}
	return nil
}

// room makes room for more of a frame of which n bytes are needed: as much again as has come.
func (f *Reader) room(n int) {
	rest := f.buf[f.begin:f.end]
	if f.begin == 0 {
		f.buf = make([]byte, max(frameBuffer, min(n, 2*len(rest))))
	}
	f.begin, f.end = 0, copy(f.buf, rest)
}

// Length returns how long the payload of p's frame is.
func Length(format payload.Format, p payload.Packet) int {
	switch {
	case format.IsBinary(p):
		return len(p.Data)
	case p.Binary:
		return 1 + base64.StdEncoding.EncodedLen(len(p.Data))
	}
	return 1 + len(p.Data)
}

// Append appends the frame of p to dst.
func Append(dst []byte, format payload.Format, p payload.Packet) []byte {
	if p.Binary && len(p.Data) == 0 {
		format = payload.V4Base64 // no frame is empty
	}
	var first byte
	if format.IsBinary(p) {
		first = frameBinary
	}
	switch n := Length(format, p); {
	case n < frameLength16:
		dst = append(dst, first|byte(n))
	case n <= math.MaxUint16:
		dst = binary.BigEndian.AppendUint16(append(dst, first|frameLength16), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, first|frameLength64), uint64(n))
	}
	return format.AppendMessage(dst, p)
}
