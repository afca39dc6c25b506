package diskstore

import (
	"encoding/binary"
	"fmt"
	"time"

	"baro.dev/channel"
)

// header is what is known of a channel. Those of its messages that are kept have the offsets first to last.
type header struct {
	epoch string
	first uint64 // last+1 where none is kept
	last  uint64 // of the newest message saved, kept or not
	bytes int64  // of those kept
	age   time.Duration
	flags uint64

	oldest, newest int64 // the times of first and last, in nanoseconds since 1970

	// The clock was set back before the message stepped was published, at steppedAt: those before it were published by
	// then, whatever they say.
	stepped   uint64
	steppedAt int64
}

// Flags of a header.
const flagLast = 1 // the newest message is kept whatever its age

// keep takes over the bounds that are looked at when there is no message.
func (h *header) keep(k channel.Keep) {
	h.age, h.flags = k.Age, h.flags&^flagLast
	if k.Last {
		h.flags |= flagLast
	}
}

func (h *header) count() int {
	return int(h.last + 1 - h.first)
}

// published is when a message was published, for all that is known now.
func (h *header) published(offset uint64, t int64) int64 {
	if offset < h.stepped {
		return min(t, h.steppedAt)
	}
	return t
}

// expired says whether a message is past its age.
func (h *header) expired(offset uint64, t, now int64) bool {
	if h.flags&flagLast != 0 && offset == h.last && h.count() > 0 {
		return false
	}
	return h.age > 0 && now-h.published(offset, t) >= int64(h.age)
}

// trimming says whether the oldest message is beyond keep.
func (h *header) trimming(keep channel.Keep, now int64) bool {
	return h.count() > 0 && (h.count() > keep.Count || h.bytes > keep.Bytes || h.expired(h.first, h.oldest, now))
}

// forgotten says whether nothing of the channel needs to be known any more.
func (h *header) forgotten(now int64) bool {
	return h.count() == 0 && h.expired(h.last, h.newest, now)
}

func (h *header) append(dst, key []byte) []byte {
	from := len(dst)
	dst = append(dst, formatVersion)
	dst = appendBytes(dst, h.epoch)
	dst = binary.AppendUvarint(dst, h.first)
	dst = binary.AppendUvarint(dst, h.last)
	for _, v := range []int64{h.bytes, int64(h.age), h.oldest, h.newest} {
		dst = binary.AppendVarint(dst, v)
	}
	dst = binary.AppendUvarint(dst, h.flags)
	dst = binary.AppendUvarint(dst, h.stepped)
	dst = binary.AppendVarint(dst, h.steppedAt)
	return seal(dst, from, key)
}

// parseHeader reads a header. The error is [ErrDamaged] or [ErrNewer].
func parseHeader(key, value []byte) (header, error) {
	body, err := unseal(key, value)
	if err != nil {
		return header{}, err
	}
	d := decoder{b: body}
	h := header{epoch: string(d.bytes()), first: d.uvarint(), last: d.uvarint(), bytes: d.varint(), age: time.Duration(d.varint()),
		oldest: d.varint(), newest: d.varint(), flags: d.uvarint(), stepped: d.uvarint(), steppedAt: d.varint()}
	if d.bad || len(d.b) > 0 || h.first == 0 || h.last+1 < h.first || h.bytes < 0 {
		return header{}, fmt.Errorf("%w: a channel's header makes no sense", ErrDamaged)
	}
	return h, nil
}
