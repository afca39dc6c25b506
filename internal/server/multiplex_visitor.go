package server

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"baro.dev/channel"
	"baro.dev/internal/clients"
	"baro.dev/internal/metrics"
	"baro.dev/ws"
)

// visitor is a client of /ws. Its handlers run one after another and own client and coming; what others call is the
// [clients.Multiplexer].
type visitor struct {
	commands
	socket *ws.Socket
	host   *host      // where it is counted
	coming *coming    // nil: who it is, is decided
	gate   sync.Mutex // held until the client was told that it is connected
}

// coming is what is kept of a client until it has connected, or done anything else as an anonymous one.
type coming struct {
	hello clients.Hello
	timer *time.Timer // ends the connection; nil: it is connected, as an anonymous client
}

// welcome tells a client that it is connected.
type welcome struct {
	Client  string  `json:"client"`
	User    string  `json:"user,omitempty"`
	Expires int64   `json:"expires,omitempty"` // seconds from now; 0: never
	Version string  `json:"version"`
	Ping    float64 `json:"ping"` // seconds between the server's pings, which are WebSocket's
}

// enter has the client be one, and tells it so: in reply to a command, or by a push. Where there are too many of its user, it ends the
// connection.
func (v *visitor) enter(identity *clients.Identity, r reply) (entered bool) {
	v.gate.Lock()
	client, err := v.server.registry.Enter(identity, v.coming.hello, v)
	if err != nil {
		v.gate.Unlock()
		v.turnAway(&v.coming.hello, r, err)
		return false
	}
	v.client = client
	w := &welcome{
		v.client.ID(), identity.User, secondsUntil(identity.Expires), v.server.multiplex.version, v.server.config.Heartbeat.Seconds(),
	}
	if r.id > 0 {
		v.say(commandAnswer{ID: r.id, OK: w})
	} else {
		v.say(push{Connected: w})
	}
	v.gate.Unlock()
	v.server.sendOn(v.client)
	v.client.Begin(v.socket.Context())
	return true
}

// turnAway ends a connection whose client is not let in.
func (v *visitor) turnAway(h *clients.Hello, r reply, err error) {
	r.fail(err)
	v.server.refusedClient(h, err)
	v.refuse(err)
}

// connect lets the client in by what it says of itself, or ends the connection.
func (v *visitor) connect(c *connectCommand, r reply) {
	if v.coming == nil {
		r.fail(badRequest("invalid_request", "the client is connected already; refresh takes another token"))
		return
	}
	h := v.coming.hello
	if v.coming.timer != nil {
		v.coming.timer.Stop()
	}
	h.Token, h.Data = c.Token, c.Data
	ctx, cancel := context.WithTimeout(v.socket.Context(), v.server.config.HeaderTimeout)
	defer cancel()
	identity, err := v.server.registry.Identify(ctx, h)
	if err != nil {
		v.turnAway(&h, r, err)
		return
	}
	if v.client != nil { // as an anonymous one
		v.client.Gone("reconnected")
		v.client = nil
	}
	if v.enter(identity, r) {
		v.coming = nil
	}
}

// refuse ends a connection that was not let in.
func (v *visitor) refuse(err error) {
	p := toProblem(err)
	why := endRefused
	if p.Number < clients.ErrRequest.Number {
		why = endRetry
	}
	why.Code, why.Text = p.Code, p.Message
	v.Close(why)
}

// closed comes last. A client whose queue was full has missed something, and was cut.
func (v *visitor) closed(err error) {
	if v.client != nil && errors.Is(err, ws.ErrQueueFull) {
		v.server.slow(v.client)
	}
	if v.coming != nil && v.coming.timer != nil {
		v.coming.timer.Stop()
	}
	if v.client != nil {
		v.client.Gone("left")
	}
	v.server.metrics.Closed(metrics.Multiplex, closeCode(err))
	v.server.slots.give(v.host)
}

// say sends something of this client alone.
func (v *visitor) say(what any) {
	data, err := json.Marshal(what)
	if err != nil { // JSON of the backend's, or of another client's, that is none
		v.server.log.Error("what is for a client cannot be encoded", "error", err)
		return
	}
	v.server.metrics.Sent(metrics.Multiplex, 1, len(data))
	_ = v.socket.Send(ws.Text, data)
}

// send sends what may be sent to others, too.
func (v *visitor) send(p *ws.PreparedMessage) {
	v.server.metrics.Sent(metrics.Multiplex, 1, len(p.Message().Data))
	_ = v.socket.SendPrepared(p)
}

// Close implements [clients.Link]. The reason of the close frame is the code, a colon and the text.
func (v *visitor) Close(why clients.Reason) {
	if why.After > 0 {
		v.gate.Lock()
		v.say(push{Disconnect: newClosing(why)})
		v.gate.Unlock()
	}
	_ = v.socket.Close(ws.StatusCode(why.Number), why.Code+": "+why.Text)
}

// Message implements [clients.Multiplexer], as do those below. All who get a message get it together.
func (v *visitor) Message(name string, m *channel.Message) {
	x := v.server.multiplex
	prepare := func(m *channel.Message) *cast {
		return newCast(&x.sockets, prepared(ws.Text, appendMessagePush(nil, name, m)), x.server.count(metrics.Multiplex, m))
	}
	if all, ok := channel.Gather(m, x, prepare); ok {
		all.to = append(all.to, v.socket)
		return
	}
	v.send(prepared(ws.Text, appendMessagePush(nil, name, m)))
}

// Presence tells who joined or left.
func (v *visitor) Presence(e *channel.PresenceEvent) {
	v.send(channel.SharedPresence(e, v.server.multiplex, preparePresence))
}

// Present tells who is there.
func (v *visitor) Present(name string, p channel.Presence) {
	there := newPresence(name, p)
	v.say(push{Present: &there})
}

// Subscribed tells of a subscription that the client has not asked for.
func (v *visitor) Subscribed(name string, s clients.Start) {
	v.gate.Lock()
	defer v.gate.Unlock()
	v.say(push{Subscribed: &subscribedPush{name, newPlace(s.Position)}})
}

// Unsubscribed tells of the end of a subscription that the client has not asked for.
func (v *visitor) Unsubscribed(name string, why *clients.Error) {
	v.gate.Lock()
	defer v.gate.Unlock()
	v.say(push{Unsubscribed: &unsubscribedPush{name, v.server.newCommandError(why)}})
}

// Call asks the client.
func (v *visitor) Call(k clients.Call) {
	v.gate.Lock()
	defer v.gate.Unlock()
	q := newQuestion(k)
	v.say(push{Call: &q})
}

// HasRoom says whether little waits to be sent.
func (v *visitor) HasRoom() bool { return v.socket.Buffered() <= v.server.config.QueueBytes/4 }

// Room waits until it does.
func (v *visitor) Room(ctx context.Context) error {
	err := v.server.waitForRoom(ctx, v.HasRoom)
	if errors.Is(err, context.DeadlineExceeded) {
		v.server.slow(v.client)
		v.Close(endTooSlow)
	}
	return err
}
