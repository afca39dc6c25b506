package listen

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"

	"baro.dev/engineio"
	"baro.dev/socketio"
	"baro.dev/ws"
)

// everybody is the topic, and the room, of all.
const everybody = "everybody"

// newWebSocket echoes or broadcasts messages.
func (s *Server) newWebSocket() *ws.Server {
	return &ws.Server{
		Options: s.accept(),
		OnOpen: func(c *ws.Socket, r *http.Request) {
			c.Data = s.opened(r, "ws", c.Subprotocol())
			if s.c.Broadcast {
				_ = c.Subscribe(everybody)
			}
		},
		OnMessage: func(c *ws.Socket, m ws.Message) {
			number, _ := c.Data.(uint64)
			s.tell(&Event{Kind: "message", Connection: number, Binary: m.Type == ws.Binary, Data: m.Data})
			if s.c.Broadcast {
				_ = s.ws.Publish(everybody, m.Type, m.Data)
				return
			}
			_ = c.Send(m.Type, m.Data)
		},
		OnClose: func(c *ws.Socket, err error) {
			number, _ := c.Data.(uint64)
			s.tell(&Event{Kind: "close", Connection: number, Err: orderly(err)})
		},
		OnRefuse: func(r *http.Request, err *ws.HandshakeError) { s.refused(r, err) },
	}
}

// newSocketIO echoes or broadcasts events; one that wants an acknowledgement gets its arguments back in that.
func (s *Server) newSocketIO() *socketio.Server {
	io := socketio.NewServer(&socketio.Options{Engine: s.engine()})
	io.OnConnection(func(c *socketio.Socket) {
		h := c.Handshake()
		number := s.number.Add(1)
		s.tell(&Event{Kind: "open", Connection: number, From: h.Address, Path: h.URL, Protocol: "socket.io"})
		c.OnAny(func(e *socketio.Event) {
			s.heard(number, e)
			switch {
			case e.WantsAck():
				_ = e.Ack(e.Args()...)
			case s.c.Broadcast:
				_ = io.Emit(e.Name(), e.Args()...)
			default:
				_ = c.Emit(e.Name(), e.Args()...)
			}
		})
		c.OnDisconnect(func(socketio.Reason) { s.tell(&Event{Kind: "close", Connection: number}) })
	})
	return io
}

func (s *Server) heard(number uint64, e *socketio.Event) {
	if s.c.OnEvent == nil {
		return
	}
	text, binary := arguments(e)
	s.tell(&Event{Kind: "message", Connection: number, Name: e.Name(), Binary: binary, Data: text})
}

// arguments are those of an event as JSON.
func arguments(e *socketio.Event) (text []byte, binary bool) {
	text, err := json.Marshal(e.Args())
	if err != nil { // with attachments
		return []byte(fmt.Sprint(e.Args()...)), true
	}
	return text, false
}

// engine lets in whom the guard has let in, which is asked first.
func (s *Server) engine() engineio.Options {
	return engineio.Options{
		MaxHTTPBufferSize: s.c.MaxMessage,
		PerMessageDeflate: s.c.Compression,
		CORS:              &engineio.CORS{AllowOrigin: func(string) bool { return true }},
		Logger:            slog.New(slog.DiscardHandler),
	}
}
