package record

import (
	"encoding/json"
	"fmt"
	"sync"

	"baro.dev/internal/cli/connection"
	"baro.dev/internal/cli/exit"
)

// maxUnanswered is how many events that want an acknowledgement are remembered; those before are not acknowledged any more.
const maxUnanswered = 1000

// unanswered are the events that came and want an acknowledgement, by their numbers. All methods may be called from any goroutine.
type unanswered struct {
	mu   sync.Mutex
	last int
	all  map[int]func(arguments []byte) error
}

// add gives a message that wants one its number; 0 if it wants none.
func (u *unanswered) add(m *connection.Message) int {
	if m.Ack == nil {
		return 0
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.all == nil {
		u.all = map[int]func([]byte) error{}
	}
	u.last++
	u.all[u.last] = m.Ack
	delete(u.all, u.last-maxUnanswered)
	return u.last
}

// take returns how to acknowledge the event of a number, once; nil if there is none.
func (u *unanswered) take(number int) func(arguments []byte) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	f := u.all[number]
	delete(u.all, number)
	return f
}

// lineObject is a line of the input that is an object: an event that may want an acknowledgement, or the acknowledgement of one that came.
type lineObject struct {
	Event string          `json:"event"`
	Args  json.RawMessage `json:"args"`
	Ack   json.RawMessage `json:"ack"` // true, or a number
}

// ofObject is what such a line means: an event, which wants an acknowledgement if wants is true, or else the acknowledgement of an event.
func ofObject(line []byte) (e Entry, wants bool, err error) {
	var o lineObject
	if err := json.Unmarshal(line, &o); err != nil {
		return e, false, exit.With(exit.Usage, fmt.Errorf("%.60q is no event: %w", line, err))
	}
	e = Entry{Dir: Out, Type: Event, Event: o.Event, Args: o.Args}
	if o.Event == "" {
		e.Type = Ack
		err = json.Unmarshal(o.Ack, &e.Ack)
	} else if o.Ack != nil {
		err = json.Unmarshal(o.Ack, &wants)
	}
	if e.Args == nil {
		e.Args = json.RawMessage("[]")
	}
	if err == nil {
		err = e.check()
	}
	if err != nil {
		err = exit.With(exit.Usage, fmt.Errorf(`%.60q is neither {"event": "name", "args": [argument, …], "ack": true} nor {"ack": NUMBER, "args": [argument, …]}: %w`, line, err))
	}
	return e, wants, err
}
