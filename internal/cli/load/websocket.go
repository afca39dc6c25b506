package load

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// goodbyeFrame is a close frame that says that all is done (RFC 6455 7.4.1).
var goodbyeFrame = appendFrame(nil, opClose, binary.BigEndian.AppendUint16(nil, 1000))

// webSocket is the side of a client of a WebSocket.
type webSocket struct {
	frames
	conn    *conn
	control []byte // what has come of a control frame
}

// hearControl takes a piece of a control frame, and answers it when it is whole.
func (s *webSocket) hearControl(piece []byte) error {
	if s.begins {
		s.control = s.control[:0]
	}
	s.control = append(s.control, piece...)
	if !s.ends {
		return nil
	}
	switch s.opcode {
	case opPing:
		s.conn.send(appendFrame(nil, opPong, s.control))
	case opClose:
		e := &CloseError{Code: 1005}
		if len(s.control) >= 2 {
			e.Code, e.Reason = int(binary.BigEndian.Uint16(s.control)), string(s.control[2:])
		}
		if !s.conn.farewell {
			s.conn.send(appendFrame(nil, opClose, s.control[:min(2, len(s.control))]))
		}
		return e
	}
	return nil
}

func (s *webSocket) goodbye() []byte { return goodbyeFrame }

// echoes asks a server that sends back what it gets.
type echoes struct {
	webSocket
	like *echoLike
	have int // bytes of the message that comes
	head [numberSize]byte
}

// echoLike is what the messages of all connections have in common.
type echoLike struct {
	payload []byte // behind the number it is always the same
	frame   []byte // masked
}

func newEchoLike(size int, binaryType bool) *echoLike {
	opcode := byte(opText)
	if binaryType {
		opcode = opBinary
	}
	p := filler(size)
	return &echoLike{payload: p, frame: appendFrame(nil, opcode, p)}
}

func (e *echoes) ask(dst []byte, number uint32, _ int64) []byte {
	at := len(dst) + len(e.like.frame) - len(e.like.payload)
	dst = append(dst, e.like.frame...)
	key := uint64(maskKey)<<32 | maskKey
	var head [numberSize]byte
	putHex(head[:], uint64(number))
	binary.LittleEndian.PutUint64(dst[at:], binary.LittleEndian.Uint64(head[:])^key)
	return dst
}

var errNotEcho = errors.New("what came back is not what was sent")

func (e *echoes) hear(b []byte, now int64, a *asker) error {
	for len(b) > 0 {
		piece, rest, ok, err := e.next(b)
		if err != nil {
			return err
		}
		b = rest
		switch {
		case !ok:
		case e.opcode >= opClose:
			if err := e.hearControl(piece); err != nil {
				return err
			}
		default:
			if err := e.hearPiece(piece, now, a); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *echoes) hearPiece(piece []byte, now int64, a *asker) error {
	if e.begins {
		e.have = 0
	}
	at := e.have
	if e.have += len(piece); e.have > len(e.like.payload) {
		return errNotEcho
	}
	if at < numberSize {
		n := copy(e.head[at:], piece)
		at, piece = at+n, piece[n:]
	}
	if !bytes.Equal(piece, e.like.payload[at:at+len(piece)]) {
		return errNotEcho
	}
	if !e.ends {
		return nil
	}
	number, ok := readHex(e.head[:])
	if !ok || e.have != len(e.like.payload) {
		return errNotEcho
	}
	return a.answered(uint32(number), now)
}
