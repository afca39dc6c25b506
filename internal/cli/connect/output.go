package connect

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"sync"
	"syscall"
	"time"

	"baro.dev/internal/cli/connection"
	"baro.dev/internal/cli/terminal"
	"baro.dev/internal/jsonstring"
)

// errGone is that nobody reads the output any more.
var errGone = errors.New("nobody reads the output")

// outputSize is how much waits, at most, to be written at once.
const outputSize = 64 << 10

// output writes messages as lines, several at a time.
type output struct {
	o *Options
	w io.Writer
	// terminal is that people read it: what others sent must not command a terminal, whatever it is.
	terminal bool

	mu  sync.Mutex
	buf []byte
	err error
}

// add writes a message, soon.
func (out *output) add(m *connection.Message) error {
	out.mu.Lock()
	defer out.mu.Unlock()
	start := len(out.buf)
	if out.o.Format == JSON {
		out.buf = appendObject(out.buf, m)
	} else {
		if out.o.Timestamps {
			out.buf = append(m.At.UTC().AppendFormat(out.buf, stamp), ' ')
		}
		out.buf = out.o.appendText(out.buf, m)
	}
	if out.terminal {
		out.buf = append(out.buf[:start], terminal.Safe(nil, out.buf[start:])...)
	}
	if out.o.Null {
		out.buf = append(out.buf, 0)
	} else {
		out.buf = append(out.buf, '\n')
	}
	if len(out.buf) >= outputSize {
		return out.flushLocked()
	}
	return out.err
}

// stamp is how times are written.
const stamp = "2006-01-02T15:04:05.000000Z"

func (o *Options) appendText(dst []byte, m *connection.Message) []byte {
	switch {
	case m.Kind == connection.Event:
		return appendEvent(dst, m)
	case o.Format == Base64:
		return base64.StdEncoding.AppendEncode(dst, m.Data)
	case o.Format == Hex:
		return hex.AppendEncode(dst, m.Data)
	}
	return append(dst, m.Data...)
}

// appendEvent writes an event of Socket.IO as ["name",argument...].
func appendEvent(dst []byte, m *connection.Message) []byte {
	dst = jsonstring.Append(append(dst, '['), m.Event)
	if len(m.Data) > 2 {
		dst = append(dst, ',')
	}
	return append(dst, m.Data[1:]...)
}

// appendObject writes a message as an object.
func appendObject(dst []byte, m *connection.Message) []byte {
	switch m.Kind {
	case connection.Binary:
		dst = append(dst, `{"type":"binary","base64":"`...)
		dst = append(base64.StdEncoding.AppendEncode(dst, m.Data), '"')
	case connection.Event:
		dst = append(append(dst, `{"type":"event","args":`...), m.Data...)
	default:
		dst = append(dst, `{"type":"text","data":`...)
		dst = jsonstring.Append(dst, m.Data)
	}
	if m.Event != "" {
		dst = jsonstring.Append(append(dst, `,"event":`...), m.Event)
	}
	if m.ID != "" {
		dst = jsonstring.Append(append(dst, `,"id":`...), m.ID)
	}
	dst = m.At.UTC().AppendFormat(append(dst, `,"at":"`...), stamp)
	return append(dst, `"}`...)
}

// acknowledged writes an acknowledgement that was asked for.
func (out *output) acknowledged(arguments []byte, err error) {
	e := struct {
		Type  string          `json:"type"`
		Args  json.RawMessage `json:"args,omitempty"`
		Error string          `json:"error,omitempty"`
		At    string          `json:"at"`
	}{Type: "ack", Args: arguments, At: time.Now().UTC().Format(stamp)}
	if err != nil {
		e.Error = err.Error()
	}
	text, err := json.Marshal(e)
	if err != nil {
		return
	}
	if out.terminal {
		text = terminal.Safe(nil, text)
	}
	out.mu.Lock()
	defer out.mu.Unlock()
	out.buf = append(append(out.buf, text...), '\n')
	_ = out.flushLocked() // whoever receives is told, too
}

// flush writes what waits.
func (out *output) flush() error {
	out.mu.Lock()
	defer out.mu.Unlock()
	return out.flushLocked()
}

func (out *output) flushLocked() error {
	if out.err == nil && len(out.buf) > 0 {
		_, err := out.w.Write(out.buf)
		switch {
		case errors.Is(err, syscall.EPIPE), errors.Is(err, io.ErrClosedPipe):
			out.err = errGone
		case err != nil:
			out.err = errWriting(err)
		}
	}
	out.buf = out.buf[:0]
	if cap(out.buf) > 4*outputSize {
		out.buf = nil // a long message is no reason to keep so much
	}
	return out.err
}
