package msgpack

import (
	"errors"
	"fmt"

	"baro.dev/socketio/parser"
)

// MaxDepth is how deep arrays and maps may be nested: as deep as in the default codec.
const MaxDepth = 10_000

// MaxBinaries is how many binary values a packet may have: one that is empty takes two bytes as it comes and some
// fifty when it is decoded.
const MaxBinaries = 10_000

// A kind is what a value is.
type kind byte

const (
	kindNil kind = iota
	kindBool
	kindUint
	kindInt // less than zero
	kindFloat32
	kindFloat64
	kindString
	kindBinary
	kindArray
	kindMap
	kindFixExtension
	kindExtension
)

// A head is the beginning of a value, with what says how long it is.
type head struct {
	kind kind
	n    uint64 // what a scalar is, in 64 bits; the bytes of a string, bin or extension; the elements of an array or map
	body int    // where the bytes or the elements begin; for a scalar where it ends
	ext  int8   // the type of an extension
}

var errEnds = errors.New("the message ends within a value")

// readHead reads the head of the value at i, and checks that the bytes it declares are there, or at least a byte for
// each element.
func readHead(s string, i int) (head, error) {
	if i >= len(s) {
		return head{}, errEnds
	}
	c := s[i]
	i++
	h := head{body: i}
	width := 0 // of the number behind the first byte
	switch {
	case c <= 0x7f:
		h.kind, h.n = kindUint, uint64(c)
	case c <= 0x8f:
		h.kind, h.n = kindMap, uint64(c&0x0f)
	case c <= 0x9f:
		h.kind, h.n = kindArray, uint64(c&0x0f)
	case c <= 0xbf:
		h.kind, h.n = kindString, uint64(c&0x1f)
	case c == 0xc0:
		h.kind = kindNil
	case c == 0xc1:
		return head{}, errors.New("the byte 0xc1 begins no value")
	case c <= 0xc3:
		h.kind, h.n = kindBool, uint64(c&1)
	case c <= 0xc6:
		h.kind, width = kindBinary, 1<<(c-0xc4)
	case c <= 0xc9:
		h.kind, width = kindExtension, 1<<(c-0xc7)
	case c == 0xca:
		h.kind, width = kindFloat32, 4
	case c == 0xcb:
		h.kind, width = kindFloat64, 8
	case c <= 0xcf:
		h.kind, width = kindUint, 1<<(c-0xcc)
	case c <= 0xd3:
		h.kind, width = kindInt, 1<<(c-0xd0)
	case c <= 0xd8:
		h.kind, h.n = kindFixExtension, 1<<(c-0xd4)
	case c <= 0xdb:
		h.kind, width = kindString, 1<<(c-0xd9)
	case c <= 0xdd:
		h.kind, width = kindArray, 2<<(c-0xdc)
	case c <= 0xdf:
		h.kind, width = kindMap, 2<<(c-0xde)
	default:
		h.kind, h.n = kindInt, uint64(int64(int8(c)))
	}
	if width > 0 {
		if len(s)-h.body < width {
			return head{}, errEnds
		}
		h.n, h.body = number(s[h.body:h.body+width]), h.body+width
	}
	if h.kind == kindInt && width > 0 {
		unused := 64 - 8*width
		if h.n = uint64(int64(h.n<<unused) >> unused); int64(h.n) >= 0 {
			h.kind = kindUint
		}
	}
	if h.kind == kindFixExtension || h.kind == kindExtension {
		if h.body == len(s) {
			return head{}, errEnds
		}
		h.ext = int8(s[h.body])
		h.body++
	}
	if h.least() > uint64(len(s)-h.body) {
		return head{}, errEnds
	}
	return h, nil
}

// number reads a big-endian number.
func number(s string) (n uint64) {
	for i := range len(s) {
		n = n<<8 | uint64(s[i])
	}
	return n
}

// least is how many bytes there must be from body on.
func (h *head) least() uint64 {
	switch h.kind {
	case kindString, kindBinary, kindFixExtension, kindExtension, kindArray:
		return h.n
	case kindMap:
		return 2 * h.n
	}
	return 0
}

// end is where the value ends, if it is no array or map.
func (h *head) end() int {
	if h.kind == kindArray || h.kind == kindMap {
		return h.body
	}
	return h.body + int(h.least())
}

// A counter counts what is bounded in a packet.
type counter struct{ binaries int }

// skip checks the value at i, and returns where it ends.
func (c *counter) skip(s string, i int) (int, error) {
	var room [16]uint64
	open := room[:0]           // how many values are left in each array and map that is open
	for left := uint64(1); ; { // in the innermost
		h, err := readHead(s, i)
		if err != nil {
			return i, err
		}
		i = h.end()
		left--
		switch h.kind {
		case kindArray, kindMap:
			if len(open) == MaxDepth {
				return i, errors.New("nested too deep")
			}
			open = append(open, left)
			left = h.least()
		case kindBinary, kindExtension, kindFixExtension:
			if c.binaries++; c.binaries > MaxBinaries {
				return i, fmt.Errorf("more than %d binary values: %w", MaxBinaries, parser.ErrTooLarge)
			}
		}
		for left == 0 {
			if len(open) == 0 {
				return i, nil
			}
			left, open = open[len(open)-1], open[:len(open)-1]
		}
	}
}
