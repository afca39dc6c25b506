package deflate

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
)

// The two references that the inflater is held against: the standard library, and an inflater too simple to be wrong that
// also tells how far back a message refers and whether it ends as RFC 7692 7.2.1 says.

var tail = []byte{0x00, 0x00, 0xff, 0xff}

// standard inflates a message with compress/flate. It says nothing about the window's size, and takes the tail for whatever
// the message makes of it.
func standard(src, history []byte) ([]byte, error) {
	in := bytes.NewReader(append(append(append([]byte{}, src...), tail...), 0x01, 0x00, 0x00, 0xff, 0xff))
	var out []byte
	for {
		dict := append(append([]byte{}, history...), out...)
		more, err := io.ReadAll(flate.NewReaderDict(in, dict))
		out = append(out, more...)
		switch {
		case err != nil:
			return nil, err
		case in.Len() == 0 || in.Len() == 5 || in.Len() == 9:
			return out, nil // the final block above; one that the tail completes; or one that is the message's last
		case in.Len() < 9:
			return nil, errors.New("a final block within the tail")
		}
	}
}

// A reference inflates bit by bit.
type reference struct {
	src      []byte
	bit      int
	out      []byte // history first
	farthest int
}

var errReference = errors.New("reference: corrupt")

// referenceInflate inflates a message, tail and all, and returns how far back it refers.
func referenceInflate(src, history []byte) (out []byte, farthest int, err error) {
	r := &reference{src: append(append([]byte{}, src...), tail...), out: append([]byte{}, history...)}
	defer func() {
		if e := recover(); e != nil {
			if e != errReference {
				panic(e)
			}
			out, err = nil, errReference
		}
	}()
	final := false
	for {
		if final {
			r.bit = (r.bit + 7) &^ 7
			if r.bit == 8*len(src) {
				break
			}
		}
		final = r.take(1) == 1
		switch r.take(2) {
		case 0:
			r.bit = (r.bit + 7) &^ 7
			atTail := r.bit == 8*len(src)
			n := r.take(16)
			if r.take(16) != n^0xffff {
				panic(errReference)
			}
			for range n {
				r.out = append(r.out, byte(r.take(8)))
			}
			if atTail {
				return r.out[len(history):], r.farthest, nil
			}
		case 1:
			lengths := make([]int, 288+30)
			for i := range lengths {
				switch {
				case i < 144:
					lengths[i] = 8
				case i < 256:
					lengths[i] = 9
				case i < 280:
					lengths[i] = 7
				case i < 288:
					lengths[i] = 8
				default:
					lengths[i] = 5
				}
			}
			// The 32 distance codes of 5 bits are complete; 30 and 31 do not occur.
			r.block(newReferenceCode(lengths[:288], false), newReferenceCode(lengths[288:], true))
		case 2:
			nlit, ndist, nlen := r.take(5)+257, r.take(5)+1, r.take(4)+4
			if nlit > 286 || ndist > 30 {
				panic(errReference)
			}
			meta := make([]int, 19)
			for i := range nlen {
				meta[[]int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}[i]] = r.take(3)
			}
			code := newReferenceCode(meta, false)
			var lengths []int
			for len(lengths) < nlit+ndist {
				n, value := 1, r.symbol(code)
				switch value {
				case 16:
					if len(lengths) == 0 {
						panic(errReference)
					}
					n, value = 3+r.take(2), lengths[len(lengths)-1]
				case 17:
					n, value = 3+r.take(3), 0
				case 18:
					n, value = 11+r.take(7), 0
				}
				for range n {
					lengths = append(lengths, value)
				}
			}
			if len(lengths) > nlit+ndist {
				panic(errReference)
			}
			r.block(newReferenceCode(lengths[:nlit], false), newReferenceCode(lengths[nlit:], false))
		default:
			panic(errReference)
		}
	}
	return r.out[len(history):], r.farthest, nil
}

func (r *reference) take(n int) (v int) {
	for i := range n {
		if r.bit == 8*len(r.src) {
			panic(errReference)
		}
		v |= int(r.src[r.bit/8]>>(r.bit%8)&1) << i
		r.bit++
	}
	return v
}

// referenceCode maps a length and a code to a symbol.
type referenceCode map[[2]int]int

// newReferenceCode makes the code of RFC 1951 3.2.2. partial codes are those that the caller knows to lack some.
func newReferenceCode(lengths []int, partial bool) referenceCode {
	code, symbols, left := 0, referenceCode{}, 1
	for n := 1; n <= 15; n++ {
		left <<= 1
		code <<= 1
		for symbol, length := range lengths {
			if length == n {
				symbols[[2]int{n, code}] = symbol
				code++
				left--
			}
		}
		if left < 0 {
			panic(errReference)
		}
	}
	_, single := symbols[[2]int{1, 0}]
	if left > 0 && len(symbols) > 0 && !(len(symbols) == 1 && single) && !partial {
		panic(errReference)
	}
	return symbols
}

func (r *reference) symbol(c referenceCode) int {
	code := 0
	for n := 1; n <= 15; n++ {
		code = code<<1 | r.take(1)
		if s, ok := c[[2]int{n, code}]; ok {
			return s
		}
		if len(c) <= 1 {
			panic(errReference)
		}
	}
	panic(errReference)
}

func (r *reference) block(literals, distances referenceCode) {
	for {
		s := r.symbol(literals)
		switch {
		case s < 256:
			r.out = append(r.out, byte(s))
			continue
		case s == 256:
			return
		case s > 285:
			panic(errReference)
		}
		length, base := 258, 3
		for i := 257; i < 285; i++ {
			extra := max((i-257)/4-1, 0)
			if i == s {
				length = base + r.take(extra)
			}
			base += 1 << extra
		}
		d, dist, base := r.symbol(distances), 0, 1
		for i := range 30 {
			extra := max(i/2-1, 0)
			if i == d {
				dist = base + r.take(extra)
			}
			base += 1 << extra
		}
		if dist > len(r.out) {
			panic(errReference)
		}
		r.farthest = max(r.farthest, dist)
		for range length {
			r.out = append(r.out, r.out[len(r.out)-dist])
		}
	}
}
