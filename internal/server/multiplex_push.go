package server

import (
	"encoding/json"

	"baro.dev/channel"
	"baro.dev/internal/jsonstring"
	"baro.dev/ws"
)

// commandAnswer is the reply to a command: OK or Error.
type commandAnswer struct {
	ID    uint64        `json:"id,omitempty"`
	OK    any           `json:"ok,omitempty"`
	Error *commandError `json:"error,omitempty"`
}

// push is what the server says of its own accord: one of its members. Messages are encoded by hand.
type push struct {
	Connected    *welcome          `json:"connected,omitempty"`
	Join         *presenceEvent    `json:"join,omitempty"`
	Leave        *presenceEvent    `json:"leave,omitempty"`
	Present      *presenceAnswer   `json:"present,omitempty"`
	Subscribed   *subscribedPush   `json:"subscribed,omitempty"`
	Unsubscribed *unsubscribedPush `json:"unsubscribed,omitempty"`
	Call         *question         `json:"call,omitempty"`
	Disconnect   *closingEvent     `json:"disconnect,omitempty"`
}

type subscribedPush struct {
	Channel string `json:"channel"`
	*place
}

type unsubscribedPush struct {
	Channel string       `json:"channel"`
	Error   commandError `json:"error"`
}

// appendMessagePush appends {"message":{"channel":"news",…}}, which is the envelope with the channel before it.
func appendMessagePush(dst []byte, name string, m *channel.Message) []byte {
	if dst == nil {
		dst = make([]byte, 0, len(m.Data)+len(name)+192)
	}
	dst = append(dst, `{"message":{"channel":`...)
	dst = jsonstring.Append(dst, name)
	brace := len(dst)
	dst = m.AppendJSON(dst)
	dst[brace] = ','
	return append(dst, '}')
}

func preparePresence(e *channel.PresenceEvent) *ws.PreparedMessage {
	what := newPresenceEvent(e)
	p := push{Join: &what}
	if !e.Joined {
		p = push{Leave: &what}
	}
	data, err := json.Marshal(p)
	if err != nil {
		panic(err) // the hub has checked the info
	}
	return prepared(ws.Text, data)
}
