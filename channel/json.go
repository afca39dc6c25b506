package channel

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"baro.dev/internal/jsonstring"
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
	dst = jsonstring.Append(dst, m.Epoch)
	dst = append(dst, `,"id":`...)
	dst = jsonstring.Append(dst, m.ID)
	if m.Event != "" {
		dst = append(dst, `,"event":`...)
		dst = jsonstring.Append(dst, m.Event)
	}
	if m.User != "" {
		dst = append(dst, `,"user":`...)
		dst = jsonstring.Append(dst, m.User)
	}
	dst = append(dst, `,"time":"`...)
	dst = m.Time.UTC().AppendFormat(dst, "2006-01-02T15:04:05.000Z")
	if m.Binary {
		dst = append(dst, `","base64":"`...)
		dst = base64.StdEncoding.AppendEncode(dst, m.Data)
		return append(dst, `"}`...)
	}
	dst = append(dst, `","data":`...)
	dst = jsonstring.Append(dst, m.Data)
	return append(dst, '}')
}

// MarshalJSON gives the envelope.
func (m *Message) MarshalJSON() ([]byte, error) {
	return m.AppendJSON(nil), nil
}

// UnmarshalJSON reads an envelope, as a server sends it or as a client publishes it: then with "data" or "base64", and
// "event", "id" and "key" as wanted; a "user" in that is but a claim. Unknown members are ignored. A mistake in the content is an [*InvalidError].
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
		Key    string    `json:"key"`
		User   string    `json:"user"`
		Time   time.Time `json:"time"`
		Data   *string   `json:"data"`
		Base64 *string   `json:"base64"`
	}
	if err := json.Unmarshal(data, &e); err != nil {
		return invalidJSON(err)
	}
	if at := jsonstring.LoneSurrogate(data); at >= 0 {
		return &InvalidError{What: "envelope", Reason: fmt.Sprintf("at byte %d: half of a surrogate pair is no character", at+1)}
	}
	read := Message{Offset: e.Offset, Epoch: e.Epoch, ID: e.ID, Event: e.Event, Key: e.Key, User: e.User, Time: e.Time}
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
