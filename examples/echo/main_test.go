package main

import (
	"context"
	"net"
	"testing"

	"baro.dev/ws"
)

func TestEcho(t *testing.T) {
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error)
	go func() { served <- serve(ctx, l) }()

	c, _, err := ws.Dial(t.Context(), "ws://"+l.Addr().String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	for _, typ := range []ws.MessageType{ws.Text, ws.Binary} {
		if err := c.Write(t.Context(), typ, []byte("메세지")); err != nil {
			t.Fatal(err)
		}
		if m, err := c.Read(t.Context()); err != nil || m.Type != typ || m.String() != "메세지" {
			t.Fatal(m, err)
		}
	}

	stop()
	if _, err := c.Read(t.Context()); ws.CloseStatus(err) != ws.StatusGoingAway {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// A port that is taken is an error, not a wait.
func TestServeFails(t *testing.T) {
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := serve(t.Context(), l); err == nil {
		t.Error("served a listener that is closed")
	}
}
