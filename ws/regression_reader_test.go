package ws_test

import (
	"io"
	"testing"
)

// A Reader ends with its message, even if the next one comes before anybody has asked for the end.
func TestReaderEndsWithItsMessage(t *testing.T) {
	both(t, func(t *testing.T, client bool) {
		c, p := bareConn(t, "tcp", client, nil)
		p.send(textFrame("first"))
		_, r, err := c.Reader(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var b [5]byte
		if _, err := io.ReadFull(r, b[:]); err != nil || string(b[:]) != "first" {
			t.Fatal(string(b[:]), err)
		}
		go func() { p.send(pongFrame((<-p.sights).data), textFrame("second")) }()
		if _, err := c.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
		if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 {
			t.Errorf("%q, %v behind the end of the message", rest, err)
		}
		if m, err := c.Read(t.Context()); err != nil || m.String() != "second" {
			t.Fatal(m, err)
		}
	})
}
