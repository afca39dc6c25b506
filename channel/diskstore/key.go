package diskstore

import (
	"bytes"
	"encoding/binary"
	"strings"

	"baro.dev/channel"
)

// All channels are in one tree. The header of a channel is under its name and a zero byte, its messages are under that
// and their offset, big-endian: names have no control characters, so that a channel is one run of keys, its header first
// and its messages in order.

func headerKey(name string) []byte {
	return append(append(make([]byte, 0, len(name)+9), name...), 0)
}

// messageKey changes key, which is of that channel, to that of a message, and returns it.
func messageKey(key []byte, offset uint64) []byte {
	return binary.BigEndian.AppendUint64(key[:bytes.IndexByte(key, 0)+1], offset)
}

// afterKey is behind all keys of the channel, and before those of any other that follows.
func afterKey(name string) []byte {
	return append([]byte(name), 1)
}

// splitKey says what a key stands for. The offset is 0 for a header.
func splitKey(key []byte) (name []byte, offset uint64, ok bool) {
	name, rest, found := bytes.Cut(key, []byte{0})
	switch {
	case !found || len(name) == 0 || len(name) > channel.MaxNameBytes:
		return nil, 0, false
	case len(rest) == 0:
		return name, 0, true
	case len(rest) == 8:
		offset = binary.BigEndian.Uint64(rest)
		return name, offset, offset != 0
	}
	return nil, 0, false
}

func validName(name string) bool {
	return name != "" && len(name) <= channel.MaxNameBytes && strings.IndexByte(name, 0) < 0
}
