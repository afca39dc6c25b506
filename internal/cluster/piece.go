package cluster

import (
	"encoding/binary"
	"errors"
)

// A message of a stream is a header, whether its sender dialed the stream (1) or not (0), the number of the stream, and then
//
//	open, accept   how many bytes the sender takes before it says more (4 bytes)
//	data           the number of the piece (8 bytes) and bytes
//	window         how many bytes the sender has read in all (8 bytes)
//	end            the number of the piece: the sender has closed
//	reset          why (1 byte)
//
// An audit has no stream of its own: it is a list of streams with the number of the last piece that was sent, and how many bytes were read
// in all. It comes after those pieces, so that a loss is known even when no piece follows; a stream that is not listed has not changed.
const (
	streamBytes = 9
	auditBytes  = streamBytes + 16
	maxAudit    = 1000 // entries of a message
)

// Why a stream is reset.
const (
	resetLost    = 0 // a piece was lost
	resetUnknown = 1 // there is no such stream
	resetBusy    = 2 // there are too many
	resetClosed  = 3 // nobody listens
)

func resetError(why byte) error {
	switch why {
	case resetUnknown:
		return errors.New("the other node does not know it")
	case resetBusy:
		return ErrBusy
	case resetClosed:
		return errors.New("the other node takes no streams")
	}
	return errLost
}

var errLost = errors.New("a piece was lost")

func appendKey(b []byte, key streamKey) []byte {
	dialed := byte(0)
	if key.dialed {
		dialed = 1
	}
	return binary.BigEndian.AppendUint64(append(b, dialed), key.number)
}

// parseKey gives the key that a stream has on this node.
func parseKey(from string, b []byte) (streamKey, bool) {
	if len(b) < streamBytes || b[0] > 1 {
		return streamKey{}, false
	}
	return streamKey{peer: from, number: binary.BigEndian.Uint64(b[1:]), dialed: b[0] == 0}, true
}

func (t *streams) send(key streamKey, kind messageType, rest []byte) error {
	var head [streamBytes]byte
	return t.node.send(subjectStreams+key.peer, kind, appendKey(head[:0], key), rest)
}

func (t *streams) sendPiece(key streamKey, kind messageType, number uint64, data []byte) error {
	var head [streamBytes + 8]byte
	return t.node.send(subjectStreams+key.peer, kind, binary.BigEndian.AppendUint64(appendKey(head[:0], key), number), data)
}

// piece takes a message of a stream that is there.
func (st *stream) piece(kind messageType, rest []byte) (ok bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	switch kind {
	case typeAccept:
		if len(rest) < 4 || !st.key.dialed {
			return false
		}
		if !st.open {
			st.opened(binary.BigEndian.Uint32(rest))
		}
	case typeData, typeEnd:
		if len(rest) < 8 {
			return false
		}
		st.takePiece(kind, binary.BigEndian.Uint64(rest), rest[8:])
	case typeWindow:
		if len(rest) < 8 {
			return false
		}
		return st.roomFor(binary.BigEndian.Uint64(rest))
	case typeReset:
		if len(rest) < 1 {
			return false
		}
		st.fail(resetError(rest[0]), false)
	}
	return true
}

// opened has the stream ready. st.mu is held.
func (st *stream) opened(window uint32) {
	st.open, st.window = true, uint64(min(window, maxWindow))
	st.room = st.window
	st.changed.Broadcast()
}

// roomFor lets the stream send what the other side has room for, after it has read so many bytes in all. st.mu is held.
func (st *stream) roomFor(consumed uint64) bool {
	if consumed > st.sent {
		return false
	}
	if room := consumed + st.window; room > st.room {
		st.room = room
		st.changed.Broadcast()
	}
	return true
}

func (st *stream) takePiece(kind messageType, number uint64, data []byte) {
	switch {
	case number <= st.came || st.ended || st.err != nil || st.closed:
		return // it came before, or nobody wants it
	case !st.open || number != st.came+1 || st.received-st.consumed+uint64(len(data)) > uint64(st.table.node.o.Window):
		st.fail(errLost, true)
		return
	}
	st.came = number
	if kind == typeEnd {
		st.ended = true
	} else {
		st.received += uint64(len(data))
		if st.read > 0 && len(st.buffer)+len(data) > cap(st.buffer) {
			st.buffer = append(st.buffer[:0], st.buffer[st.read:]...)
			st.read = 0
		}
		st.buffer = append(st.buffer, data...)
	}
	st.changed.Broadcast()
}

// audit takes what the other side says of the stream.
func (st *stream) audit(number, consumed uint64) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if !st.open || number > st.came && !st.ended || !st.roomFor(consumed) {
		st.fail(errLost, true)
	}
}

// auditEntry appends what is to be said of the stream, if anything is.
func (st *stream) auditEntry(b []byte, complete bool) []byte {
	st.mu.Lock()
	defer st.mu.Unlock()
	if !st.open || st.ended || st.closed || st.err != nil {
		return b
	}
	if !complete && st.number == st.auditedNumber && st.consumed == st.auditedConsumed {
		return b
	}
	st.auditedNumber, st.auditedConsumed = st.number, st.consumed
	b = appendKey(b, st.key)
	b = binary.BigEndian.AppendUint64(b, st.number)
	return binary.BigEndian.AppendUint64(b, st.consumed)
}
