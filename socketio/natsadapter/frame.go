package natsadapter

import (
	"encoding/binary"
	"errors"
)

// version is the first byte of a message. Versions one apart understand each other: what one of them does not know it ignores.
const version = 1

// form says what a message is, and what its head has. What has another one is ignored.
type form byte

const (
	whole  form = iota // a message of a namespace
	copied             // one that is sent on several subjects, for several rooms: a sequence
	piece              // of one that is too long for the broker: a number, which piece it is, how many there are
)

const (
	idLength   = 10
	headLength = 2 + idLength
	// maxHead is how long a head can be.
	maxHead = headLength + 3*binary.MaxVarintLen64
)

// frame is what goes over the wire: version, form, the id of the sender, up to three numbers as varints, and the body.
type frame struct {
	form    form
	sender  string
	numbers [3]uint64
	body    []byte
}

// numbersOf says how many numbers the head of a form has.
func numbersOf(f form) int {
	switch f {
	case copied:
		return 1
	case piece:
		return 3
	}
	return 0
}

// bytes encodes f.
func (f *frame) bytes() []byte {
	b := make([]byte, 0, maxHead+len(f.body))
	b = append(b, version, byte(f.form))
	b = append(b, f.sender...)
	for _, n := range f.numbers[:numbersOf(f.form)] {
		b = binary.AppendUvarint(b, n)
	}
	return append(b, f.body...)
}

var (
	errShort   = errors.New("it is too short")
	errVersion = errors.New("it is of a version that is not understood")
	errForm    = errors.New("it is of a form that is not understood")
	errSender  = errors.New("it has no id of a sender")
)

// readFrame reads what came. The body is part of data.
func readFrame(data []byte) (f frame, err error) {
	switch {
	case len(data) < headLength:
		return f, errShort
	case data[0] == 0 || data[0] > version+1:
		return f, errVersion
	case form(data[1]) > piece:
		return f, errForm
	}
	f.form, f.sender = form(data[1]), string(data[2:headLength])
	if !isID(f.sender) {
		return f, errSender
	}
	data = data[headLength:]
	for i := range numbersOf(f.form) {
		n, size := binary.Uvarint(data)
		if size <= 0 {
			return f, errShort
		}
		f.numbers[i], data = n, data[size:]
	}
	f.body = data
	return f, nil
}

// isID reports whether s is like the ids of nodes.
func isID(s string) bool {
	for i := range len(s) {
		if !isAlphanumeric(s[i]) {
			return false
		}
	}
	return len(s) == idLength
}

func isAlphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}
