package webhook

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"time"

	"baro.dev/internal/jsonstring"
)

// An Event is something that has happened.
type Event struct {
	// Type is what: one of the types of this package, or another name.
	Type string
	// Time is when. The time of [Sender.Send], if it is zero.
	Time time.Time
	// ID names the event, in the hands of all endpoints, so that a receiver knows what it has had. A random one, if it is
	// empty.
	ID string
	// Data becomes JSON before Send returns, and is not kept. It should be the struct of the type.
	Data any
}

// The types of events, and what their data is.
const (
	TypeConnected    = "connected"     // Connected
	TypeDisconnected = "disconnected"  // Disconnected
	TypeSubscribed   = "subscribed"    // Subscribed
	TypeUnsubscribed = "unsubscribed"  // Unsubscribed
	TypeOccupied     = "occupied"      // Occupied
	TypeVacated      = "vacated"       // Vacated
	TypePublished    = "published"     // Published
	TypeCallAnswered = "call_answered" // CallAnswered
)

// Connected says that a client has come and was let in.
type Connected struct {
	Client    string          `json:"client"`         // the id of the connection
	User      string          `json:"user,omitempty"` // whose it is, if that is known
	Info      json.RawMessage `json:"info,omitempty"` // what others see of the user in presence
	Transport string          `json:"transport"`      // "websocket", "socketio", "sse", "ndjson", "poll"
	Remote    string          `json:"remote"`         // the IP address it comes from
}

// Disconnected says that a client is gone.
type Disconnected struct {
	Client    string    `json:"client"`
	User      string    `json:"user,omitempty"`
	Transport string    `json:"transport"`
	Reason    string    `json:"reason,omitempty"` // a word for why: "closed", "slow", "expired"
	Since     time.Time `json:"since"`            // when it came
}

// Subscribed says that a client subscribes to a channel now.
type Subscribed struct {
	Client  string `json:"client"`
	User    string `json:"user,omitempty"`
	Channel string `json:"channel"`
}

// Unsubscribed says that a client does not subscribe to a channel any more, also because it is gone.
type Unsubscribed struct {
	Client  string `json:"client"`
	User    string `json:"user,omitempty"`
	Channel string `json:"channel"`
}

// Occupied says that a channel has its first subscriber.
type Occupied struct {
	Channel string `json:"channel"`
}

// Vacated says that the last subscriber of a channel is gone.
type Vacated struct {
	Channel string `json:"channel"`
}

// Published says that a client has published a message. What backends publish is no event: they know.
type Published struct {
	Channel string          `json:"channel"`
	Client  string          `json:"client,omitempty"` // empty for a plain POST, which is no connection
	User    string          `json:"user,omitempty"`
	Message json.RawMessage `json:"message"` // the envelope: offset, epoch, id, time, event, and data or base64
}

// CallAnswered says how a call has ended that was held for a device that was away: one of Data and Error is there.
type CallAnswered struct {
	Call   string          `json:"call"`             // the id that the call was accepted with
	Client string          `json:"client,omitempty"` // the connection that answered
	User   string          `json:"user,omitempty"`   // whom the call was to
	Data   json.RawMessage `json:"data,omitempty"`   // the reply
	Error  *Error          `json:"error,omitempty"`  // the refusal, or that the time is over
}

// An Error is what went wrong, in events and in answers.
type Error struct {
	Code    string `json:"code"`    // a stable word
	Message string `json:"message"` // for people
}

// appendEnvelope appends {"id":…,"type":…,"time":…,"data":…}: an event, or a question.
func appendEnvelope(dst []byte, id, kind string, at time.Time, data any) ([]byte, error) {
	encoded, err := json.Marshal(data)
	if err != nil {
		return nil, fmt.Errorf("webhook: %s: %w", kind, err)
	}
	dst = append(dst, `{"id":`...)
	dst = jsonstring.Append(dst, id)
	dst = append(dst, `,"type":`...)
	dst = jsonstring.Append(dst, kind)
	dst = append(dst, `,"time":"`...)
	dst = at.UTC().AppendFormat(dst, "2006-01-02T15:04:05.000Z")
	dst = append(dst, `","data":`...)
	dst = append(dst, encoded...)
	return append(dst, '}'), nil
}

// newID makes a name that nobody else has: 128 random bits.
func newID(prefix string) string { return prefix + rand.Text() }
