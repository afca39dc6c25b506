package server

import (
	"baro.dev/channel"
	"baro.dev/engineio"
	"baro.dev/internal/clients"
	"baro.dev/socketio/parser"
)

// socketEvent is what the packets of who came and left are shared by.
type socketEvent struct{}

// socketMessage is the argument of the event message.
type socketMessage struct {
	Channel string `json:"channel"`
	Offset  uint64 `json:"offset"`
	Epoch   string `json:"epoch"`
	ID      string `json:"id"`
	Time    string `json:"time"`
	Event   string `json:"event,omitempty"`
	User    string `json:"user,omitempty"`
	Data    any    `json:"data"` // a string, or binary
}

// closingEvent is the argument of the event closing.
type closingEvent struct {
	Number  int     `json:"number"`
	Code    string  `json:"code"`
	Message string  `json:"message"`
	After   float64 `json:"after,omitempty"` // seconds until the client is to come back
}

func newClosing(why clients.Reason) *closingEvent {
	return &closingEvent{why.Number, why.Code, why.Text, float64(why.After.Milliseconds()) / 1000}
}

func prepareSocketMessage(name string, m *channel.Message) *engineio.Prepared {
	arg := socketMessage{name, m.Offset, m.Epoch, m.ID, m.Time.UTC().Format("2006-01-02T15:04:05.000Z"), m.Event, m.User, string(m.Data)}
	if m.Binary {
		arg.Data = m.Data
	}
	return prepareSocketEvent("message", arg)
}

func prepareSocketPresence(e *channel.PresenceEvent) *engineio.Prepared {
	name := "leave"
	if e.Joined {
		name = "join"
	}
	return prepareSocketEvent(name, newPresenceEvent(e))
}

func prepareSocketEvent(name string, arg any) *engineio.Prepared {
	encoded, err := parser.JSON.Encode(nil, nil, &parser.Packet{Type: parser.Event, Namespace: "/", Data: parser.EventData(name, arg)})
	if err != nil {
		panic(err) // our own types
	}
	messages := make([]engineio.Message, len(encoded))
	for i, part := range encoded {
		messages[i] = engineio.Message{Data: part.Data, Binary: part.Binary}
	}
	return engineio.NewPrepared(messages...)
}
