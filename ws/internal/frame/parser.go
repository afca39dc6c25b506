package frame

import (
	"encoding/binary"
	"fmt"
	"math"

	"baro.dev/internal/mask"
)

// Error is a violation of the protocol by the peer.
type Error struct {
	// Code is the close code to fail the connection with (RFC 6455 7.4.1): 1002, 1008 or 1009.
	Code uint16
	// Reason says what was wrong, short enough for a close frame.
	Reason string
}

func (e *Error) Error() string { return "ws: " + e.Reason }

func protocolError(format string, args ...any) error {
	return &Error{Code: 1002, Reason: fmt.Sprintf(format, args...)}
}

// Rules say what a parser accepts. They are shared by the connections of one server and must not change.
type Rules struct {
	// MaxMessage bounds the payload bytes of a message, all fragments together, as they are on the wire. 0: no bound.
	MaxMessage int64
	// MaxFragments bounds the frames of a message. 0: no bound.
	MaxFragments int
}

// Event is what Next found.
type Event struct {
	// Payload is a piece of a payload, unmasked, a part of the slice that Next was given.
	Payload []byte
	// Opcode is that of the message (Text, Binary: never Continuation) or of the control frame.
	Opcode Opcode
	// Start: the first piece of its message or control frame.
	Start bool
	// End: the last piece of its message or control frame.
	End bool
	// Compressed: a piece of a compressed message (RFC 7692 6).
	Compressed bool
	// None: no event; the parser needs more bytes.
	None bool
}

// Parser splits a stream of bytes into the payloads of its frames. It holds no payload. The zero value with Init
// called is ready; it is owned by one goroutine at a time.
type Parser struct {
	rules     *Rules
	remaining int64 // payload bytes of the current frame still to come
	message   int64 // payload bytes announced by the frames of the current message so far
	key       uint32
	fragments int32

	head   [MaxHeaderSize]byte // of the current frame, as far as it has come
	filled uint8

	kind    Opcode // of the message in progress; 0 between messages
	control Opcode // of the current frame if it is a control frame; 0 in data frames

	server     bool // this side is the server: what comes must be masked
	deflate    bool // RSV1 may be set: permessage-deflate was agreed
	compressed bool // the message in progress is compressed
	started    bool // the message in progress has had its first event
	fin        bool // the current data frame is the last of its message
	inPayload  bool // the header is complete, the payload is not
	inControl  bool // the control frame in progress has had its first event
}

// Init makes p ready for a new connection. server says that this side is the server, deflate that
// permessage-deflate was agreed.
func (p *Parser) Init(rules *Rules, server, deflate bool) {
	*p = Parser{rules: rules, server: server, deflate: deflate}
}

// Remaining is the number of payload bytes of the current data frame that are still to come; 0 between frames and in
// control frames.
func (p *Parser) Remaining() int64 {
	if p.inPayload && p.control == 0 {
		return p.remaining
	}
	return 0
}

// Within reports whether a frame or a message has begun and is not complete.
func (p *Parser) Within() bool { return p.filled > 0 || p.inPayload || p.kind != 0 }

// Opcode returns the opcode of the frame that the next byte is part of: what its header says, or Continuation within
// the payload of any data frame.
func (p *Parser) Opcode(next byte) Opcode {
	switch {
	case p.inPayload:
		return p.control
	case p.filled > 0:
		next = p.head[0]
	}
	return Opcode(next & 0xF)
}

// Next consumes the first n bytes of b and returns the event they make, unmasking the payload in place. It is to be
// called again with the rest; with an empty rest it has nothing to say. After an error the parser is not to be used
// any more.
func (p *Parser) Next(b []byte) (ev Event, n int, err error) {
	if !p.inPayload {
		n, err = p.header(b)
		if err != nil || !p.inPayload {
			return Event{None: true}, n, err
		}
		b = b[n:]
	}
	if len(b) == 0 && p.remaining > 0 {
		return Event{None: true}, n, nil
	}
	if int64(len(b)) > p.remaining {
		b = b[:p.remaining:p.remaining] // so that appending to the payload does not overwrite what follows
	}
	if p.server {
		p.key = mask.XOR(b, p.key)
	}
	p.remaining -= int64(len(b))
	done := p.remaining == 0
	if p.control != 0 {
		ev = Event{Payload: b, Opcode: p.control, Start: !p.inControl, End: done}
		p.inControl = !done
	} else {
		ev = Event{Payload: b, Opcode: p.kind, Start: !p.started, End: done && p.fin, Compressed: p.compressed}
		p.started = true
		if ev.End {
			p.kind = 0
		}
	}
	if done {
		p.inPayload = false
	}
	return ev, n + len(b), nil
}

// Whole returns the message at the start of b, unmasked in place, and its length with the header, if it is of the
// plain kind that most are: to a server, in one frame that is all in b, not compressed, of less than 64 KiB. Otherwise
// n is 0 and Next tells what there is.
func (p *Parser) Whole(b []byte) (opcode Opcode, payload []byte, n int) {
	if len(b) < 6 || p.kind != 0 || p.inPayload || p.filled > 0 || !p.server {
		return 0, nil, 0
	}
	opcode = Opcode(b[0] ^ bitFin)
	size, head := int(b[1])-bitMask, 6
	if size == length16 && len(b) >= 8 {
		size, head = int(binary.BigEndian.Uint16(b[2:])), 8
		if size < length16 {
			return 0, nil, 0
		}
	} else if size >= length16 {
		return 0, nil, 0
	}
	if opcode != Text && opcode != Binary || size < 0 || len(b)-head < size {
		return 0, nil, 0
	}
	if max := p.rules.MaxMessage; max > 0 && int64(size) > max {
		return 0, nil, 0
	}
	payload = b[head : head+size : head+size]
	mask.XOR(payload, binary.LittleEndian.Uint32(b[head-4:]))
	return opcode, payload, head + size
}

// header consumes bytes of b until the header is complete.
func (p *Parser) header(b []byte) (n int, err error) {
	if p.filled == 0 && len(b) >= 2 {
		// The usual case: the header is whole and need not be copied.
		size := headerSize(b[1])
		if len(b) >= size {
			return size, p.begin(b[:size])
		}
	}
	for len(b) > n {
		p.head[p.filled] = b[n]
		p.filled++
		n++
		if p.filled == 1 {
			if err := p.checkFirst(p.head[0]); err != nil {
				return n, err
			}
			continue
		}
		if p.filled == 2 {
			if err := p.checkSecond(p.head[0], p.head[1]); err != nil {
				return n, err
			}
		}
		if int(p.filled) == headerSize(p.head[1]) {
			size := p.filled
			p.filled = 0
			return n, p.begin(p.head[:size])
		}
	}
	return n, nil
}

func headerSize(second byte) int {
	size := 2
	switch second &^ bitMask {
	case length16:
		size += 2
	case length64:
		size += 8
	}
	if second&bitMask != 0 {
		size += 4
	}
	return size
}

// checkFirst refuses what the first byte of a frame must not say, as soon as it is there.
func (p *Parser) checkFirst(first byte) error {
	opcode := Opcode(first & 0xF)
	if rsv := first & bitsRSV; rsv != 0 {
		// RFC 6455 5.2: a reserved bit is 0 unless an extension gives it a meaning. RFC 7692 6: RSV1 on the first
		// frame of a message only, never on a control frame.
		if rsv != bitRSV1 || !p.deflate || (opcode != Text && opcode != Binary) {
			return protocolError("reserved bits %03b set in a %v frame", rsv>>4, opcode)
		}
	}
	switch opcode {
	case Continuation:
		if p.kind == 0 {
			return protocolError("continuation frame without a message to continue")
		}
	case Text, Binary:
		if p.kind != 0 {
			return protocolError("%v frame inside a fragmented message", opcode)
		}
	case Close, Ping, Pong:
		if first&bitFin == 0 {
			return protocolError("fragmented %v frame", opcode)
		}
	default:
		return protocolError("%v", opcode)
	}
	return nil
}

// checkSecond refuses what the second byte of a frame must not say, as soon as it is there.
func (p *Parser) checkSecond(first, second byte) error {
	if masked := second&bitMask != 0; masked != p.server {
		if p.server {
			return protocolError("unmasked frame from a client")
		}
		return protocolError("masked frame from a server")
	}
	if opcode := Opcode(first & 0xF); opcode.IsControl() && second&^bitMask > MaxControlPayload {
		return protocolError("%v frame with a payload of more than 125 bytes", opcode)
	}
	return nil
}

// begin starts a frame whose header is complete.
func (p *Parser) begin(h []byte) error {
	if err := p.checkFirst(h[0]); err != nil {
		return err
	}
	if err := p.checkSecond(h[0], h[1]); err != nil {
		return err
	}
	var length uint64
	switch short := h[1] &^ bitMask; short {
	case length16:
		length = uint64(binary.BigEndian.Uint16(h[2:]))
		if length < length16 {
			return protocolError("length %d in two bytes, not in one", length)
		}
	case length64:
		length = binary.BigEndian.Uint64(h[2:])
		if length>>63 != 0 {
			return protocolError("length with the most significant bit set")
		}
		if length <= 0xFFFF {
			return protocolError("length %d in eight bytes, not in fewer", length)
		}
	default:
		length = uint64(short)
	}
	if p.server {
		p.key = binary.LittleEndian.Uint32(h[len(h)-4:])
	}
	p.inPayload = true
	p.remaining = int64(length)
	opcode := Opcode(h[0] & 0xF)
	if opcode.IsControl() {
		// A control frame may stand between the fragments of a message, whose state stays as it is (RFC 6455 5.4).
		p.control = opcode
		return nil
	}
	return p.beginData(opcode, h[0], int64(length))
}

// beginData starts a data frame: of a new message, or the next of the message in progress.
func (p *Parser) beginData(opcode Opcode, first byte, length int64) error {
	p.control = 0
	p.fin = first&bitFin != 0
	if opcode != Continuation {
		p.kind = opcode
		p.compressed = first&bitRSV1 != 0
		p.started = false
		p.message = 0
		p.fragments = 0
	}
	p.fragments++
	if p.rules.MaxFragments > 0 && int(p.fragments) > p.rules.MaxFragments {
		return &Error{Code: 1008, Reason: fmt.Sprintf("message of more than %d fragments", p.rules.MaxFragments)}
	}
	// Compared without adding, so that no announced length can overflow.
	if max := p.rules.MaxMessage; max > 0 && length > max+p.overhead(max)-p.message {
		return &Error{Code: 1009, Reason: fmt.Sprintf("message of more than %d bytes", p.rules.MaxMessage)}
	}
	if length > math.MaxInt64-p.message {
		return &Error{Code: 1009, Reason: "message of more than 2^63-1 bytes"}
	}
	p.message += length
	return nil
}

// overhead is what a compressed message may be longer on the wire than inflated: input that does not compress is sent
// in stored blocks with a few bytes of header each (RFC 1951 3.2.4).
func (p *Parser) overhead(size int64) int64 {
	if !p.compressed || size > math.MaxInt64/2 {
		return 0
	}
	return size>>8 + 64
}
