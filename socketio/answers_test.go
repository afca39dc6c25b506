package socketio_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"baro.dev/socketio"
)

// What waits for a client that goes is told that it has gone, also by a context made from the socket's.
func TestGoneIsTheCause(t *testing.T) {
	io, url := start(t, nil)
	started, ended := make(chan struct{}), make(chan error)
	io.On("wait", func(e *socketio.Event) {
		ctx, cancel := context.WithTimeout(e.Context(), time.Hour)
		defer cancel()
		close(started)
		<-ctx.Done()
		ended <- context.Cause(e.Context())
		ended <- context.Cause(ctx)
		_, err := e.Socket().EmitWithAck(ctx, "anybody?")
		ended <- err
		late, cancel := context.WithCancel(e.Context())
		defer cancel()
		ended <- context.Cause(late)
	})
	p := join(t, url, "0")
	p.send(`2["wait"]`)
	got(t, started)
	p.close()
	for range 4 {
		if err := got(t, ended); !errors.Is(err, socketio.ErrDisconnected) {
			t.Error(err)
		}
	}
}

// A timeout that is over at once is told, too.
func TestEmitFuncShortTimeout(t *testing.T) {
	io, url := start(t, nil)
	sockets := make(chan *socketio.Socket, 1)
	io.OnConnection(func(s *socketio.Socket) { sockets <- s })
	join(t, url, "0")
	s := got(t, sockets)
	var wg sync.WaitGroup
	for range 5000 {
		wg.Add(1)
		if err := s.Timeout(1).EmitFunc("q", func(socketio.Args, error) { wg.Done() }); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	got(t, done)
}

// A client that waits for an answer gets one, even if that which it should have got cannot be encoded.
func TestAckThatCannotBeEncoded(t *testing.T) {
	io, url := start(t, nil)
	socketio.On0(io, "typed", func(context.Context) (float64, error) { return math.NaN(), nil })
	socketio.On0(io, "error", func(context.Context) (float64, error) {
		return 0, &socketio.Error{Message: "with data", Data: math.NaN()}
	})
	io.On("raw", func(e *socketio.Event) {
		if err := e.Ack(math.NaN()); err == nil || !e.WantsAck() {
			t.Error(err)
		}
		if err := e.Ack("second"); err != nil {
			t.Error(err)
		}
		if err := e.Ack("third"); err != socketio.ErrNoAck {
			t.Error(err)
		}
	})
	p := join(t, url, "0")
	for _, c := range [][2]string{
		{`21["raw"]`, `31["second"]`},
		{`22["typed"]`, `32[{"error":{"message":"internal error"}}]`},
		{`23["error"]`, `33[{"error":{"message":"with data"}}]`},
	} {
		p.send(c[0])
		if a := p.recv(); !strings.HasPrefix(a, c[1]) {
			t.Errorf("%s: %s, want %s", c[0], a, c[1])
		}
	}
}
