package redisbroker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"baro.dev/channel"
)

// The form of what is in Redis; see doc.go. Numbers in heads are big-endian, as Lua's struct.pack has them, lengths in
// bodies are varints.
const (
	formatVersion = 1
	epochBytes    = 13
	tagBytes      = 8
	metaBytes     = 1 + epochBytes + 4*8 + tagBytes
	headBytes     = 1 + 3*8 + tagBytes
	batchHead     = 1 + epochBytes
	keyHead       = 8 + 8 + epochBytes
	maxOffset     = 1 << 53 // Lua counts in float64
	maxSender     = 1 << 10
)

// overhead is what a message is counted with beside its own bytes.
const overhead = 200

const (
	flagBinary = 1 << iota
	flagExclude
	flagID
	flagEvent
	flagUser
	flagKey
	flagSender
	flagUnknown
)

var errWire = errors.New("channel/redisbroker: not what a broker writes")

// epoch and tag of the empty channel.
const (
	noEpoch = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	noTag   = "\x00\x00\x00\x00\x00\x00\x00\x00"
)

// place is where a channel stands: the offset of its last message, and the tag of the batch that this one came with, by which it
// is known from another one that got the same offset.
type place struct {
	epoch  string
	offset uint64
	tag    string
}

// entry is a message as it is in the log, or in what is published.
type entry struct {
	tag     string
	message *channel.Message
}

func appendBody(b []byte, m *channel.Message) []byte {
	at := len(b)
	b = append(b, 0)
	var flags byte
	for i, field := range []string{m.ID, m.Event, m.User, m.Key, m.Sender} {
		if field != "" {
			flags |= flagID << i
			b = binary.AppendUvarint(b, uint64(len(field)))
			b = append(b, field...)
		}
	}
	if m.Binary {
		flags |= flagBinary
	}
	if m.Exclude {
		flags |= flagExclude
	}
	b[at] = flags
	return append(b, m.Data...)
}

// parseEntry reads an entry of a channel of which nobody knows who wrote it. It copies what it takes.
func parseEntry(b []byte, epoch string) (entry, error) {
	if len(b) < headBytes+1 || b[0] != formatVersion {
		return entry{}, fmt.Errorf("%w: an entry of %d bytes", errWire, len(b))
	}
	offset, micros := binary.BigEndian.Uint64(b[1:]), binary.BigEndian.Uint64(b[9:])
	if offset == 0 || offset > maxOffset || micros > maxOffset {
		return entry{}, fmt.Errorf("%w: the offset %d", errWire, offset)
	}
	tag := string(b[headBytes-tagBytes : headBytes])
	flags, rest := b[headBytes], b[headBytes+1:]
	if flags >= flagUnknown {
		return entry{}, fmt.Errorf("%w: the flags %#x", errWire, flags)
	}
	m := &channel.Message{
		Offset: offset, Epoch: epoch, Time: time.UnixMicro(int64(micros)),
		Binary: flags&flagBinary != 0, Exclude: flags&flagExclude != 0,
	}
	for i, field := range []*string{&m.ID, &m.Event, &m.User, &m.Key, &m.Sender} {
		if flags&(flagID<<i) == 0 {
			continue
		}
		n, size := binary.Uvarint(rest)
		if size <= 0 || n > uint64(len(rest)-size) || n > maxWord(i) {
			return entry{}, fmt.Errorf("%w: the length of a field", errWire)
		}
		*field, rest = string(rest[size:size+int(n)]), rest[size+int(n):]
		if !isWord(*field) {
			return entry{}, fmt.Errorf("%w: control characters in a field", errWire)
		}
	}
	if strings.HasPrefix(m.Event, "baro.") || strings.HasSuffix(m.Event, ";base64") {
		return entry{}, fmt.Errorf("%w: a reserved event", errWire)
	}
	if !m.Binary && !utf8.Valid(rest) {
		return entry{}, fmt.Errorf("%w: a text that is not UTF-8", errWire)
	}
	m.Data = append(make([]byte, 0, len(rest)), rest...)
	if m.ID == "" {
		m.ID = m.Position().String()
	}
	return entry{tag: tag, message: m}, nil
}

func maxWord(field int) uint64 {
	return [...]uint64{channel.MaxIDBytes, channel.MaxEventBytes, channel.MaxUserBytes, channel.MaxKeyBytes, maxSender}[field]
}

// isWord says whether s could be part of a message that a hub took: see channel.ValidateName.
func isWord(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control)
	})
}

// isEpoch says whether s is an epoch that a broker made.
func isEpoch[T string | []byte](s T) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'A' || c > 'Z') && (c < '2' || c > '7') { // base32
			return false
		}
	}
	return len(s) == epochBytes
}

// parseBatch reads what is published: the epoch, and the entries, of which each is parsed by [parseEntry].
func parseBatch(b []byte) (epoch []byte, entries [][]byte, err error) {
	if len(b) < batchHead || b[0] != formatVersion || !isEpoch(b[1:batchHead]) {
		return nil, nil, fmt.Errorf("%w: a publication of %d bytes", errWire, len(b))
	}
	epoch, b = b[1:batchHead], b[batchHead:]
	for len(b) > 0 {
		if len(b) < 4 {
			return nil, nil, fmt.Errorf("%w: a publication ends early", errWire)
		}
		n := binary.BigEndian.Uint32(b)
		if uint64(n) > uint64(len(b)-4) || n < headBytes {
			return nil, nil, fmt.Errorf("%w: the length of an entry", errWire)
		}
		entries = append(entries, b[4:4+n])
		b = b[4+n:]
	}
	if len(entries) == 0 {
		return nil, nil, fmt.Errorf("%w: an empty publication", errWire)
	}
	return epoch, entries, nil
}

// parseMeta reads where a channel stands. It is false where that is nothing that a broker wrote.
func parseMeta(s string) (place, bool) {
	if len(s) != metaBytes || s[0] != formatVersion || !isEpoch(s[1:1+epochBytes]) {
		return place{}, false
	}
	return place{
		epoch:  s[1 : 1+epochBytes],
		offset: binary.BigEndian.Uint64([]byte(s[1+epochBytes:])),
		tag:    s[metaBytes-tagBytes:],
	}, true
}

// parseFirst reads what is remembered of the first message with a key.
func parseFirst(s string) (*channel.Message, error) {
	if len(s) < keyHead || !isEpoch(s[16:keyHead]) || len(s)-keyHead > channel.MaxIDBytes || !isWord(s[keyHead:]) {
		return nil, fmt.Errorf("%w: what is remembered of a key", errWire)
	}
	m := &channel.Message{
		Time:   time.UnixMicro(int64(binary.BigEndian.Uint64([]byte(s[:8])))),
		Offset: binary.BigEndian.Uint64([]byte(s[8:16])), Epoch: s[16:keyHead], ID: s[keyHead:],
	}
	if m.ID == "" {
		m.ID = m.Position().String()
	}
	return m, nil
}
