package bench

import (
	"context"
	"net/http"

	"github.com/coder/websocket"
	gorilla "github.com/gorilla/websocket"
	"github.com/lxzan/gws"

	"baro.dev/ws"
)

// server is an echo server as the users of its library would write it, at its best.
type server struct {
	name    string
	handler http.Handler
}

func echoServers() []server {
	return []server{
		{"baro", &ws.Server{OnMessage: func(c *ws.Socket, m ws.Message) { c.Send(m.Type, m.Data) }}},
		{"baro-inline", &ws.Server{Inline: true, OnMessage: func(c *ws.Socket, m ws.Message) { c.Send(m.Type, m.Data) }}},
		{"baro-accept", http.HandlerFunc(baroAccept)},
		{"gorilla", http.HandlerFunc(gorillaEcho)},
		{"gws", gwsEcho()},
		{"coder", http.HandlerFunc(coderEcho)},
	}
}

func baroAccept(w http.ResponseWriter, r *http.Request) {
	c, err := ws.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer c.CloseNow()
	ctx := context.Background()
	for m, err := range c.Messages(ctx) {
		if err != nil || c.Write(ctx, m.Type, m.Data) != nil {
			return
		}
	}
}

func gorillaEcho(w http.ResponseWriter, r *http.Request) {
	upgrader := gorilla.Upgrader{}
	c, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer c.Close()
	for {
		t, p, err := c.ReadMessage()
		if err != nil || c.WriteMessage(t, p) != nil {
			return
		}
	}
}

type gwsHandler struct{ gws.BuiltinEventHandler }

func (gwsHandler) OnMessage(c *gws.Conn, m *gws.Message) {
	defer m.Close()
	c.WriteMessage(m.Opcode, m.Bytes())
}

func gwsEcho() http.Handler {
	upgrader := gws.NewUpgrader(gwsHandler{}, nil)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := upgrader.Upgrade(w, r); err == nil {
			go c.ReadLoop()
		}
	})
}

func coderEcho(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer c.CloseNow()
	c.SetReadLimit(-1)
	ctx := context.Background()
	for {
		t, p, err := c.Read(ctx)
		if err != nil || c.Write(ctx, t, p) != nil {
			return
		}
	}
}
