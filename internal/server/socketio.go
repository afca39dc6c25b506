package server

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"baro.dev/channel"
	"baro.dev/engineio"
	"baro.dev/socketio"
	"baro.dev/socketio/bundle"
	"baro.dev/socketio/parser"
)

const (
	socketIOPath = "/socket.io/"
	// maxSubscriptions is to how many channels one client may subscribe.
	maxSubscriptions = 1000
)

// socketIO serves channels over Socket.IO: all channels of one client over one connection, over whatever transport it can
// use.
//
// A client emits subscribe (channel, {after}), unsubscribe (channel) and publish (channel, data, {event, id}), each of which
// is acknowledged; messages come as the event message.
type socketIO struct {
	server *Server
	io     *socketio.Server
}

// member is the Data of a socket.
type member struct {
	mu            sync.Mutex
	subscriptions map[string]*channel.Subscription // nil: the socket has left
}

func newSocketIO(s *Server) *socketIO {
	k := &socketIO{server: s}
	o := &socketio.Options{
		Path:        socketIOPath,
		ClientFiles: bundle.Files(),
		Engine: engineio.Options{
			PingInterval:      s.config.Heartbeat,
			PingTimeout:       s.config.WriteTimeout,
			MaxHTTPBufferSize: max(1_000_000, envelopeOverhead*int64(s.config.Channels.MaxMessageBytes)+1<<10),
			MaxBuffered:       s.config.QueueBytes,
			Transports:        transports(&s.config),
			AllowEIO3:         true, // any official client is welcome
			Logger:            s.log,
		},
	}
	if len(s.config.AllowOrigins) > 0 {
		o.Engine.CORS = &engineio.CORS{Origins: s.config.AllowOrigins}
	}
	k.io = socketio.NewServer(o)
	k.io.Engine().CORSOption = "--allow-origin"
	k.io.Use(func(c *socketio.Socket) error {
		if err := s.slots.take(); err != nil {
			return socketError(err)
		}
		context.AfterFunc(c.Context(), s.slots.give) // OnDisconnect is not for a client that leaves before it is connected
		c.SetData(&member{subscriptions: map[string]*channel.Subscription{}})
		return nil
	})
	k.io.OnConnection(k.connected)
	return k
}

func (k *socketIO) connected(c *socketio.Socket) {
	c.On("subscribe", func(e *socketio.Event) {
		var name string
		var o subscribeOptions
		acknowledge(e, bind(e, 1, &name, &o), func() (any, error) { return k.subscribe(c, name, o) })
	})
	c.On("unsubscribe", func(e *socketio.Event) {
		var name string
		acknowledge(e, e.Bind(&name), func() (any, error) { return unsubscribe(c, name), nil })
	})
	c.On("publish", func(e *socketio.Event) {
		var name string
		var data parser.Value
		var o publishOptions
		acknowledge(e, bind(e, 2, &name, &data, &o), func() (any, error) { return k.publish(name, data, o) })
	})
	c.OnDisconnect(func(socketio.Reason) {
		m := c.Data().(*member)
		m.mu.Lock()
		all := m.subscriptions
		m.subscriptions = nil
		m.mu.Unlock()
		for _, s := range all {
			s.Close()
		}
	})
}

// bind decodes the arguments of an event, of which all but the first few may be missing.
func bind(e *socketio.Event, needed int, dst ...any) error {
	return e.Bind(dst[:min(len(dst), max(needed, e.Len()))]...)
}

// acknowledge acknowledges an event, if the client wants that, with what do returns, or with the error of its arguments.
func acknowledge(e *socketio.Event, err error, do func() (any, error)) {
	var result any
	if err != nil {
		err = socketError(badRequest("invalid_arguments", err.Error()))
	} else {
		result, err = do()
	}
	switch {
	case !e.WantsAck():
	case err != nil:
		_ = e.AckError(err)
	default:
		_ = e.Ack(result)
	}
}

// serve answers a request of a client. A poll waits until there is something, which a heartbeat is at last.
func (k *socketIO) serve(w http.ResponseWriter, r *http.Request) {
	limit := k.server.config.Heartbeat + 2*k.server.config.WriteTimeout
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(limit))
	k.io.ServeHTTP(w, r)
}

// subscribeOptions say where a client begins: after a position, with "oldest", or "now", the default.
type subscribeOptions struct {
	After string `json:"after"`
}

// subscribe has the client get what is published in a channel, and first what it has missed. The answer is where it begins.
func (k *socketIO) subscribe(c *socketio.Socket, name string, o subscribeOptions) (*place, error) {
	from, err := query{"after": {o.After}}.from(channel.Now())
	if err != nil {
		return nil, socketError(err)
	}
	m := c.Data().(*member)
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.subscriptions == nil:
		return nil, socketio.ErrDisconnected
	case m.subscriptions[name] != nil:
		return nil, socketError(badRequest("subscribed", "the client has subscribed to this channel already"))
	case len(m.subscriptions) >= maxSubscriptions:
		return nil, socketError(badRequest("too_many_subscriptions", "a client may subscribe to 1000 channels"))
	}
	session := c.Conn()
	s, err := k.server.hub.Subscribe(name, from, channel.SubscriberFunc(func(m *channel.Message) {
		_ = session.SendPrepared(channel.Shared(m, socketEvent{name}, socketEvent{name}.prepare))
	}))
	if err != nil {
		return nil, socketError(err)
	}
	m.subscriptions[name] = s
	return newPlace(s.Start()), nil
}

func unsubscribe(c *socketio.Socket, name string) bool {
	m := c.Data().(*member)
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.subscriptions[name]
	if s != nil {
		s.Close()
		delete(m.subscriptions, name)
	}
	return s != nil
}

type publishOptions struct {
	Event string `json:"event"`
	ID    string `json:"id"`
}

// publish publishes what a client has sent: text, bytes, or anything else as JSON.
func (k *socketIO) publish(name string, data parser.Value, o publishOptions) (*published, error) {
	m := channel.Message{Event: o.Event, ID: o.ID}
	var content any
	if err := data.Decode(&content); err != nil {
		return nil, socketError(badRequest("invalid_data", err.Error()))
	}
	switch content := content.(type) {
	case []byte:
		m.Data, m.Binary = content, true
	case string:
		m.Data = []byte(content)
	default:
		m.Data = []byte(data.String())
	}
	sent, err := k.server.put(func() (*channel.Message, error) { return k.server.hub.Publish(name, m) })
	if err != nil {
		return nil, socketError(err)
	}
	return &published{sent.Offset, sent.Epoch, sent.ID}, nil
}

// socketError is err as a client gets it.
func socketError(err error) error {
	answer := newErrorAnswer(err)
	return &socketio.Error{Message: answer.Error.Message, Data: struct {
		Code string `json:"code"`
		*place
	}{answer.Error.Code, answer.place}}
}

// socketEvent makes the event of a channel's message.
type socketEvent struct{ channel string }

// socketMessage is its argument.
type socketMessage struct {
	Channel string `json:"channel"`
	Offset  uint64 `json:"offset"`
	Epoch   string `json:"epoch"`
	ID      string `json:"id"`
	Time    string `json:"time"`
	Event   string `json:"event,omitempty"`
	Data    any    `json:"data"` // a string, or binary
}

func (e socketEvent) prepare(m *channel.Message) *engineio.Prepared {
	arg := socketMessage{e.channel, m.Offset, m.Epoch, m.ID, m.Time.UTC().Format("2006-01-02T15:04:05.000Z"), m.Event, string(m.Data)}
	if m.Binary {
		arg.Data = m.Data
	}
	encoded, err := parser.JSON.Encode(nil, &parser.Packet{Type: parser.Event, Namespace: "/", Data: parser.EventData("message", arg)})
	if err != nil {
		panic(err) // our own types
	}
	messages := make([]engineio.Message, len(encoded))
	for i, part := range encoded {
		messages[i] = engineio.Message{Data: part.Data, Binary: part.Binary}
	}
	return engineio.NewPrepared(messages...)
}

// shutdown tells the clients to come back later, and waits until they are gone.
func (k *socketIO) shutdown(ctx context.Context) {
	if err := k.io.Close(ctx); err != nil {
		k.server.log.Debug("Socket.IO clients cut", slog.Any("error", err))
	}
}

// closeNow cuts the clients off.
func (k *socketIO) closeNow() { _ = k.io.Engine().Close() }
