package interop

import (
	"bytes"
	"testing"
	"time"
)

// patience is how long anything may take before the test that waits for it fails.
const patience = 30 * time.Second

// An end is one end of a WebSocket connection, whoever implements it.
type end interface {
	// send sends a message in as many frames as there are parts.
	send(kind string, parts ...[]byte)
	// close starts the closing handshake and does not wait for its end, which is the event "close".
	close(code int, reason string)
	// events are what happened, in order.
	events() <-chan event
}

// A pinger is an end that can be told to send a ping. The event "pong" follows the pong that has the ping's own data.
type pinger interface{ ping() }

// An event is something that an end has seen.
type event struct {
	Event string

	URL         string // listening
	Streams     string // listening, of the role webtransport: the address for what comes by streams
	Proto       string // open, of those servers who know: the version of HTTP
	Subprotocol string // open
	Extensions  string // open
	Kind        string // message
	Data        []byte // message
	Code        int    // close
	Reason      string // close
	Status      int    // refused
	Name        string // check
	Message     string // refused, error; check, if it failed
}

// await returns the next event of e, which must be called name.
func await(t *testing.T, who string, e end, name string) event {
	t.Helper()
	select {
	case ev, ok := <-e.events():
		if !ok {
			t.Fatalf("%s: gone, want event %q", who, name)
		}
		if ev.Event != name {
			t.Fatalf("%s: got event %s, want %q", who, ev, name)
		}
		return ev
	case <-time.After(patience):
		t.Fatalf("%s: nothing happened within %v, want event %q", who, patience, name)
	}
	panic("unreachable")
}

// awaitMessage fails t unless the next event of e is the message.
func awaitMessage(t *testing.T, who string, e end, kind string, data []byte) {
	t.Helper()
	ev := await(t, who, e, "message")
	if ev.Kind != kind {
		t.Fatalf("%s: got a %s message, want %s", who, ev.Kind, kind)
	}
	if !bytes.Equal(ev.Data, data) {
		t.Fatalf("%s: got a message of %d bytes, %.40q, want %d bytes, %.40q", who, len(ev.Data), ev.Data, len(data), data)
	}
}

// awaitClose fails t unless the next event of e is the end of the connection with this code and reason.
func awaitClose(t *testing.T, who string, e end, code int, reason string) {
	t.Helper()
	ev := await(t, who, e, "close")
	if ev.Code != code || ev.Reason != reason {
		t.Fatalf("%s: closed with %d %q, want %d %q", who, ev.Code, ev.Reason, code, reason)
	}
}

func (ev event) String() string {
	switch ev.Event {
	case "message":
		return "message of kind " + ev.Kind
	case "close":
		return "close with reason " + ev.Reason
	}
	return ev.Event + " " + ev.Message
}
