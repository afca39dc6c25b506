package load

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// responses takes apart what a server of HTTP/1.1 answers (RFC 9112), and hands out bodies in the pieces in which they come.
type responses struct {
	status int
	ends   bool // the answer is whole
	last   bool // the server closes the connection behind it

	state   int
	line    []byte // what has come of a head, or of a line
	left    int64  // bytes of the body, or chunk
	chunked bool
}

// What comes next.
const (
	inHead = iota
	inBody // of a length, or, if that is negative, to the end of the connection
	inSize // the line before a chunk
	inChunk
	afterChunk
	inTrailer
)

// next takes the next piece off b, which is not empty, and returns what of it is of a body.
func (r *responses) next(b []byte) (piece, rest []byte, err error) {
	r.ends = false
	switch r.state {
	case inHead:
		return r.head(b)
	case inBody, inChunk:
		n := len(b)
		if r.left >= 0 && int64(n) > r.left {
			n = int(r.left)
		}
		if r.left >= 0 {
			if r.left -= int64(n); r.left == 0 {
				r.over()
			}
		}
		return b[:n], b[n:], nil
	}
	line, rest, ok, err := r.until(b, "\n", 4<<10)
	if err != nil || !ok {
		return nil, nil, err
	}
	text := strings.TrimRight(string(line), "\r\n")
	r.line = r.line[:0]
	switch r.state {
	case inSize:
		size, _, _ := strings.Cut(text, ";")
		n, err := strconv.ParseUint(strings.TrimSpace(size), 16, 62)
		if err != nil {
			return nil, nil, fmt.Errorf("the size of a chunk is wrong: %.40q", text)
		}
		if r.left, r.state = int64(n), inChunk; n == 0 {
			r.state = inTrailer
		}
	case afterChunk:
		if text != "" {
			return nil, nil, errors.New("a chunk that does not end where it says")
		}
		r.state = inSize
	case inTrailer:
		if text == "" {
			r.state, r.ends = inHead, true
		}
	}
	return nil, rest, nil
}

// over is when a body or chunk has come.
func (r *responses) over() {
	if r.state == inChunk {
		r.state = afterChunk
		return
	}
	r.state, r.ends = inHead, true
}

// until collects what is up to and with an end.
func (r *responses) until(b []byte, end string, most int) (all, rest []byte, ok bool, err error) {
	had := len(r.line)
	r.line = append(r.line, b[:min(len(b), most+1)]...)
	i := bytes.Index(r.line[max(0, had-len(end)+1):], []byte(end))
	if i < 0 {
		if len(r.line) > most {
			return nil, nil, false, errors.New("an answer whose head is too long")
		}
		return nil, nil, false, nil
	}
	n := max(0, had-len(end)+1) + i + len(end)
	return r.line[:n], b[n-had:], true, nil
}

func (r *responses) head(b []byte) (piece, rest []byte, err error) {
	head, rest, ok, err := r.until(b, "\r\n\r\n", maxHead)
	if err != nil || !ok {
		return nil, nil, err
	}
	defer func() { r.line = r.line[:0] }()
	first, fields, _ := bytes.Cut(head, []byte("\r\n"))
	if len(first) < len("HTTP/1.1 200") || !bytes.HasPrefix(first, []byte("HTTP/1.")) {
		return nil, nil, fmt.Errorf("this is no answer of HTTP/1.1: %.60q", first)
	}
	if r.status, err = strconv.Atoi(string(first[9:12])); err != nil {
		return nil, nil, fmt.Errorf("this is no answer of HTTP/1.1: %.60q", first)
	}
	if err := r.fields(fields); err != nil {
		return nil, nil, err
	}
	switch {
	case r.status/100 == 1:
		return nil, rest, nil // another one follows
	case r.chunked:
		r.state = inSize
	case r.left == 0 || r.status == 204 || r.status == 304:
		r.ends = true
	default:
		r.state = inBody
	}
	return nil, rest, nil
}

func (r *responses) fields(fields []byte) error {
	r.left, r.chunked, r.last = -1, false, false
	for len(fields) > 0 {
		var line []byte
		line, fields, _ = bytes.Cut(fields, []byte("\r\n"))
		name, value, _ := bytes.Cut(line, []byte{':'})
		value = bytes.TrimSpace(value)
		switch {
		case equalFold(name, "content-length"):
			n, err := strconv.ParseUint(string(value), 10, 62)
			if err != nil {
				return fmt.Errorf("a Content-Length that is wrong: %.40q", value)
			}
			r.left = int64(n)
		case equalFold(name, "transfer-encoding"):
			r.chunked = equalFold(value, "chunked")
		case equalFold(name, "connection"):
			r.last = equalFold(value, "close")
		}
	}
	return nil
}

func equalFold(b []byte, s string) bool { return len(b) == len(s) && strings.EqualFold(string(b), s) }
