package diskstore

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"time"

	"baro.dev/channel"
)

// What the flags of a record say. Others are of a newer version.
const (
	flagBinary    = 1 << iota // Message.Binary
	flagExclude               // Message.Exclude
	flagDefaultID             // the id is the position, and not in the record
	flagEvent                 // there is an event
	flagUser                  // there is a user
	flagKey                   // there is an idempotency key
	flagSender                // there is a sender
	flagUnknown
)

// maxMessageBytes bounds a message with everything, so that a damaged length is known as such.
const maxMessageBytes = 64 << 20

// messageOverhead is what the hub counts for a message beside its own bytes.
const messageOverhead = 200

func messageSize(m *channel.Message) int64 {
	return int64(len(m.Data) + len(m.ID) + len(m.Event) + len(m.User) + len(m.Key) + messageOverhead)
}

// record is a message as it is on disk, its fields still in the file's bytes.
type record struct {
	offset                              uint64 // in the key
	flags                               byte
	time                                int64 // nanoseconds since 1970
	epoch, id, event, user, key, sender []byte
	data                                []byte
}

// appendRecord appends m as it is saved under key.
func appendRecord(dst, key []byte, m *channel.Message) []byte {
	r := record{offset: m.Offset, time: m.Time.UnixNano(), epoch: []byte(m.Epoch), id: []byte(m.ID), event: []byte(m.Event),
		user: []byte(m.User), key: []byte(m.Key), sender: []byte(m.Sender), data: m.Data}
	if m.Binary {
		r.flags |= flagBinary
	}
	if m.Exclude {
		r.flags |= flagExclude
	}
	return r.append(dst, key)
}

// appendPosition appends the id of a message whose publisher gave none.
func appendPosition(dst, epoch []byte, offset uint64) []byte {
	return strconv.AppendUint(append(append(dst, epoch...), ':'), offset, 10)
}

// explicit puts the id into r, for a copy with another epoch.
func (r *record) explicit() {
	if r.flags&flagDefaultID != 0 {
		r.id = appendPosition(nil, r.epoch, r.offset)
	}
}

func (r *record) append(dst, key []byte) []byte {
	flags := r.flags & (flagBinary | flagExclude)
	var position [64]byte
	if bytes.Equal(r.id, appendPosition(position[:0], r.epoch, r.offset)) {
		flags |= flagDefaultID
	}
	optional := []struct {
		flag byte
		b    []byte
	}{{flagEvent, r.event}, {flagUser, r.user}, {flagKey, r.key}, {flagSender, r.sender}}
	for _, o := range optional {
		if len(o.b) > 0 {
			flags |= o.flag
		}
	}

	from := len(dst)
	dst = append(dst, formatVersion, flags)
	dst = binary.AppendVarint(dst, r.time)
	dst = appendBytes(dst, r.epoch)
	if flags&flagDefaultID == 0 {
		dst = appendBytes(dst, r.id)
	}
	for _, o := range optional {
		if flags&o.flag != 0 {
			dst = appendBytes(dst, o.b)
		}
	}
	dst = append(dst, r.data...)
	return seal(dst, from, key)
}

// parseRecord reads a record, which keeps the bytes of value. The error is [ErrDamaged] or [ErrNewer].
func parseRecord(key, value []byte) (record, error) {
	_, offset, ok := splitKey(key)
	if !ok || offset == 0 {
		return record{}, fmt.Errorf("%w: a key that is none", ErrDamaged)
	}
	body, err := unseal(key, value)
	if err != nil {
		return record{}, err
	}
	d := decoder{b: body}
	r := record{offset: offset, flags: d.byte()}
	if r.flags&flagUnknown != 0 {
		return record{}, fmt.Errorf("%w: a record with the flags %#x", ErrNewer, r.flags)
	}
	r.time = d.varint()
	r.epoch = d.bytes()
	if r.flags&flagDefaultID == 0 {
		r.id = d.bytes()
	}
	for _, o := range []struct {
		flag byte
		to   *[]byte
	}{{flagEvent, &r.event}, {flagUser, &r.user}, {flagKey, &r.key}, {flagSender, &r.sender}} {
		if r.flags&o.flag != 0 {
			*o.to = d.bytes()
		}
	}
	if d.bad {
		return record{}, fmt.Errorf("%w: a record ends early", ErrDamaged)
	}
	r.data = d.b
	return r, nil
}

// size is that of the message.
func (r *record) size() int64 {
	id := len(r.id)
	if r.flags&flagDefaultID != 0 {
		var position [64]byte
		id = len(appendPosition(position[:0], r.epoch, r.offset))
	}
	return int64(len(r.data) + id + len(r.event) + len(r.user) + len(r.key) + messageOverhead)
}

// message copies what the record says. The epoch is that of the record, if it is the same.
func (r *record) message(epoch string) *channel.Message {
	if string(r.epoch) != epoch {
		epoch = string(r.epoch)
	}
	id := string(r.id)
	if r.flags&flagDefaultID != 0 {
		var position [64]byte
		id = string(appendPosition(position[:0], r.epoch, r.offset))
	}
	return &channel.Message{
		Offset:  r.offset,
		Epoch:   epoch,
		Time:    time.Unix(0, r.time),
		ID:      id,
		Event:   string(r.event),
		Data:    append(make([]byte, 0, len(r.data)), r.data...),
		Binary:  r.flags&flagBinary != 0,
		User:    string(r.user),
		Key:     string(r.key),
		Sender:  string(r.sender),
		Exclude: r.flags&flagExclude != 0,
	}
}
