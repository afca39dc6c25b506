package record

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"baro.dev/internal/cli/connection"
	"baro.dev/internal/cli/exit"
	"baro.dev/ws"
)

// A Recorder passes messages on between a person, or a program, and a connection, and writes them down.
type Recorder struct {
	Connection connection.Connection
	Writer     *Writer
	// In has a line for each message that is to be sent; nil: nothing is. At its end the connection goes on. An event of Socket.IO is a JSON array
	// of its name and arguments, or an object with event and args, and with "ack": true if it wants an acknowledgement; {"ack": NUMBER, "args": […]}
	// acknowledges the event of that number of those that came and wanted it.
	In io.Reader
	// Show is called with each message that came; nil: nobody is.
	Show func(*connection.Message) error
	// Count is how many messages are enough, and Timeout how long; 0: there are never enough.
	Count   int
	Timeout time.Duration
	// Wait is how long no message may come after the end of In, if anything was sent, until it is over; negative: for ever.
	Wait time.Duration

	idle atomic.Pointer[time.Timer] // of Wait
	came unanswered
}

var errEnough = errors.New("enough was recorded")

// closeTimeout bounds a close.
const closeTimeout = 5 * time.Second

// Run records until the connection ends, there is enough, or whole is done. It closes the connection, and not the Writer. The error has its
// exit code.
func (r *Recorder) Run(whole context.Context) error {
	ctx, end := context.WithCancelCause(whole)
	defer end(nil)
	if r.Timeout > 0 {
		defer time.AfterFunc(r.Timeout, func() { end(errEnough) }).Stop()
	}
	if err := r.Writer.Write(Entry{Dir: In, Type: Open}); err != nil {
		r.close(ctx)
		return err
	}
	var sending sync.WaitGroup
	if r.In != nil {
		lines := make(chan []byte)
		go r.read(ctx, lines, end)
		sending.Go(func() { r.send(ctx, lines, end) })
	}
	err := r.receive(ctx)
	end(err)
	sending.Wait()
	if idle := r.idle.Load(); idle != nil {
		idle.Stop()
	}
	err = context.Cause(ctx)
	switch {
	case errors.Is(err, io.EOF):
		err = nil
	case errors.Is(err, errEnough):
		err = r.leave()
	case whole.Err() != nil:
		err = errors.Join(err, r.leave())
	}
	r.close(ctx)
	return err
}

// receive writes down what comes, and how it ends.
func (r *Recorder) receive(ctx context.Context) error {
	for n := 1; ; n++ {
		m, err := r.Connection.Receive(ctx)
		switch {
		case err != nil && ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			code, reason := ending(err)
			if failed := r.Writer.Write(Entry{Dir: In, Type: Close, Code: code, Reason: reason}); failed != nil {
				return failed
			}
			return err
		}
		if idle := r.idle.Load(); idle != nil {
			idle.Reset(r.Wait)
		}
		e := NewEntry(In, &m)
		e.Ack = r.came.add(&m)
		if err := r.Writer.Write(e); err != nil {
			return err
		}
		if r.Show != nil {
			if err := r.Show(&m); err != nil {
				return err
			}
		}
		if n == r.Count {
			return errEnough
		}
	}
}

// ending is how a connection has ended: the code and reason of WebSocket, or 1000 and 1006 in its words (RFC 6455, 7.4.1).
func ending(err error) (code int, reason string) {
	if c, ok := errors.AsType[*ws.CloseError](err); ok {
		return int(c.Code), c.Reason
	}
	if errors.Is(err, io.EOF) {
		return int(ws.StatusNormalClosure), ""
	}
	return int(ws.StatusAbnormalClosure), ""
}

// maxInputLine is how long a line may be that is to be sent, in bytes.
const maxInputLine = 16 << 20

// read reads lines until there are no more. It ends with In, or when ctx is done and a line has come.
func (r *Recorder) read(ctx context.Context, lines chan<- []byte, end context.CancelCauseFunc) {
	defer close(lines)
	in := bufio.NewReaderSize(r.In, 64<<10)
	for n := 1; ; n++ {
		line, err := readLine(in)
		if err == nil || len(line) > 0 {
			select {
			case lines <- bytes.TrimRight(line, "\r\n"):
			case <-ctx.Done():
				return
			}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				end(fmt.Errorf("line %d of the input: %w", n, err))
			}
			return
		}
	}
}

func readLine(in *bufio.Reader) (line []byte, err error) {
	for {
		part, err := in.ReadSlice('\n')
		if len(line)+len(part) > maxInputLine {
			return nil, fmt.Errorf("it is longer than %d bytes", maxInputLine)
		}
		line = append(line, part...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}

// send sends lines, and writes them down.
func (r *Recorder) send(ctx context.Context, lines <-chan []byte, end context.CancelCauseFunc) {
	asked := 0 // for acknowledgements
	for sent := 0; ; sent++ {
		var line []byte
		select {
		case l, more := <-lines:
			if !more && sent > 0 && r.Wait >= 0 {
				r.idle.Store(time.AfterFunc(r.Wait, func() { end(errEnough) }))
			}
			if !more {
				return
			}
			line = l
		case <-ctx.Done():
			return
		}
		if err := r.say(ctx, line, &asked); err != nil {
			if ctx.Err() == nil {
				end(err)
			}
			return
		}
	}
}

// say sends what a line means, and writes it down before any answer.
func (r *Recorder) say(ctx context.Context, line []byte, asked *int) error {
	protocol := r.Connection.Info().Protocol
	if protocol != connection.SocketIO || !bytes.HasPrefix(line, []byte("{")) {
		m, err := OfLine(protocol, line)
		if err == nil {
			err = r.Writer.Write(NewEntry(Out, &m))
		}
		if err == nil {
			err = r.Connection.Send(ctx, m)
		}
		return err
	}
	e, wants, err := ofObject(line)
	if err != nil {
		return err
	}
	if e.Type == Ack {
		f := r.came.take(e.Ack)
		if f == nil {
			return exit.With(exit.Usage, fmt.Errorf("no event waits for the acknowledgement %d", e.Ack))
		}
		if err := r.Writer.Write(e); err != nil {
			return err
		}
		return f(e.Args)
	}
	m, _ := e.Message()
	if wants {
		*asked++
		e.Ack = *asked
		m.Acked = func(arguments []byte, err error) { r.acknowledged(e.Ack, arguments, err) }
	}
	if err := r.Writer.Write(e); err != nil {
		return err
	}
	return r.Connection.Send(ctx, m)
}

// acknowledged writes down that the server has acknowledged an event. Why it has not is why the connection has ended.
func (r *Recorder) acknowledged(number int, arguments []byte, err error) {
	if err != nil {
		return
	}
	if idle := r.idle.Load(); idle != nil {
		idle.Reset(r.Wait)
	}
	_ = r.Writer.Write(Entry{Dir: In, Type: Ack, Ack: number, Args: arguments}) // the next line has the error, too, and so has Close
}

// OfLine is the message that a line means: text, or for Socket.IO an event.
func OfLine(p connection.Protocol, line []byte) (connection.Message, error) {
	if p != connection.SocketIO {
		return connection.Message{Data: line}, nil
	}
	var parts []json.RawMessage
	var name string
	if err := json.Unmarshal(line, &parts); err != nil || len(parts) == 0 || json.Unmarshal(parts[0], &name) != nil {
		return connection.Message{}, exit.With(exit.Usage, fmt.Errorf(`%.60q is no event: ["name", argument, …]`, line))
	}
	arguments, err := json.Marshal(parts[1:])
	return connection.Message{Kind: connection.Event, Event: name, Data: arguments}, err
}

// leave writes down that this side ends the connection.
func (r *Recorder) leave() error {
	return r.Writer.Write(Entry{Dir: Out, Type: Close, Code: int(ws.StatusNormalClosure)})
}

func (r *Recorder) close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	_ = r.Connection.Close(ctx, 0, "") // it may have ended already
}
