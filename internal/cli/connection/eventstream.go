package connection

import (
	"bytes"
	"fmt"
	"strconv"
	"time"
)

// EventParser finds the events in an event stream that is cut anywhere (HTML, "server-sent events"). It is for one goroutine.
type EventParser struct {
	// Max is how long an event, or a line, may be, in bytes.
	Max int64
	// Name and Data are of the event that Next has found: "" for a message. Data is lent until the next call of Next.
	Name string
	Data []byte
	// ID is that of the last event that had one.
	ID string
	// Retry is how long the server wants to be left alone when the stream breaks; 0: it has not said.
	Retry time.Duration

	name  string
	data  []byte
	id    string // counts when the event is over
	line  []byte // the beginning of one
	begun bool   // the first line is over
	cr    bool   // a CR was the last: a LF belongs to it
	found bool
}

// Next takes of p what there is up to the end of the next event, and reports whether there is one, in the fields. The rest is for the next
// call.
func (s *EventParser) Next(p []byte) (rest []byte, found bool, err error) {
	if s.found {
		s.data, s.name, s.found = s.data[:0], "", false
	}
	for len(p) > 0 {
		if s.cr && p[0] == '\n' {
			s.cr = false
			p = p[1:]
			continue
		}
		s.cr = false
		i := bytes.IndexAny(p, "\r\n")
		if i < 0 {
			s.line = append(s.line, p...)
			return nil, false, s.bounded(0)
		}
		s.cr = p[i] == '\r'
		line := p[:i]
		p = p[i+1:]
		if len(s.line) > 0 {
			s.line = append(s.line, line...)
			line = s.line
		}
		if err := s.bounded(len(line)); err != nil {
			return p, false, err
		}
		s.take(line)
		s.line = s.line[:0]
		if s.found {
			return p, true, nil
		}
	}
	return nil, false, nil
}

func (s *EventParser) bounded(n int) error {
	if int64(max(n, len(s.line))+len(s.data)) > s.Max {
		return fmt.Errorf("%w: an event of more than %d bytes", ErrTooLarge, s.Max)
	}
	return nil
}

// take reads a line.
func (s *EventParser) take(line []byte) {
	if !s.begun {
		s.begun = true
		line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
	}
	if len(line) == 0 {
		s.dispatch()
		return
	}
	field, value, _ := bytes.Cut(line, []byte{':'})
	value = bytes.TrimPrefix(value, []byte{' '})
	switch string(field) {
	case "event":
		s.name = string(value)
	case "data":
		s.data = append(append(s.data, value...), '\n')
	case "id":
		if bytes.IndexByte(value, 0) < 0 {
			s.id = string(value)
		}
	case "retry":
		if ms, err := strconv.ParseUint(string(value), 10, 40); err == nil {
			s.Retry = time.Duration(ms) * time.Millisecond
		}
	}
}

// dispatch ends an event. One without data is none, but its id counts.
func (s *EventParser) dispatch() {
	s.ID = s.id
	if len(s.data) == 0 {
		s.name = ""
		return
	}
	s.Name, s.Data, s.found = s.name, s.data[:len(s.data)-1], true
}
