package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"baro.dev/channel"
	"baro.dev/internal/clients"
	"baro.dev/internal/jsonstring"
	"baro.dev/internal/metrics"
	"baro.dev/socketio"
	"baro.dev/socketio/parser"
)

// guest is a client over Socket.IO: the Data of its socket. The handlers of events run one after another; what others call is
// the [clients.Multiplexer].
type guest struct {
	commands
	socket   *socketio.Socket
	identity *clients.Identity // nil once it is connected
	hello    clients.Hello
}

// bind decodes the arguments of an event, of which all but the first few may be missing.
func bind(e *socketio.Event, needed int, dst ...any) error {
	if err := e.Bind(dst[:min(len(dst), max(needed, e.Len()))]...); err != nil {
		return badRequest("invalid_arguments", err.Error())
	}
	return nil
}

// acknowledge acknowledges an event, if the client wants that.
func (g *guest) acknowledge(e *socketio.Event, result any, err error) {
	switch {
	case !e.WantsAck():
	case err != nil:
		_ = e.AckError(g.server.socketError(err))
	default:
		_ = e.Ack(result)
	}
}

func (g *guest) onSubscribe(e *socketio.Event) {
	var name string
	var o subscribeOptions
	var begun *place
	err := bind(e, 1, &name, &o)
	if err == nil {
		err = g.subscribe(socketTransport(g.socket.Conn().Transport()), name, o, func(s clients.Start) { begun = newPlace(s.Position) })
	}
	g.acknowledge(e, begun, err)
}

func (g *guest) onUnsubscribe(e *socketio.Event) {
	var name string
	err := bind(e, 1, &name)
	g.acknowledge(e, err == nil && g.client.Unsubscribe(name), err)
}

// onPublish publishes text, bytes, or anything else as JSON.
func (g *guest) onPublish(e *socketio.Event) {
	var name string
	var data parser.Value
	var o publishOptions
	var content any
	err := bind(e, 2, &name, &data, &o)
	if err == nil {
		if err = data.Decode(&content); err != nil {
			err = badRequest("invalid_data", err.Error())
		}
	}
	if err != nil {
		g.acknowledge(e, nil, err)
		return
	}
	bytes, binary := content.([]byte)
	if !binary {
		bytes = []byte(data.String())
		if err := checkContent(bytes); err != nil {
			g.acknowledge(e, nil, err)
			return
		}
		if text, ok := content.(string); ok {
			bytes = []byte(text)
		}
	}
	m := o.message(bytes, binary)
	result, err := g.publish(metrics.BySocketIO, name, m)
	g.acknowledge(e, result, err)
}

func (g *guest) onPresence(e *socketio.Event) {
	var name string
	var o struct {
		Limit *int `json:"limit"`
	}
	var result presenceAnswer
	err := bind(e, 1, &name, &o)
	if err == nil {
		result, err = g.presence(name, o.Limit)
	}
	g.acknowledge(e, result, err)
}

func (g *guest) onHistory(e *socketio.Event) {
	var name string
	var o historyOptions
	var result *historyAnswer
	err := bind(e, 1, &name, &o)
	if err == nil {
		result, err = g.history(name, o)
	}
	g.acknowledge(e, result, err)
}

func (g *guest) onRPC(e *socketio.Event) {
	var method string
	var data parser.Value
	if err := bind(e, 1, &method, &data); err != nil {
		g.acknowledge(e, nil, err)
		return
	}
	g.background(e.Context(), func(ctx context.Context) (any, error) {
		question, err := asJSON(data)
		if err != nil {
			return nil, err
		}
		answer, err := g.rpc(ctx, method, question)
		if err != nil {
			return nil, err
		}
		return answer.Data, nil
	}, func(result any, err error) { g.acknowledge(e, result, err) })
}

// asJSON is an argument as JSON; nil for one that is not there.
func asJSON(v parser.Value) (json.RawMessage, error) {
	if v.IsZero() {
		return nil, nil
	}
	data, err := v.MarshalJSON()
	if err != nil {
		return nil, badRequest("invalid_data", err.Error())
	}
	return data, checkContent(data)
}

// checkContent refuses what those to whom it goes on could not take, as a frame of /ws is refused.
func checkContent(data []byte) error {
	if deeper(data, maxDepth) {
		return badRequest("invalid_data", fmt.Sprintf("more than %d arrays and objects are nested", maxDepth))
	}
	if jsonstring.LoneSurrogate(data) >= 0 {
		return badRequest("invalid_data", "half of a surrogate pair is no character")
	}
	return nil
}

func (g *guest) onRefresh(e *socketio.Event) {
	var token string
	if err := bind(e, 1, &token); err != nil {
		g.acknowledge(e, nil, err)
		return
	}
	g.background(e.Context(), func(ctx context.Context) (any, error) { return g.refresh(ctx, token) },
		func(result any, err error) { g.acknowledge(e, result, err) })
}

// Close implements [clients.Link]. An official client comes back by itself when its connection breaks, but not when it is told to go.
func (g *guest) Close(why clients.Reason) {
	_ = g.socket.Emit("closing", newClosing(why))
	if why.ComeBack() {
		g.socket.Conn().Close()
	} else {
		g.socket.Disconnect(true)
	}
}

// Message implements [clients.Multiplexer], as do those below.
func (g *guest) Message(name string, m *channel.Message) {
	engine := g.server.socketIO.io.Engine()
	prepare := func(m *channel.Message) *sessionCast {
		return &sessionCast{engine: engine, message: prepareSocketMessage(name, m), counted: g.server.count(0, m)}
	}
	if all, ok := channel.Gather(m, engine, prepare); ok {
		all.to = append(all.to, g.socket.Conn())
		return
	}
	_ = g.socket.Conn().SendPrepared(prepareSocketMessage(name, m))
}

// Presence tells who joined or left.
func (g *guest) Presence(e *channel.PresenceEvent) {
	_ = g.socket.Conn().SendPrepared(channel.SharedPresence(e, socketEvent{}, prepareSocketPresence))
}

// Present tells who is there.
func (g *guest) Present(name string, p channel.Presence) {
	_ = g.socket.Emit("present", newPresence(name, p))
}

// Subscribed tells of a subscription that the client has not asked for.
func (g *guest) Subscribed(name string, s clients.Start) {
	_ = g.socket.Emit("subscribed", subscribedPush{name, newPlace(s.Position)})
}

// Unsubscribed tells of the end of a subscription that the client has not asked for.
func (g *guest) Unsubscribed(name string, why *clients.Error) {
	_ = g.socket.Emit("unsubscribed", unsubscribedPush{name, g.server.newCommandError(why)})
}

// Call asks the client, whose acknowledgement is the answer. The registry sees to it that it comes in time; what is waited for
// too long is only forgotten here.
func (g *guest) Call(k clients.Call) {
	wait := g.socket.Timeout(max(0, time.Until(k.Deadline)) + time.Second)
	_ = wait.EmitFunc("call", func(args socketio.Args, err error) {
		if err == nil {
			data, refused := callAnswer(args)
			if err := g.client.Answer(k.ID, data, refused); errors.Is(err, clients.ErrTooLarge) {
				// An acknowledgement is not answered: whoever has called is told.
				_ = g.client.Answer(k.ID, nil, refusedBy(clients.ErrTooLarge.Code, err.Error()))
			}
		}
	}, newQuestion(k))
}

// callAnswer is what a client has acknowledged a call with: an object that has an error and nothing else is a refusal.
func callAnswer(args socketio.Args) (json.RawMessage, *clients.Refused) {
	data, err := asJSON(args.Value(0))
	if err != nil {
		return nil, refusedBy("invalid_answer", err.Error())
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(data, &members) != nil || len(members) != 1 || members["error"] == nil {
		return data, nil
	}
	var said struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Data    struct {
			Code string `json:"code"` // where an error of this project's has it
		} `json:"data"`
	}
	if json.Unmarshal(members["error"], &said.Message) != nil {
		_ = json.Unmarshal(members["error"], &said)
	}
	if said.Code == "" {
		said.Code = said.Data.Code
	}
	return nil, refusedBy(said.Code, said.Message)
}

// HasRoom says whether little waits to be sent.
func (g *guest) HasRoom() bool { return g.socket.Conn().Buffered() <= g.server.config.QueueBytes/4 }

// Room waits until it does.
func (g *guest) Room(ctx context.Context) error {
	err := g.server.waitForRoom(ctx, g.HasRoom)
	if errors.Is(err, context.DeadlineExceeded) {
		g.server.slow(g.client)
		g.socket.Conn().CloseNow()
	}
	return err
}
