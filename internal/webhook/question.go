package webhook

import (
	"encoding/json"
	"errors"
	"time"
)

// The kinds of questions, and what their data and their answers are.
const (
	KindConnect = "connect" // ConnectQuestion, ConnectAnswer
	KindRPC     = "rpc"     // RPCQuestion, RPCAnswer
)

// A ConnectQuestion asks whether a client is let in, and as whom.
type ConnectQuestion struct {
	Client    string `json:"client"`          // the id that the connection will have
	Transport string `json:"transport"`       // as in [Connected]
	User      string `json:"user,omitempty"`  // whose it is, if a token that was verified says so
	Token     string `json:"token,omitempty"` // what the client presented, where nobody but the backend can read it
	// Headers are those of the client's request that the configuration selects, by their canonical names; Query is that of its
	// URL, without token; Remote is the IP address it comes from.
	Headers map[string]string `json:"headers,omitempty"`
	Query   string            `json:"query,omitempty"`
	Remote  string            `json:"remote"`
}

// A ConnectAnswer lets a client in. {} does so too: as nobody in particular, with the rights that the rules give to all.
type ConnectAnswer struct {
	User     string          `json:"user,omitempty"`     // who it is
	Info     json.RawMessage `json:"info,omitempty"`     // what others see in presence
	Channels []string        `json:"channels,omitempty"` // subscribed to at once
	Rights   Rights          `json:"rights"`             // as in a token
	// Expires is when the connection ends, in Unix seconds, as "exp" of a token; 0 for never. See [ConnectAnswer.Expiry].
	Expires float64 `json:"expires,omitempty"`
}

// Rights are patterns of channels, as a token's "rights".
type Rights struct {
	Subscribe []string `json:"subscribe,omitempty"`
	Publish   []string `json:"publish,omitempty"`
	Presence  []string `json:"presence,omitempty"`
	History   []string `json:"history,omitempty"`
}

// endOfTime is the end of the year 9999, in Unix seconds.
const endOfTime = 253402300800

// Expiry is Expires as a time, the zero time for never. It is an error if it is none.
func (a *ConnectAnswer) Expiry() (time.Time, error) {
	switch {
	case a.Expires == 0:
		return time.Time{}, nil
	case a.Expires < 0 || a.Expires >= endOfTime:
		return time.Time{}, errors.New(`webhook: "expires" is not a time in Unix seconds`)
	}
	return time.UnixMilli(int64(a.Expires * 1000)), nil
}

// An RPCQuestion is what a client asks the backend.
type RPCQuestion struct {
	Client string          `json:"client"`
	User   string          `json:"user,omitempty"`
	Method string          `json:"method"`
	Data   json.RawMessage `json:"data,omitempty"` // as the client gave it
}

// An RPCAnswer is what the client is told.
type RPCAnswer struct {
	Data json.RawMessage `json:"data,omitempty"`
}
