package parser

import (
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"

	"baro.dev/socketio/internal/jsonscan"
)

func (p *Packet) readPayload(s string, i, attachments int) error {
	if i == len(s) {
		if p.Type == Event || p.Type == Ack {
			return &Error{Part: PartPayload, Offset: i, Reason: "there is none"}
		}
		return nil
	}
	d := &p.Data
	d.format = textFormat
	var (
		end int
		err error
	)
	switch c := s[i]; {
	case p.Type == Disconnect:
		return &Error{Part: PartPayload, Offset: i, Reason: "a DISCONNECT has none"}
	case p.Type == Event || p.Type == Ack:
		if c != '[' {
			return &Error{Part: PartPayload, Offset: i, Reason: "it is not an array"}
		}
		if end, err = d.readArray(s, i+1, p.Type == Event); err == nil {
			if d.raw = s[i+1 : end-1]; d.count == 0 && !d.named {
				d.raw = "" // white space
			}
		}
	case c == '{' || c == '"' && p.Type == ConnectError:
		if end, err = jsonscan.Value(s, i); err == nil {
			d.raw, d.count, d.first = s[i:end], 1, span{0, uint32(end - i)}
		}
	default:
		return &Error{Part: PartPayload, Offset: i, Reason: "it is not an object"}
	}
	if err == nil && jsonscan.Space(s, end) != len(s) {
		err = &jsonscan.SyntaxError{Offset: end, Reason: "something behind the value"}
	}
	if wrong, ok := errors.AsType[*jsonscan.SyntaxError](err); ok {
		return &Error{PartPayload, wrong.Offset, wrong.Reason, err}
	}
	if err != nil {
		return err
	}
	if attachments > 0 {
		return d.readPlaces(s, i, attachments)
	}
	return nil
}

// readArray checks the elements of an array and what ends it, and notes where the first ones are.
func (d *Data) readArray(s string, i int, event bool) (int, error) {
	base := i
	d.named = event
	i = jsonscan.Space(s, i)
	if i < len(s) && s[i] == ']' {
		if event {
			return i, &Error{Part: PartEventName, Offset: i, Reason: "there is none"}
		}
		return i + 1, nil
	}
	for element := 0; ; element++ {
		end, err := jsonscan.Value(s, i)
		if err != nil {
			return end, err
		}
		switch {
		case event && element == 0:
			if err := d.readName(s[i:end], i); err != nil {
				return i, err
			}
		default:
			if d.count == 0 {
				d.first = span{uint32(i - base), uint32(end - base)}
			}
			d.count++
		}
		i = jsonscan.Space(s, end)
		switch {
		case i < len(s) && s[i] == ',':
			i = jsonscan.Space(s, i+1)
		case i < len(s) && s[i] == ']':
			return i + 1, nil
		default:
			return i, &jsonscan.SyntaxError{Offset: i, Reason: "neither a comma nor the end of the array"}
		}
	}
}

func (d *Data) readName(s string, offset int) error {
	switch s[0] {
	case '"':
		d.name = jsonscan.Unquote(s)
	case '{', '[', 't', 'f', 'n':
		return &Error{Part: PartEventName, Offset: offset, Reason: "it is neither a string nor a number"}
	default:
		d.name = s
	}
	if Reserved(d.name) {
		return &Error{Part: PartEventName, Offset: offset, Reason: strconv.Quote(d.name) + " is reserved"}
	}
	return nil
}

// readPlaces looks for placeholders in the array that begins at start. That an attachment is referred to twice is not
// accepted: no encoder does it, and each would be copied.
func (d *Data) readPlaces(s string, start, attachments int) error {
	places := jsonscan.Placeholders(nil, s, start)
	used := make(map[int]bool)
	for i := range places {
		p := &places[i]
		switch {
		case p.Number < 0 || p.Number >= attachments:
			return &Error{Part: PartPlaceholder, Offset: p.Start, Reason: fmt.Sprintf("its number is none of %d attachments", attachments)}
		case used[p.Number]:
			return &Error{Part: PartPlaceholder, Offset: p.Start, Reason: fmt.Sprintf("another one has the number %d, too", p.Number)}
		}
		used[p.Number] = true
		p.Start, p.End = p.Start-start-1, p.End-start-1 // in what is between the brackets
	}
	d.format = textWith(&binaries{places: places})
	return nil
}

func invalidByte(s string) int {
	for i, r := range s {
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(s[i:]); size == 1 {
				return i
			}
		}
	}
	return -1
}
