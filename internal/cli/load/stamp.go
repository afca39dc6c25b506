package load

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
)

// Messages are ASCII letters and digits, so that they pass as text and stay what they are in JSON. An echoed one begins with its
// number; one that is published begins with a stamp: a mark, the stream that it is of, its number in that, and when it was due, in
// nanoseconds since the run began. What comes is thus known for what it is, whatever is around it.
const (
	numberSize = 8 // hexadecimal
	markSize   = 8
	streamSize = 4
	timeSize   = 12
	stampSize  = markSize + streamSize + numberSize + timeSize

	maxStreams = 1 << (4 * streamSize)
)

// stamp is what a published message says of itself.
type stamp struct {
	stream int
	number uint32
	due    int64
}

// newMark is what the stamps of a run begin with, unlike those of other runs.
func newMark() []byte {
	var b [3]byte
	_, _ = rand.Read(b[:])
	return hex.AppendEncode([]byte("b!"), b[:])
}

// filler is what messages have behind their number or stamp.
func filler(size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = 'a' + byte(i%23)
	}
	return b
}

const digits = "0123456789abcdef"

// putHex writes the last digits of v, as many as fit.
func putHex(b []byte, v uint64) {
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = digits[v&15]
		v >>= 4
	}
}

var values = func() (t [256]byte) {
	for i := range t {
		t[i] = 0xff
	}
	for i := range len(digits) {
		t[digits[i]] = byte(i)
	}
	return t
}()

// readHex reads digits. ok is false if there is something else.
func readHex(b []byte) (v uint64, ok bool) {
	bad := byte(0)
	for _, c := range b {
		d := values[c]
		bad |= d
		v = v<<4 | uint64(d&15)
	}
	return v, bad < 16
}

func (s stamp) put(b, mark []byte) {
	copy(b, mark)
	b = b[markSize:]
	putHex(b[:streamSize], uint64(s.stream))
	putHex(b[streamSize:streamSize+numberSize], uint64(s.number))
	putHex(b[streamSize+numberSize:][:timeSize], uint64(s.due))
}

// finder finds stamps in what comes in pieces.
type finder struct {
	mark []byte
	part [stampSize - 1]byte // the end of what came, if a stamp may have begun there
	have int
}

// find calls found for each stamp that ends in b.
func (f *finder) find(b []byte, found func(stamp)) {
	if f.have > 0 {
		// Twice the size of a stamp is enough to have whole what began before.
		var joined [2 * stampSize]byte
		n := copy(joined[:], f.part[:f.have])
		had := n
		n += copy(joined[n:n+stampSize], b)
		end := f.scan(joined[:n], found)
		if n-had == len(b) { // all of b was in it
			f.keep(joined[end:n])
			return
		}
		b = b[max(0, end-had):]
	}
	end := f.scan(b, found)
	f.keep(b[end:])
}

// scan returns where it is that a stamp may have begun that has not come whole.
func (f *finder) scan(b []byte, found func(stamp)) int {
	at := 0
	for {
		i := bytes.Index(b[at:], f.mark)
		if i < 0 {
			return max(at, len(b)-markSize+1)
		}
		at += i
		if len(b)-at < stampSize {
			return at
		}
		if s, ok := readStamp(b[at+markSize : at+stampSize]); ok {
			found(s)
			at += stampSize
		} else {
			at += markSize
		}
	}
}

func (f *finder) keep(b []byte) { f.have = copy(f.part[:], b) }

func readStamp(b []byte) (s stamp, ok bool) {
	stream, ok1 := readHex(b[:streamSize])
	number, ok2 := readHex(b[streamSize : streamSize+numberSize])
	due, ok3 := readHex(b[streamSize+numberSize:])
	return stamp{int(stream), uint32(number), int64(due)}, ok1 && ok2 && ok3
}
