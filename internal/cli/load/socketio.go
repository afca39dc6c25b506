package load

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// maxMessage bounds what is put together of a message that comes in pieces.
const maxMessage = 64 << 20

// whole puts messages together that come in pieces.
type whole struct{ part []byte }

// take takes a piece and returns the message, which is lent, when it is whole.
func (m *whole) take(piece []byte, begins, ends bool) (message []byte, ok bool, err error) {
	if begins && ends {
		return piece, true, nil
	}
	if begins {
		m.part = m.part[:0]
	}
	if len(m.part)+len(piece) > maxMessage {
		return nil, false, errors.New("a message that is too large")
	}
	m.part = append(m.part, piece...)
	return m.part, ends, nil
}

// engine is the side of a client of a session of Engine.IO over a WebSocket, in one namespace of Socket.IO.
type engine struct {
	webSocket
	whole
	prefix string // of packets of the namespace
}

// hear calls packet for each packet of Socket.IO of this namespace, without what says so: its type and what is behind.
func (e *engine) hearPackets(b []byte, packet func(kind byte, rest []byte) error) error {
	for len(b) > 0 {
		piece, rest, ok, err := e.next(b)
		if err != nil {
			return err
		}
		b = rest
		if !ok {
			continue
		}
		if e.opcode >= opClose {
			if err := e.hearControl(piece); err != nil {
				return err
			}
			continue
		}
		message, ok, err := e.take(piece, e.begins, e.ends)
		if err != nil {
			return err
		}
		if !ok || e.opcode == opBinary || len(message) == 0 {
			continue
		}
		if err := e.hearPacket(message, packet); err != nil {
			return err
		}
	}
	return nil
}

var pong = appendFrame(nil, opText, []byte("3"))

func (e *engine) hearPacket(message []byte, packet func(kind byte, rest []byte) error) error {
	switch message[0] {
	case '1':
		return errors.New("the session was closed by the server")
	case '2':
		e.conn.send(pong)
		return nil
	case '4':
	default:
		return nil
	}
	if len(message) < 2 {
		return errors.New("an empty packet of Socket.IO")
	}
	kind, rest := message[1], message[2:]
	rest, ours := bytes.CutPrefix(rest, []byte(e.prefix))
	if !ours {
		return nil
	}
	switch kind {
	case '1':
		return errors.New("the server has closed the namespace")
	case '4':
		return fmt.Errorf("the namespace is refused: %.200q", rest)
	}
	return packet(kind, rest)
}

// events asks a Socket.IO server that acknowledges an event.
type events struct {
	engine
	before  []byte // the packet up to its id
	after   []byte // what is behind
	payload []byte // scratch
}

func newEvents(c *conn, o *Options) *events {
	name, _ := json.Marshal(o.Event)
	prefix := namespacePrefix(o.Namespace)
	return &events{
		engine: engine{webSocket: webSocket{conn: c}, prefix: prefix},
		before: []byte("42" + prefix),
		after:  fmt.Appendf(nil, `[%s,"%s"]`, name, filler(o.Size)),
	}
}

func (e *events) ask(dst []byte, number uint32, _ int64) []byte {
	e.payload = append(e.payload[:0], e.before...)
	e.payload = strconv.AppendUint(e.payload, uint64(number), 10)
	e.payload = append(e.payload, e.after...)
	return appendFrame(dst, opText, e.payload)
}

func (e *events) hear(b []byte, now int64, a *asker) error {
	return e.hearPackets(b, func(kind byte, rest []byte) error {
		if kind != '3' {
			return nil // events of the server's own
		}
		id, _, ok := bytes.Cut(rest, []byte{'['})
		number, err := strconv.ParseUint(string(id), 10, 32)
		if !ok || err != nil {
			return fmt.Errorf("an acknowledgement that is wrong: %.100q", rest)
		}
		return a.answered(uint32(number), now)
	})
}
