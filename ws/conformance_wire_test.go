package ws_test

import (
	"bufio"
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"unicode/utf8"
)

// The bits of the first byte of a frame (RFC 6455 5.2).
const (
	fin  = 0x80
	rsv1 = 0x40
	rsv2 = 0x20
	rsv3 = 0x10

	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xA
)

// A wireFrame is a frame as a peer sends or sees it, right or wrong. It is encoded and decoded here from the text of the RFC alone:
// what proves the engine shares no code with it.
type wireFrame struct {
	first    byte
	payload  string
	wide     int    // bytes of the length behind the second byte, if not the fewest
	announce uint64 // instead of the length of payload, if not 0
	badMask  bool   // masked by a server, or not masked by a client
	key      [4]byte
	raw      string // bytes instead of a frame
}

func textFrame(s string) wireFrame            { return newFrame(fin|opText, s) }
func binaryFrame(s string) wireFrame          { return newFrame(fin|opBinary, s) }
func pingFrame(s string) wireFrame            { return newFrame(fin|opPing, s) }
func pongFrame(s string) wireFrame            { return newFrame(fin|opPong, s) }
func firstFrame(op byte, s string) wireFrame  { return newFrame(op, s) }
func nextFrame(s string) wireFrame            { return newFrame(opContinuation, s) }
func lastFrame(s string) wireFrame            { return newFrame(fin|opContinuation, s) }
func packedFrame(op byte, s string) wireFrame { return newFrame(fin|rsv1|op, s) }
func rawBytes(s string) wireFrame             { return wireFrame{raw: s} }

func closeFrame(code uint16, reason string) wireFrame {
	return newFrame(fin|opClose, closePayload(code, reason))
}

func newFrame(first byte, s string) wireFrame {
	return wireFrame{first: first, payload: s, key: [4]byte{0x37, 0xfa, 0x21, 0x3d}}
}

func closePayload(code uint16, reason string) string {
	return string([]byte{byte(code >> 8), byte(code)}) + reason
}

// announcing is a header for n bytes, of which only the payload comes.
func (f wireFrame) announcing(n uint64) wireFrame {
	f.announce = n
	return f
}

// in is a frame whose length takes so many bytes.
func (f wireFrame) in(width int) wireFrame {
	f.wide = width
	return f
}

func (f wireFrame) with(rsv byte) wireFrame {
	f.first |= rsv
	return f
}

func (f wireFrame) wronglyMasked() wireFrame {
	f.badMask = true
	return f
}

func (f wireFrame) keyed(key [4]byte) wireFrame {
	f.key = key
	return f
}

func (f wireFrame) append(dst []byte, client bool) []byte {
	if f.raw != "" {
		return append(dst, f.raw...)
	}
	length := uint64(len(f.payload))
	if f.announce > 0 {
		length = f.announce
	}
	width := f.wide
	switch {
	case width > 0:
	case length > 0xFFFF:
		width = 8
	case length > 125:
		width = 2
	}
	masked := client != f.badMask
	var bit byte
	if masked {
		bit = 0x80
	}
	switch width {
	case 0:
		dst = append(dst, f.first, bit|byte(length))
	case 2:
		dst = binary.BigEndian.AppendUint16(append(dst, f.first, bit|126), uint16(length))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, f.first, bit|127), length)
	}
	if !masked {
		return append(dst, f.payload...)
	}
	dst = append(dst, f.key[:]...)
	for i := range len(f.payload) {
		dst = append(dst, f.payload[i]^f.key[i%4])
	}
	return dst
}

// wireBytes encodes frames as a client, or a server, sends them.
func wireBytes(client bool, frames ...wireFrame) (b []byte) {
	for _, f := range frames {
		b = f.append(b, client)
	}
	return b
}

// A sight is what a peer makes of what the side under test sends: a whole message or a control frame.
type sight struct {
	op   byte
	data string
}

func (s sight) String() string {
	name := map[byte]string{opText: "text", opBinary: "binary", opClose: "close", opPing: "ping", opPong: "pong"}[s.op]
	if len(s.data) > 60 {
		return fmt.Sprintf("%s of %d bytes %q...", name, len(s.data), s.data[:40])
	}
	return fmt.Sprintf("%s %q", name, s.data)
}

// A wireReader reads what the side under test sends, and holds every frame to what RFC 6455 5 and RFC 7692 demand of a sender.
type wireReader struct {
	r        *bufio.Reader
	masked   bool          // a client is under test
	inflater *peerInflater // nil: no extension
	closed   bool
	op       byte // of the message in progress; 0 without one
	packed   bool
	message  []byte
	frames   int
	keys     map[[4]byte]int
}

// errViolation is what a sight comes with that a sender must not cause.
var errViolation = errors.New("the side under test violates the protocol")

func violation(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errViolation, fmt.Sprintf(format, args...))
}

func (r *wireReader) next() (sight, error) {
	for {
		f, err := r.frame()
		if err != nil {
			return sight{}, err
		}
		if s, whole, err := r.take(f); err != nil || whole {
			return s, err
		}
	}
}

// frame reads one frame.
func (r *wireReader) frame() (f wireFrame, err error) {
	var head [2]byte
	if _, err := io.ReadFull(r.r, head[:]); err != nil {
		return f, err
	}
	f.first = head[0]
	length := uint64(head[1] & 0x7f)
	switch length {
	case 126:
		var b [2]byte
		if _, err := io.ReadFull(r.r, b[:]); err != nil {
			return f, err
		}
		if length = uint64(binary.BigEndian.Uint16(b[:])); length < 126 {
			return f, violation("5.2: length %d in two bytes", length)
		}
	case 127:
		var b [8]byte
		if _, err := io.ReadFull(r.r, b[:]); err != nil {
			return f, err
		}
		if length = binary.BigEndian.Uint64(b[:]); length <= 0xFFFF || length > 1<<30 {
			return f, violation("5.2: length %d in eight bytes", length)
		}
	}
	if masked := head[1]&0x80 != 0; masked != r.masked {
		return f, violation("5.1: masked %v", masked)
	}
	if r.masked {
		if _, err := io.ReadFull(r.r, f.key[:]); err != nil {
			return f, err
		}
		r.keys[f.key]++
	}
	payload := make([]byte, length)
	if _, err := io.ReadFull(r.r, payload); err != nil {
		return f, err
	}
	if r.masked {
		for i := range payload {
			payload[i] ^= f.key[i%4]
		}
	}
	f.payload = string(payload)
	r.frames++
	return f, nil
}

// take makes a frame part of what is seen.
func (r *wireReader) take(f wireFrame) (s sight, whole bool, err error) {
	op, isFin, rsv := f.first&0xf, f.first&fin != 0, f.first&0x70
	if r.closed {
		return s, false, violation("5.5.1: a frame %02x after the close frame", f.first)
	}
	if rsv != 0 && (rsv != rsv1 || r.inflater == nil || op != opText && op != opBinary) {
		return s, false, violation("5.2: reserved bits in the first byte %02x", f.first)
	}
	switch op {
	case opClose, opPing, opPong:
		if !isFin || len(f.payload) > 125 {
			return s, false, violation("5.5: a control frame %02x of %d bytes", f.first, len(f.payload))
		}
		r.closed = op == opClose
		return sight{op, f.payload}, true, closeViolation(op, f.payload)
	case opText, opBinary:
		if r.op != 0 {
			return s, false, violation("5.4: a message inside another")
		}
		r.op, r.packed, r.message = op, rsv != 0, nil
	case opContinuation:
		if r.op == 0 {
			return s, false, violation("5.4: nothing to continue")
		}
	default:
		return s, false, violation("5.2: opcode %x", op)
	}
	if r.message = append(r.message, f.payload...); !isFin {
		return s, false, nil
	}
	s = sight{r.op, string(r.message)}
	r.op = 0
	if r.packed {
		if s.data, err = r.inflater.inflate(s.data); err != nil {
			return s, false, violation("RFC 7692 7.2.1: %v in %x", err, r.message)
		}
	}
	if s.op == opText && !utf8.ValidString(s.data) {
		return s, false, violation("5.6: a text message that is not UTF-8: %q", s.data)
	}
	return s, true, nil
}

// closeViolation holds a close frame to 5.5.1 and 7.4.
func closeViolation(op byte, payload string) error {
	if op != opClose || payload == "" {
		return nil
	}
	if len(payload) < 2 || !utf8.ValidString(payload[2:]) {
		return violation("5.5.1: the payload of a close frame %q", payload)
	}
	switch code := binary.BigEndian.Uint16([]byte(payload)); {
	case code < 1000, code > 4999, code == 1004, code == 1005, code == 1006, code == 1015, code >= 1016 && code < 3000:
		return violation("7.4: a close frame with code %d", code)
	}
	return nil
}

// A peerInflater inflates what the side under test compresses.
type peerInflater struct {
	fresh  bool // without context takeover
	bits   int
	window []byte
}

func (d *peerInflater) inflate(p string) (string, error) {
	// RFC 7692 7.2.2: the tail that was cut off; then a final block, so that the reader finds an end.
	in := strings.NewReader(p + "\x00\x00\xff\xff" + "\x01\x00\x00\xff\xff")
	out, err := io.ReadAll(flate.NewReaderDict(in, d.window))
	if err != nil {
		return "", err
	}
	if !d.fresh {
		d.window = append(d.window, out...)
		d.window = d.window[max(0, len(d.window)-1<<d.bits):]
	}
	return string(out), nil
}

// A peerDeflater compresses what is sent to the side under test, with context takeover.
type peerDeflater struct {
	out bytes.Buffer
	w   *flate.Writer
}

func newPeerDeflater() *peerDeflater {
	d := new(peerDeflater)
	d.w, _ = flate.NewWriter(&d.out, flate.BestCompression)
	return d
}

func (d *peerDeflater) deflate(s string) string {
	d.out.Reset()
	io.WriteString(d.w, s)
	d.w.Flush()
	return strings.TrimSuffix(d.out.String(), "\x00\x00\xff\xff")
}

// deflated compresses one message on its own.
func deflated(s string) string { return newPeerDeflater().deflate(s) }

// randomBytes are the same bytes in every run, which do not get shorter by compression.
func randomBytes(n int) string {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{'b', 'a', 'r', 'o'}).Read(b)
	return string(b)
}

// randomText is text in which no four characters come twice, or hardly any.
func randomText(n int) string {
	return base64.RawURLEncoding.EncodeToString([]byte(randomBytes(n)))[:n]
}
