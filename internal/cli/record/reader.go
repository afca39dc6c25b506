package record

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"
)

// A DamagedError is that a recording cannot be read from a line on.
type DamagedError struct {
	Line int // from 1
	Err  error
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("line %d of the recording: %v", e.Line, e.Err)
}

func (e *DamagedError) Unwrap() error { return e.Err }

// A Reader reads a recording. It is for one goroutine.
type Reader struct {
	Header Header

	in     *bufio.Reader
	line   int
	last   float64
	failed error
}

// NewReader reads the header. The error is a *DamagedError, or that of in.
func NewReader(in io.Reader) (*Reader, error) {
	r := &Reader{in: bufio.NewReaderSize(in, 64<<10)}
	text, err := r.next()
	if err == nil {
		if err = decode(text, &r.Header); err == nil {
			err = r.Header.check()
		}
		err = r.damaged(err)
	}
	if errors.Is(err, io.EOF) {
		r.line = 1
		err = r.damaged(errors.New("it is empty"))
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Next reads a line, until io.EOF. Other errors are a *DamagedError, or that of the input. An error comes again.
func (r *Reader) Next() (Entry, error) {
	if r.failed != nil {
		return Entry{}, r.failed
	}
	text, err := r.next()
	if err != nil {
		r.failed = err
		return Entry{}, err
	}
	e := Entry{line: r.line}
	if err = decode(text, &e); err == nil {
		err = e.check()
	}
	if err == nil && e.T < r.last {
		err = fmt.Errorf("it is of %.6f s, and comes behind %.6f s", e.T, r.last)
	}
	r.last = e.T
	r.failed = r.damaged(err)
	return e, r.failed
}

func (r *Reader) damaged(err error) error {
	if err == nil {
		return nil
	}
	return &DamagedError{r.line, err}
}

// decode reads a line, of which there may be more members one day.
func decode(text []byte, v any) error {
	if !utf8.Valid(text) {
		return errors.New("it is not UTF-8")
	}
	if err := json.Unmarshal(text, v); err != nil {
		return fmt.Errorf("it is not as it should be: %w", err)
	}
	return nil
}

// next reads a line that has an end and is no longer than MaxLine.
func (r *Reader) next() (text []byte, err error) {
	r.line++
	for {
		part, err := r.in.ReadSlice('\n')
		if len(text)+len(part) > MaxLine {
			return nil, r.damaged(fmt.Errorf("it is longer than %d bytes", MaxLine))
		}
		if len(text)+len(part) > cap(text) {
			text = slices.Grow(text, max(len(text), len(part))) // twice as much: lines may be long
		}
		text = append(text, part...)
		switch {
		case err == nil:
			return bytes.TrimRight(text, "\r\n"), nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(text) > 0:
			return nil, r.damaged(errors.New("it has no end: it was cut off"))
		default:
			return nil, err
		}
	}
}

// A Summary is what is known of a recording that was read.
type Summary struct {
	Header  Header
	Lines   int // but the first
	Secrets int // lines of what was sent from which a secret was taken
}

// Check reads all that there is.
func Check(in io.Reader) (Summary, error) {
	r, err := NewReader(in)
	if err != nil {
		return Summary{}, err
	}
	s := Summary{Header: r.Header}
	for ; ; s.Lines++ {
		e, err := r.Next()
		switch {
		case errors.Is(err, io.EOF):
			return s, nil
		case err != nil:
			return s, err
		case e.Redacted && e.Dir == Out:
			s.Secrets++
		}
	}
}
