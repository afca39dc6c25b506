package engineio

import (
	"slices"
	"sync"

	"baro.dev/engineio/internal/payload"
	"baro.dev/ws"
)

// Message is a message of the application.
type Message struct {
	// Data is the message. Text must be valid UTF-8.
	Data []byte
	// Binary says that Data is bytes, not text.
	Binary bool
	// Uncompressed asks that it be sent without compression, where there is any (compress: false).
	Uncompressed bool
}

func (m *Message) packet() payload.Packet {
	return payload.Packet{Type: payload.Message, Binary: m.Binary, Data: m.Data}
}

// Prepared is messages for many sessions, which get all of them, with nothing between them. They are encoded once for
// each protocol and transport. It does not change, and may be used by many goroutines.
type Prepared struct {
	messages []Message
	size     int
	sent     func() // of OnSent
	streams  [4]struct {
		once sync.Once
		all  []byte
	}
	frames [4]struct {
		once sync.Once
		all  *ws.PreparedMessage
		err  error
	}
}

// NewPrepared prepares messages, whose data must not be changed any more.
func NewPrepared(messages ...Message) *Prepared {
	p := &Prepared{messages: slices.Clone(messages)}
	for i := range messages {
		p.size += len(messages[i].Data)
	}
	return p
}

// OnSent is [ws.PreparedMessage.OnSent], for those who get the messages over WebSocket by a [Server.Broadcast].
func (p *Prepared) OnSent(sent func()) { p.sent = sent }

// webSocket returns the messages as WebSocket messages of a format, which leave as one.
func (p *Prepared) webSocket(format payload.Format) (*ws.PreparedMessage, error) {
	f := &p.frames[format]
	f.once.Do(func() {
		if f.all, f.err = together(format, p.messages); f.err == nil && p.sent != nil {
			f.all.OnSent(p.sent)
		}
	})
	return f.all, f.err
}

// together returns messages as WebSocket messages of a format, which leave as one.
func together(format payload.Format, messages []Message) (*ws.PreparedMessage, error) {
	all := make([]ws.Message, len(messages))
	for i := range messages {
		packet := messages[i].packet()
		all[i] = ws.Message{Type: messageType(format.IsBinary(packet)), Data: format.AppendMessage(nil, packet)}
	}
	m, err := ws.NewPreparedMessages(all...)
	if err == nil && len(messages) > 0 && messages[0].Uncompressed {
		m = m.Uncompressed()
	}
	return m, err
}

func messageType(binary bool) ws.MessageType {
	if binary {
		return ws.Binary
	}
	return ws.Text
}
