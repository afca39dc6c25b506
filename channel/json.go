package channel

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"
)

// The envelope is a message as a JSON object. All transports that need one use this one:
//
//	{"offset":17,"epoch":"4QJK…","id":"a1","event":"price","user":"ana","time":"2026-01-02T15:04:05.123Z","data":"text"}
//
// Binary data is in "base64" (RFC 4648 section 4) in place of "data". Without an event there is no "event", where nobody
// knows who published no "user". The order of the members is not promised.

// AppendJSON appends the envelope to dst. It has no line breaks.
func (m *Message) AppendJSON(dst []byte) []byte {
	dst = append(dst, `{"offset":`...)
	dst = strconv.AppendUint(dst, m.Offset, 10)
	dst = append(dst, `,"epoch":`...)
	dst = appendJSONString(dst, m.Epoch)
	dst = append(dst, `,"id":`...)
	dst = appendJSONString(dst, m.ID)
	if m.Event != "" {
		dst = append(dst, `,"event":`...)
		dst = appendJSONString(dst, m.Event)
	}
	if m.User != "" {
		dst = append(dst, `,"user":`...)
		dst = appendJSONString(dst, m.User)
	}
	dst = append(dst, `,"time":"`...)
	dst = m.Time.UTC().AppendFormat(dst, "2006-01-02T15:04:05.000Z")
	if m.Binary {
		dst = append(dst, `","base64":"`...)
		dst = base64.StdEncoding.AppendEncode(dst, m.Data)
		return append(dst, `"}`...)
	}
	dst = append(dst, `","data":`...)
	dst = appendJSONString(dst, m.Data)
	return append(dst, '}')
}

// MarshalJSON gives the envelope.
func (m *Message) MarshalJSON() ([]byte, error) {
	return m.AppendJSON(nil), nil
}

// UnmarshalJSON reads an envelope, as a server sends it or as a client publishes it: then with "data" or "base64", and
// "event" and "id" as wanted; a "user" in that is but a claim. Unknown members are ignored. A mistake in the content is an [*InvalidError].
func (m *Message) UnmarshalJSON(data []byte) error {
	// The decoder would replace what is not UTF-8.
	if !utf8.Valid(data) {
		return &InvalidError{What: "envelope", Reason: "it is not valid UTF-8"}
	}
	var e struct {
		Offset uint64    `json:"offset"`
		Epoch  string    `json:"epoch"`
		ID     string    `json:"id"`
		Event  string    `json:"event"`
		User   string    `json:"user"`
		Time   time.Time `json:"time"`
		Data   *string   `json:"data"`
		Base64 *string   `json:"base64"`
	}
	if err := json.Unmarshal(data, &e); err != nil {
		return invalidJSON(err)
	}
	read := Message{Offset: e.Offset, Epoch: e.Epoch, ID: e.ID, Event: e.Event, User: e.User, Time: e.Time}
	switch {
	case (e.Data == nil) == (e.Base64 == nil):
		return &InvalidError{What: "envelope", Reason: `it must have either "data" or "base64"`}
	case e.Data != nil:
		read.Data = []byte(*e.Data)
	default:
		bytes, err := base64.StdEncoding.DecodeString(*e.Base64)
		if err != nil {
			return &InvalidError{What: "envelope", Reason: `"base64" is not base64: ` + err.Error()}
		}
		read.Data, read.Binary = bytes, true
	}
	*m = read
	return nil
}

func invalidJSON(err error) error {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Field != "" {
		return &InvalidError{What: "envelope", Reason: fmt.Sprintf("%q cannot be a %s", wrong.Field, wrong.Value)}
	}
	return &InvalidError{What: "envelope", Reason: err.Error()}
}

const hexDigits = "0123456789abcdef"

// appendJSONString appends s as a JSON string. What is not valid UTF-8, which no published message contains, becomes
// U+FFFD.
func appendJSONString[T string | []byte](dst []byte, s T) []byte {
	dst = append(dst, '"')
	plain := 0 // where what needs no escape begins
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		size := 1
		if c >= utf8.RuneSelf {
			var r rune
			r, size = utf8.DecodeRuneInString(string(s[i:min(i+utf8.UTFMax, len(s))]))
			if r != utf8.RuneError || size > 1 {
				i += size
				continue
			}
		}
		dst = append(dst, s[plain:i]...)
		switch {
		case c >= utf8.RuneSelf:
			dst = append(dst, "\ufffd"...)
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c == '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i += size
		plain = i
	}
	dst = append(dst, s[plain:]...)
	return append(dst, '"')
}
