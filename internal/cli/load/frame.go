package load

import (
	"encoding/binary"
	"errors"
	"fmt"

	"baro.dev/internal/mask"
)

// Opcodes (RFC 6455 5.2).
const (
	opText   = 1
	opBinary = 2
	opClose  = 8
	opPing   = 9
	opPong   = 10
)

// maskKey masks every frame. A key has to be unpredictable for the sake of proxies that take payloads for requests (RFC 6455
// 10.3); payloads here are this package's own, and a frame can be prepared once.
const maskKey = 0x5bd1e995

// appendFrame appends a final frame as a client sends it, masked.
func appendFrame(dst []byte, opcode byte, payload []byte) []byte {
	dst = append(dst, 0x80|opcode)
	switch n := len(payload); {
	case n < 126:
		dst = append(dst, 0x80|byte(n))
	case n < 1<<16:
		dst = binary.BigEndian.AppendUint16(append(dst, 0x80|126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, 0x80|127), uint64(n))
	}
	dst = binary.LittleEndian.AppendUint32(dst, maskKey)
	at := len(dst)
	dst = append(dst, payload...)
	mask.XOR(dst[at:], maskKey)
	return dst
}

// frames takes apart what a server sends into frames, and hands out their payloads in the pieces in which they come, without a copy.
type frames struct {
	opcode byte   // of the message, or of the control frame, that the piece is of
	begins bool   // the piece is the first of it
	ends   bool   // the piece is the last of it
	left   uint64 // bytes of the present frame still to come

	inFrame bool
	fin     bool
	control bool
	message byte // the opcode of the message whose fragments come; 0: none
	fresh   bool // nothing of the present message, or control frame, was handed out yet
	have    int  // bytes of head
	head    [10]byte
}

var errReserved = errors.New("a frame with a reserved bit, though no extension was agreed on")

// next takes the next piece off b, which is not empty. ok: there is one; it may be of no bytes.
func (f *frames) next(b []byte) (piece, rest []byte, ok bool, err error) {
	if !f.inFrame {
		if b, ok, err = f.header(b); !ok || err != nil {
			return nil, b, false, err
		}
		f.inFrame = true
	}
	n := len(b)
	if uint64(n) > f.left {
		n = int(f.left)
	}
	f.left -= uint64(n)
	f.begins, f.fresh = f.fresh, false
	f.ends = false
	if f.left == 0 {
		f.inFrame = false
		if f.ends = f.fin; f.ends && !f.control {
			f.message = 0
		}
	}
	return b[:n], b[n:], true, nil
}

// header takes a header, or as much of it as there is. ok: it is whole.
func (f *frames) header(b []byte) (rest []byte, ok bool, err error) {
	if f.have == 0 && len(b) >= 2 && b[1] < 126 {
		f.left = uint64(b[1])
		return b[2:], true, f.first(b[0], b[1])
	}
	old := f.have
	f.have += copy(f.head[old:], b)
	need := 2
	if f.have >= 2 {
		switch f.head[1] & 0x7f {
		case 126:
			need = 4
		case 127:
			need = 10
		}
	}
	if f.have < need {
		return nil, false, nil
	}
	f.have = 0
	switch need {
	case 2:
		f.left = uint64(f.head[1] & 0x7f)
	case 4:
		f.left = uint64(binary.BigEndian.Uint16(f.head[2:]))
	default:
		f.left = binary.BigEndian.Uint64(f.head[2:])
	}
	return b[need-old:], true, f.first(f.head[0], f.head[1])
}

// first checks and takes what the first two bytes of a frame say.
func (f *frames) first(b0, b1 byte) error {
	opcode := b0 & 0xf
	f.fin, f.control = b0&0x80 != 0, opcode >= opClose
	switch {
	case b0&0x70 != 0:
		return errReserved
	case b1&0x80 != 0:
		return errors.New("a masked frame of a server")
	case f.control && (opcode > opPong || !f.fin || f.left > 125):
		return fmt.Errorf("a control frame that is wrong (opcode %d, %d bytes)", opcode, f.left)
	case f.control:
		f.opcode, f.fresh = opcode, true
	case opcode > opBinary:
		return fmt.Errorf("a frame of the reserved opcode %d", opcode)
	case opcode == 0 && f.message == 0:
		return errors.New("a continuation of nothing")
	case opcode != 0 && f.message != 0:
		return errors.New("a new message before the last one has ended")
	case opcode == 0:
		f.opcode = f.message
		f.fresh = false
	default:
		f.opcode, f.message, f.fresh = opcode, opcode, true
	}
	return nil
}
