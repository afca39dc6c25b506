package listen

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"baro.dev/ws"
)

// settle is how long a program has to end by itself when its input has ended, before it gets SIGTERM.
const settle = 250 * time.Millisecond

// lastWords is how long each piece of what a program has left in its pipe may take to come when it has ended. It is there already, unless
// somebody outside of its process group holds the pipe.
const lastWords = time.Second

// stalled is after how long a client is pinged whose messages the program does not take: one that is gone is noticed by that.
const stalled = 10 * time.Second

// serveProgram runs the program for a connection.
//
// One goroutine carries messages to the program, one what it writes to the client, one waits for its end. The first of the client and
// the program to end ends the other.
func (s *Server) serveProgram(w http.ResponseWriter, r *http.Request) {
	if forWebSocket(r) {
		select {
		case s.programs <- struct{}{}:
			defer func() { <-s.programs }()
		default:
			s.refused(r, errors.New("as many programs run as allowed"))
			w.Header().Set("Retry-After", "5")
			http.Error(w, "as many programs run as allowed", http.StatusServiceUnavailable)
			return
		}
	}
	s.running.Add(1)
	defer s.running.Done()
	env, err := s.environment(r)
	if err != nil {
		s.refused(r, err)
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	options := s.accept()
	c, err := ws.Accept(w, r, &options)
	if err != nil {
		s.refused(r, err)
		return
	}
	defer c.CloseNow()
	number := s.opened(r, "ws", c.Subprotocol())
	err = s.run(c, number, append(env, fmt.Sprintf("UNIQUE_ID=%d", number)))
	s.tell(&Event{Kind: "close", Connection: number, Err: err})
}

// run returns how the connection has ended; by then the program has, too.
func (s *Server) run(c *ws.Conn, number uint64, env []string) error {
	p, err := start(s.c.Program, env, s.c.ProgramError)
	if err != nil {
		_ = c.Close(s.ctx, ws.StatusInternalError, "the program could not be started")
		return fmt.Errorf("the program could not be started: %w", err)
	}
	x := &exchange{Server: s, number: number, c: c, p: p}
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	gone := context.AfterFunc(c.Context(), func() { p.end(s.c.Grace) })
	defer gone()
	stop := context.AfterFunc(s.ctx, func() {
		closing, cancel := context.WithTimeout(context.Background(), s.c.Grace)
		defer cancel()
		_ = c.Close(closing, ws.StatusGoingAway, "")
	})
	defer stop()
	fed, said := make(chan struct{}), make(chan error, 1)
	go func() { x.feed(ctx); close(fed) }()
	go func() { said <- x.say(ctx) }()
	status := p.wait()
	badLine := <-said
	err = c.Err()
	switch {
	case err != nil:
	case badLine != nil:
		err = badLine
		_ = c.Close(ctx, ws.StatusInternalError, badLine.Error())
	case status != nil:
		err = fmt.Errorf("the program has ended: %w", status)
		_ = c.Close(ctx, ws.StatusInternalError, err.Error())
	default:
		_ = c.Close(ctx, ws.StatusNormalClosure, "")
	}
	c.CloseNow()
	<-fed
	return orderly(err)
}

// exchange is a client and its program.
type exchange struct {
	*Server
	number uint64
	c      *ws.Conn
	p      *process
}

// feed has the program read messages, until there are no more.
func (x *exchange) feed(ctx context.Context) {
	defer x.p.in.Close()
	for m, err := range x.c.Messages(ctx) {
		if err != nil {
			return
		}
		x.tell(&Event{Kind: "message", Connection: x.number, Binary: m.Type == ws.Binary, Data: m.Data})
		if err := x.write(ctx, m.Data); err != nil {
			// It takes no more, and may still say something. Messages are read on, and dropped, so that the end of the client is noticed.
			continue
		}
	}
}

func (x *exchange) write(ctx context.Context, data []byte) error {
	ctx, done := context.WithCancel(ctx)
	defer done()
	defer time.AfterFunc(stalled, func() { x.ping(ctx) }).Stop()
	if _, err := x.p.in.Write(data); err != nil || x.Server.c.Binary {
		return err
	}
	_, err := x.p.in.Write([]byte("\n"))
	return err
}

// ping pings the client, whose messages nobody reads meanwhile, so that one that is gone is noticed.
func (x *exchange) ping(ctx context.Context) {
	for ctx.Err() == nil {
		wait, cancel := context.WithTimeout(ctx, stalled)
		_, _ = x.c.Ping(wait)
		<-wait.Done()
		cancel()
	}
}

// say sends what the program writes, until it writes no more, and returns what was no message.
func (x *exchange) say(ctx context.Context) error {
	defer x.p.out.Close()
	r := bufio.NewReaderSize(x.p, 64<<10)
	if x.Server.c.Binary {
		return x.sayBytes(ctx, r)
	}
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		if int64(len(line)) > x.Server.c.MaxMessage+2 {
			x.p.end(x.Server.c.Grace)
			return fmt.Errorf("the program has written a line of more than %d bytes", x.Server.c.MaxMessage)
		}
		switch {
		case err == nil:
			x.send(ctx, ws.Text, bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r")))
			line = line[:0]
		case err != bufio.ErrBufferFull:
			if len(line) > 0 {
				x.send(ctx, ws.Text, line)
			}
			return nil
		}
	}
}

func (x *exchange) sayBytes(ctx context.Context, r *bufio.Reader) error {
	for {
		if _, err := r.Peek(1); err != nil {
			return nil //nolint:nilerr // there is no more
		}
		piece, _ := r.Peek(r.Buffered())
		x.send(ctx, ws.Binary, piece)
		_, _ = r.Discard(len(piece))
	}
}

// send sends a message. A client that is gone does not keep the program from writing.
func (x *exchange) send(ctx context.Context, t ws.MessageType, data []byte) {
	if t == ws.Text {
		data = bytes.ToValidUTF8(data, []byte("\uFFFD"))
	}
	if x.c.Write(ctx, t, data) == nil {
		x.tell(&Event{Kind: "sent", Connection: x.number, Binary: t == ws.Binary, Data: data})
	}
}

// Read reads what the program writes; when it has ended, only what is there.
func (p *process) Read(b []byte) (int, error) {
	if p.over.Load() {
		_ = p.out.SetReadDeadline(time.Now().Add(lastWords))
	}
	n, err := p.out.Read(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = io.EOF
	}
	return n, err
}
