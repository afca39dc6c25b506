package main

import (
	"bufio"
	"context"
	"io"
	"net/http/httptest"
	"testing"
	"time"

	"baro.dev/ws"
)

// talk runs the client against a server that echoes, and closes the connection when it hears "bye".
func talk(t *testing.T, ctx context.Context, wait time.Duration) (in io.WriteCloser, out *bufio.Scanner, ended chan error) {
	t.Helper()
	server := httptest.NewServer(&ws.Server{
		OnMessage: func(c *ws.Socket, m ws.Message) {
			c.Send(m.Type, m.Data)
			if m.String() == "bye" {
				c.Close(ws.StatusNormalClosure, "")
			}
		},
	})
	t.Cleanup(server.Close)
	stdin, in := io.Pipe()
	stdout, w := io.Pipe()
	ended = make(chan error, 1)
	go func() {
		ended <- run(ctx, server.URL, stdin, w, wait)
		stdin.Close()
		w.Close()
	}()
	return in, bufio.NewScanner(stdout), ended
}

func TestClient(t *testing.T) {
	for name, end := range map[string]func(in io.WriteCloser, interrupt func()){
		"end of input":  func(in io.WriteCloser, _ func()) { in.Close() },
		"server closes": func(in io.WriteCloser, _ func()) { io.WriteString(in, "bye\n") },
		"interrupt":     func(_ io.WriteCloser, interrupt func()) { interrupt() },
	} {
		t.Run(name, func(t *testing.T) {
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			in, out, ended := talk(t, ctx, time.Millisecond)
			for _, line := range []string{"hello", "", "메세지"} {
				io.WriteString(in, line+"\n")
				if !out.Scan() || out.Text() != line {
					t.Fatalf("%q, want %q", out.Text(), line)
				}
			}
			end(in, interrupt)
			for out.Scan() {
				if out.Text() != "bye" {
					t.Errorf("%q", out.Text())
				}
			}
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}

// Input from a pipe is over before the answers come.
func TestClientPiped(t *testing.T) {
	in, out, ended := talk(t, t.Context(), time.Minute)
	go func() {
		io.WriteString(in, "one\nbye\n")
		in.Close()
	}()
	for _, want := range []string{"one", "bye"} {
		if !out.Scan() || out.Text() != want {
			t.Fatalf("%q, want %q", out.Text(), want)
		}
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestClientCannotDial(t *testing.T) {
	if err := run(t.Context(), "ws://localhost:1/", nil, nil, 0); err == nil {
		t.Error("no error")
	}
}
