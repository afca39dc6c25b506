package natsbroker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"baro.dev/channel"
)

// version is the first byte of a record.
const version = 1

// What the flags of a message say. Others are of a newer version.
const (
	flagBinary = 1 << iota
	flagExclude
	flagID // an id of the publisher's; else it is the position
	flagEvent
	flagUser
	flagKey
	flagSender
	flagUnknown
)

// messageOverhead is what the hub counts for a message beside its own bytes.
const messageOverhead = 200

func messageSize(m *channel.Message) int64 {
	return int64(len(m.Data) + len(m.ID) + len(m.Event) + len(m.User) + len(m.Key) + messageOverhead)
}

// errForeign is what nobody wrote who uses this package.
var errForeign = errors.New("not a record of this version")

// A mark says where an earlier record is.
type mark struct {
	seq    uint64 // in the stream; 0: there is none
	offset uint64 // of its first message
}

// steps are the distances of marks: the record that has an offset which is a multiple of steps[i] is marked in those after it,
// until there is another.
var steps = [...]uint64{64, 512, 4096}

// A record is what one message of the stream holds: messages that were appended together, or none, so that the channel is not
// forgotten.
type record struct {
	id       uint64 // by which its writer knows it again
	epoch    string
	first    uint64 // offset of the first message, or of the one that is to come
	total    uint64 // bytes of the messages before it, in this life
	ttl      uint64 // for how many seconds the stream has it, by the wish of its writer; 0: for ever
	time     int64  // nanoseconds since 1970
	marks    [len(steps)]mark
	messages []*channel.Message
}

// end is the offset of the last message.
func (r *record) end() uint64 { return r.first + uint64(len(r.messages)) - 1 }

func (r *record) append(dst []byte) []byte {
	dst = append(dst, version)
	dst = binary.LittleEndian.AppendUint64(dst, r.id)
	dst = appendBytes(dst, r.epoch)
	dst = binary.AppendUvarint(dst, r.first)
	dst = binary.AppendUvarint(dst, r.total)
	dst = binary.AppendUvarint(dst, r.ttl)
	dst = binary.AppendVarint(dst, r.time)
	for _, m := range r.marks {
		dst = binary.AppendUvarint(dst, m.seq)
		dst = binary.AppendUvarint(dst, m.offset)
	}
	dst = binary.AppendUvarint(dst, uint64(len(r.messages)))
	for _, m := range r.messages {
		dst = appendMessage(dst, m)
	}
	return dst
}

func appendMessage(dst []byte, m *channel.Message) []byte {
	at := len(dst)
	dst = append(dst, 0)
	if m.Binary {
		dst[at] |= flagBinary
	}
	if m.Exclude {
		dst[at] |= flagExclude
	}
	for i, word := range [...]string{m.ID, m.Event, m.User, m.Key, m.Sender} {
		if word != "" && (i > 0 || word != m.Position().String()) {
			dst[at] |= flagID << i
			dst = appendBytes(dst, word)
		}
	}
	return appendBytes(dst, m.Data)
}

// overhead is how long a record may be beside the data, ids and other words of its messages, and what is before each of those.
const overhead, perMessage = 256, 24

// wireSize is how long a message is at most, within a record.
func wireSize(m *channel.Message) int {
	return perMessage + len(m.Data) + len(m.ID) + len(m.Event) + len(m.User) + len(m.Key) + len(m.Sender)
}

// decode reads a record. The messages have nothing of data. The error is errForeign.
func decode(data []byte) (record, error) {
	d := decoder{b: data}
	if v := d.byte(); v != version {
		return record{}, fmt.Errorf("%w: version %d", errForeign, v)
	}
	r := record{id: d.uint64()}
	r.epoch = string(d.bytes(32))
	r.first, r.total, r.ttl, r.time = d.uvarint(), d.uvarint(), d.uvarint(), d.varint()
	for i := range r.marks {
		r.marks[i] = mark{seq: d.uvarint(), offset: d.uvarint()}
	}
	n := d.uvarint()
	switch {
	case d.bad:
		return record{}, fmt.Errorf("%w: it ends early", errForeign)
	case !validEpoch(r.epoch):
		return record{}, fmt.Errorf("%w: an epoch that is none", errForeign)
	case r.first == 0 || r.first > 1<<62 || r.total > 1<<62 || r.time < 0:
		return record{}, fmt.Errorf("%w: numbers that cannot be", errForeign)
	case n > uint64(len(d.b)/2): // each takes two bytes at least
		return record{}, fmt.Errorf("%w: more messages than bytes", errForeign)
	}
	r.messages = make([]*channel.Message, n)
	for i := range r.messages {
		m := d.message()
		if d.bad {
			return record{}, fmt.Errorf("%w: message %d is damaged", errForeign, i+1)
		}
		r.stamp(m, i)
		r.messages[i] = m
	}
	if len(d.b) > 0 {
		return record{}, fmt.Errorf("%w: %d bytes too many", errForeign, len(d.b))
	}
	return r, nil
}

// stamp gives a message what the record says of it, as the one that is i after the first.
func (r *record) stamp(m *channel.Message, i int) {
	m.Offset, m.Epoch, m.Time = r.first+uint64(i), r.epoch, time.Unix(0, r.time)
	if m.ID == "" {
		m.ID = m.Position().String()
	}
}

func validEpoch(epoch string) bool {
	return epoch != "" && len(epoch) <= 32 && strings.Trim(epoch, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

// decoder takes fields off the front of b. After the first that is not there everything is zero, and bad set.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) fail() { d.b, d.bad = nil, true }

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.fail()
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

func (d *decoder) uint64() uint64 {
	if len(d.b) < 8 {
		d.fail()
		return 0
	}
	v := binary.LittleEndian.Uint64(d.b)
	d.b = d.b[8:]
	return v
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) bytes(limit int) []byte {
	n := d.uvarint()
	if n > uint64(len(d.b)) || n > uint64(limit) {
		d.fail()
		return nil
	}
	b := d.b[:n]
	d.b = d.b[n:]
	return b
}

// words are those of a message, with their bounds.
func words(m *channel.Message) [5]word {
	return [5]word{
		{"message id", &m.ID, channel.MaxIDBytes}, {"event name", &m.Event, channel.MaxEventBytes}, {"user", &m.User, channel.MaxUserBytes},
		{"idempotency key", &m.Key, channel.MaxKeyBytes}, {"sender", &m.Sender, maxSender},
	}
}

type word struct {
	what  string
	word  *string
	limit int
}

// maxSender bounds what is taken for the id of a connection.
const maxSender = channel.MaxNameBytes

// validate says what keeps m from being taken for a message by those who read it.
func validate(m *channel.Message) error {
	for _, w := range words(m) {
		if *w.word == "" {
			continue
		}
		if len(*w.word) > w.limit {
			return &channel.InvalidError{What: w.what, Reason: fmt.Sprintf("it has %d bytes, the limit is %d", len(*w.word), w.limit)}
		}
		if err := channel.ValidateName(*w.word); err != nil { // the rules for what is in a name are those for all words
			return &channel.InvalidError{What: w.what, Reason: err.Error()}
		}
	}
	switch {
	case strings.HasPrefix(m.Event, "baro.") || strings.HasSuffix(m.Event, ";base64"):
		return &channel.InvalidError{What: "event name", Reason: "it is reserved"}
	case !m.Binary && !utf8.Valid(m.Data):
		return &channel.InvalidError{What: "message", Reason: "a text message must be valid UTF-8"}
	}
	return nil
}

// message copies a message, which is checked as that of a publisher is: it goes to clients.
func (d *decoder) message() *channel.Message {
	flags := d.byte()
	if flags&flagUnknown != 0 {
		d.fail()
	}
	m := &channel.Message{Binary: flags&flagBinary != 0, Exclude: flags&flagExclude != 0}
	for i, w := range words(m) {
		if flags&(flagID<<i) != 0 {
			*w.word = string(d.bytes(w.limit))
		}
	}
	data := d.bytes(len(d.b))
	m.Data = append(make([]byte, 0, len(data)), data...)
	if !d.bad && validate(m) != nil {
		d.fail()
	}
	return m
}

func appendBytes[T string | []byte](dst []byte, b T) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(b)))
	return append(dst, b...)
}
