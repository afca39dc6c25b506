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
	// Type is what: a word of whoever sends events.
	Type string
	// Channel is what channel it is about, "" for none: see [Endpoint.Wants].
	Channel string
	// Time is when. The time of [Sender.Send], if it is zero.
	Time time.Time
	// ID names the event, in the hands of all endpoints, so that a receiver knows what it has had. A random one, if it is
	// empty.
	ID string
	// Data becomes JSON before Send returns, and is not kept.
	Data any
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
