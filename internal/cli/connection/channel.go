package connection

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"baro.dev/channel"
)

// envelopes is the subprotocol of the channels of baro serve by which a message says where it is.
const envelopes = "baro.v1.json"

// isChannel reports whether a URL looks like that of a channel of baro serve.
func isChannel(u *url.URL) bool {
	_, name, ok := strings.Cut(u.Path, "/c/")
	return ok && name != ""
}

// setAfter says in the query where to go on.
func setAfter(u *url.URL, id string) {
	if id == "" {
		return
	}
	q := u.Query()
	q.Set("after", id)
	u.RawQuery = q.Encode()
}

// missedError is that what was missed cannot be had any more; reading goes on at a place, "" for what comes next.
type missedError struct{ at string }

func (e *missedError) Error() string { return "messages were missed, and cannot be had any more" }

// opened is the message in an envelope of a channel. What is no envelope is the message itself.
func opened(text []byte) (Message, error) {
	var m channel.Message
	if err := json.Unmarshal(text, &m); err == nil && m.Epoch != "" {
		kind := Text
		if m.Binary {
			kind = Binary
		}
		return Message{Kind: kind, Event: m.Event, Data: m.Data, ID: m.Position().String()}, nil
	}
	var told struct {
		Event  string
		Epoch  string
		Offset uint64
		Error  *struct {
			Code    string
			Message string
		}
	}
	if err := json.Unmarshal(text, &told); err == nil {
		switch {
		case told.Event == "baro.reset":
			return Message{}, &missedError{told.Epoch + ":" + strconv.FormatUint(told.Offset, 10)}
		case told.Error != nil:
			return Message{}, fmt.Errorf("%w: %s: %s", ErrMessage, told.Error.Code, told.Error.Message)
		}
	}
	return Message{Data: text}, nil
}

// enclosed is a message as it is published with envelopes.
func enclosed(m Message) ([]byte, error) {
	e := struct {
		Event  string  `json:"event,omitempty"`
		Data   *string `json:"data,omitempty"`
		Base64 []byte  `json:"base64,omitempty"`
	}{Event: m.Event}
	switch {
	case m.Kind == Binary:
		e.Base64 = m.Data
		if len(m.Data) == 0 {
			return []byte(`{"base64":""}`), nil
		}
	default:
		text := string(m.Data)
		e.Data = &text
	}
	return json.Marshal(e)
}
