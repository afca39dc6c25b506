//go:build linux

package load

import (
	"bytes"
	"fmt"
)

// Opens has Socket.IO clients come and go: connect, opening handshake with transport=websocket, enter the main namespace,
// one event and its acknowledgement; then leave the namespace, closing handshake, and close: not every server does. Messages
// are clients; latency is from the connect to the server's close frame.
func (t Target) Opens(o Churn) (Result, error) {
	return OnThread(t.From, func() (Result, error) {
		t.path = webSocketPath
		g, err := newGenerator(t)
		if err != nil {
			return Result{}, err
		}
		defer g.close()
		argument := g.payload(o.Size)
		c := &opens{
			churn: churn{generator: g, payload: answer(argument), request: t.request(""), frame: g.text(question(argument))},
			enter: g.text([]byte(connect)),
		}
		c.goodbye = append(g.text([]byte(disconnect)), g.goodbye()...)
		c.advance = c.open
		return c.run(o)
	})
}

type opens struct {
	churn
	enter []byte
}

// open takes the steps that what has come allows.
func (c *opens) open(i int, l *life) error {
	if l.phase == opening {
		end := headEnd(l.in)
		if end == 0 {
			return nil
		}
		if _, err := checkResponse(l.in[:end]); err != nil {
			return err
		}
		l.phase, l.in = greeted, append(l.in[:0], l.in[end:]...)
	}
	for l.phase < closing {
		payload, n, err := textFrame(l.in)
		if n == 0 || err != nil {
			return err
		}
		var right bool
		var next []byte
		switch l.phase {
		case greeted:
			right, next = greets(payload, engineOpen), c.enter
		case entering:
			right, next = greets(payload, connected), c.frame
		case echoing:
			right, next = bytes.Equal(payload, c.payload), c.goodbye
		}
		if !right {
			return fmt.Errorf("in step %d it said %q", l.phase, payload)
		}
		l.phase, l.in = l.phase+1, append(l.in[:0], l.in[n:]...)
		if err := c.send(i, next); err != nil {
			return err
		}
	}
	if len(l.in) > 0 && l.in[0] == 0x80|opClose {
		l.phase = over
	}
	return nil
}

// textFrame returns the payload of the text frame that b begins with, and the length of the frame: 0 if it has not come
// whole. It is never of 64 KiB or more.
func textFrame(b []byte) (payload []byte, n int, err error) {
	if len(b) < 2 {
		return nil, 0, nil
	}
	header, size := 2, int(b[1])
	if b[0] != finalText || size > 126 {
		return nil, 0, fmt.Errorf("not the header of a text frame: % x", b[:2])
	}
	if size == 126 {
		if len(b) < 4 {
			return nil, 0, nil
		}
		header, size = 4, int(b[2])<<8|int(b[3])
	}
	if len(b) < header+size {
		return nil, 0, nil
	}
	return b[header : header+size], header + size, nil
}
