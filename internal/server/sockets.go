package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"

	"baro.dev/channel"
	"baro.dev/internal/clients"
	"baro.dev/internal/metrics"
	"baro.dev/ws"
)

// subprotocolJSON asks for envelopes, in both directions.
const subprotocolJSON = "baro.v1.json"

// statusNotRecoverable is the close code for a position whose messages cannot be had: HTTP's 410, as an application's
// code (RFC 6455 section 7.4.2).
const statusNotRecoverable ws.StatusCode = 4410

// endLost is why a client is closed that can be told of a gap in no other way.
var endLost = clients.Reason{Number: int(statusNotRecoverable), Code: clients.ErrGone.Code, Text: clients.ErrGone.Message}

// statusForbidden is the close code for a client that publishes and may not, over plain frames: there is no other way to tell.
const statusForbidden ws.StatusCode = 4503

// envelopeOverhead is how much longer than its data an envelope may be: every byte of text as an escape of six, and the
// other members.
const envelopeOverhead = 6

// sockets serves channels over WebSocket: one server for plain frames, one for envelopes, since what a client may send
// differs in size.
type sockets struct {
	server   *Server
	plain    ws.Server
	envelope ws.Server

	plainFormat, envelopeFormat *socketFormat
}

// socketClient is the Data of a connection.
type socketClient struct {
	name         string
	format       *socketFormat
	socket       *ws.Socket
	client       *clients.Client
	subscription *channel.Subscription
	pace         *pace // nil: it has sent nothing yet, or may send as much as it likes
	leave        func()
}

// Close implements [clients.Link].
func (c *socketClient) Close(why clients.Reason) {
	_ = c.socket.Close(ws.StatusCode(why.Number), why.Text)
}

// Channel implements [clients.Reader].
func (c *socketClient) Channel() string { return c.name }

// socketFormat is how a message is sent, and by whom.
type socketFormat struct {
	server  *Server
	sockets *ws.Server
	prepare func(*channel.Message) *ws.PreparedMessage
	// reset says that what was missed cannot be had, and where it goes on. Nil: that cannot be said.
	reset func(channel.Position) *ws.PreparedMessage
}

func preparePlain(m *channel.Message) *ws.PreparedMessage {
	t := ws.Text
	if m.Binary {
		t = ws.Binary
	}
	return prepared(t, m.Data)
}

func prepareEnvelope(m *channel.Message) *ws.PreparedMessage {
	return prepared(ws.Text, m.AppendJSON(make([]byte, 0, len(m.Data)+160)))
}

// prepared prepares what the hub has checked.
func prepared(t ws.MessageType, data []byte) *ws.PreparedMessage {
	p, err := ws.NewPreparedMessage(t, data)
	if err != nil {
		panic(err)
	}
	return p
}

func newSockets(s *Server) *sockets {
	o := ws.AcceptOptions{
		CheckOrigin: func(*http.Request) error { return nil }, // has been seen to
		Keepalive:   s.keepalive(metrics.WebSocket),
		Limits: ws.Limits{
			MaxMessageSize:   int64(s.config.Channels.MaxMessageBytes),
			HandshakeTimeout: s.config.HeaderTimeout,
		},
		Queue:       ws.Queue{MaxBytes: s.config.QueueBytes, Full: ws.Close},
		Compression: ws.Compression{Enabled: true},
		Logger:      s.log,
	}
	k := &sockets{server: s}
	k.plain = ws.Server{Options: o, OnOpen: k.open, OnMessage: k.paced(k.publish), OnClose: k.close, OnRefuse: s.refusedHandshake}
	o.Subprotocols = []string{subprotocolJSON}
	o.Limits.MaxMessageSize = envelopeOverhead*o.Limits.MaxMessageSize + 1<<10
	k.envelope = ws.Server{Options: o, OnOpen: k.open, OnMessage: k.paced(k.publishEnvelope), OnClose: k.close, OnRefuse: s.refusedHandshake}
	k.plainFormat = &socketFormat{s, &k.plain, preparePlain, nil}
	k.envelopeFormat = &socketFormat{s, &k.envelope, prepareEnvelope, prepareReset}
	return k
}

// joining is what a request says of the channel it is for and of who sends it, on its way to open.
type joining struct {
	client   *socketClient
	identity *clients.Identity
	hello    clients.Hello
	from     channel.From
	start    channel.From // where now was when the request came; Now if that cannot be said
	opened   bool
}

type joiningKey struct{}

// serve answers a request for a WebSocket. client.leave is called when the connection is over, or has not come about.
func (k *sockets) serve(w http.ResponseWriter, r *http.Request, j *joining) {
	client := j.client
	client.format = k.plainFormat
	if hasToken(r.Header["Sec-Websocket-Protocol"], subprotocolJSON) {
		client.format = k.envelopeFormat
	}
	if j.from == channel.Now() {
		// The client is told that it is connected before it has joined: what is published from here on is for it.
		if batch, err := k.server.hub.Read(client.name, j.from, 0); err == nil {
			j.start = channel.After(batch.Next)
		}
	}
	client.format.sockets.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), joiningKey{}, j)))
	if !j.opened {
		client.leave()
	}
}

// open catches up with the channel, and joins it.
func (k *sockets) open(c *ws.Socket, r *http.Request) {
	j := r.Context().Value(joiningKey{}).(*joining)
	j.opened = true
	k.server.metrics.Opened(metrics.WebSocket)
	c.Data = j.client
	j.client.socket = c
	var err error
	if j.client.client, err = k.server.enter(j.identity, j.hello, j.client); err != nil {
		k.refuse(c, err)
		return
	}
	from := j.from
	if _, err := k.server.hub.Read(j.client.name, j.start, 1); j.start != channel.Now() && err == nil {
		from = j.start
	}
	if err := k.begin(c, j.client, from, isPosition(j.from)); err != nil {
		k.refuse(c, err)
	}
}

// begin sends what the client missed, part by part, and then what comes. Where it cannot be had, those who can be told
// are, and it begins with the next message. recovers says that the client has named the place.
func (k *sockets) begin(c *ws.Socket, client *socketClient, from channel.From, recovers bool) error {
	for {
		batch, err := k.server.hub.Read(client.name, from, catchUpBytes)
		if recovers {
			k.server.recovered(metrics.WebSocket, err)
			recovers = false
		}
		if errors.Is(err, channel.ErrNotRecoverable) && client.format.reset != nil {
			if batch, err = k.server.hub.Read(client.name, channel.Now(), 0); err == nil {
				err = k.write(c, client.format.reset(batch.Next))
			}
		}
		if err != nil {
			return err
		}
		for _, m := range batch.Messages {
			if m.HiddenFrom(client.client.ID()) {
				continue
			}
			if err := k.write(c, client.format.prepare(m)); err != nil {
				return err
			}
		}
		from = channel.After(batch.Next)
		if batch.More {
			continue
		}
		// What was published since the read may be lost already, if the client was slow: the next read says so.
		if err := k.join(c, client, from); !errors.Is(err, channel.ErrNotRecoverable) {
			return err
		}
	}
}

// refuse closes a connection because of err, in words that a client understands.
func (k *sockets) refuse(c *ws.Socket, err error) {
	switch {
	case errors.Is(err, channel.ErrNotRecoverable):
		_ = c.Close(statusNotRecoverable, endLost.Text)
	case k.server.draining.Err() != nil:
		_ = c.Close(ws.StatusGoingAway, toProblem(errDraining).Message)
	case errors.Is(err, clients.ErrForbidden), errors.Is(err, clients.ErrCredentials):
		_ = c.Close(statusForbidden, toProblem(err).Message)
	case errors.Is(err, context.DeadlineExceeded):
		k.server.slow(c.Data.(*socketClient).client)
		_ = c.Close(ws.StatusPolicyViolation, "too slow")
	default:
		_ = c.Close(ws.StatusTryAgainLater, toProblem(err).Message)
	}
}

// write sends a message that the client must accept in time.
func (k *sockets) write(c *ws.Socket, p *ws.PreparedMessage) error {
	ctx, cancel := context.WithTimeout(k.server.draining, k.server.config.WriteTimeout)
	defer cancel()
	k.server.metrics.Sent(metrics.WebSocket, 1, len(p.Message().Data))
	return c.WritePrepared(ctx, p)
}

// join has what is published from now on sent. A client that is too slow for it is closed by its queue.
func (k *sockets) join(c *ws.Socket, client *socketClient, from channel.From) error {
	var err error
	client.subscription, err = k.server.hub.Join(client.name, from, client, client.client.Member())
	return err
}

// Deliver implements [channel.Subscriber]: all who get a message in the same format get it together.
func (c *socketClient) Deliver(m *channel.Message) {
	if all, ok := channel.Gather(m, c.format, c.format.cast); ok {
		all.to = append(all.to, c.socket)
		return
	}
	p := c.format.prepare(m)
	c.format.server.metrics.Sent(metrics.WebSocket, 1, len(p.Message().Data))
	_ = c.socket.SendPrepared(p)
}

// Lost implements [channel.LostSubscriber].
func (c *socketClient) Lost(e *channel.NotRecoverableError) bool {
	s := c.format.server
	s.recovered(metrics.WebSocket, e)
	if c.format.reset == nil {
		c.client.Disconnect(endLost)
		return false
	}
	p := c.format.reset(e.Last)
	s.metrics.Sent(metrics.WebSocket, 1, len(p.Message().Data))
	_ = c.socket.SendPrepared(p)
	return true
}

// close leaves the channel.
func (k *sockets) close(c *ws.Socket, err error) {
	client := c.Data.(*socketClient)
	if client.subscription != nil {
		client.subscription.Close()
	}
	if client.client != nil {
		if errors.Is(err, ws.ErrQueueFull) {
			k.server.slow(client.client)
		}
		client.client.Gone("left")
	}
	k.server.metrics.Closed(metrics.WebSocket, closeCode(err))
	client.leave()
}

// paced has a handler called for what comes of a client as fast as it may.
func (k *sockets) paced(handle func(*ws.Socket, ws.Message)) func(*ws.Socket, ws.Message) {
	return func(c *ws.Socket, m ws.Message) {
		client := c.Data.(*socketClient)
		if !k.server.keepSocketPace(&client.pace, c, len(m.Data)) {
			k.server.tooFast(client.client)
			_ = c.Close(ws.StatusCode(endRate.Number), endRate.Code+": "+endRate.Text)
			return
		}
		handle(c, m)
	}
}

// publish publishes a plain frame.
func (k *sockets) publish(c *ws.Socket, m ws.Message) {
	k.server.metrics.Received(metrics.WebSocket, 1, len(m.Data))
	err := k.put(c, channel.Message{Data: bytes.Clone(m.Data), Binary: m.Type == ws.Binary})
	if err != nil {
		k.server.metrics.Refused(toProblem(err).Kind())
		k.refuse(c, err)
	}
}

// publishEnvelope publishes an envelope, or says what is wrong with it.
func (k *sockets) publishEnvelope(c *ws.Socket, m ws.Message) {
	k.server.metrics.Received(metrics.WebSocket, 1, len(m.Data))
	if err := k.tryEnvelope(c, m); err != nil {
		k.server.metrics.Refused(toProblem(err).Kind())
		answer, err := json.Marshal(newErrorAnswer(err))
		if err == nil {
			_ = c.Send(ws.Text, answer)
		}
	}
}

func (k *sockets) tryEnvelope(c *ws.Socket, m ws.Message) error {
	if m.Type != ws.Text {
		return badRequest("invalid_envelope", "an envelope is JSON, in a text frame")
	}
	var e channel.Message
	if err := e.UnmarshalJSON(m.Data); err != nil {
		return err
	}
	return k.put(c, channel.Message{ID: e.ID, Event: e.Event, Key: e.Key, Data: e.Data, Binary: e.Binary})
}

func (k *sockets) put(c *ws.Socket, m channel.Message) error {
	client := c.Data.(*socketClient)
	_, err := k.server.put(metrics.ByWebSocket, func() (*channel.Message, error) { return client.client.Publish(client.name, m) })
	return err
}

// prepareReset tells a client that what it missed cannot be had, and where it goes on.
func prepareReset(p channel.Position) *ws.PreparedMessage {
	b, err := json.Marshal(struct {
		Event string `json:"event"`
		*place
	}{"baro.reset", newPlace(p)})
	if err != nil {
		panic(err) // our own types
	}
	return prepared(ws.Text, b)
}

// shutdown tells the clients to come back later, and waits until they are gone.
func (k *sockets) shutdown(ctx context.Context) {
	var wg sync.WaitGroup
	for _, server := range []*ws.Server{&k.plain, &k.envelope} {
		wg.Go(func() { _ = server.Shutdown(ctx) })
	}
	wg.Wait()
}

// closeNow cuts the clients off.
func (k *sockets) closeNow() {
	_ = k.plain.Close()
	_ = k.envelope.Close()
}
