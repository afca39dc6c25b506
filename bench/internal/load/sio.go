//go:build linux

package load

import (
	"bytes"
	"errors"
	"fmt"
)

// Socket.IO 5 over Engine.IO 4, as much of it as a client with little to say needs.
const (
	webSocketPath = "/socket.io/?EIO=4&transport=websocket"
	pollingPath   = "/socket.io/?EIO=4&transport=polling"

	engineOpen      = "0{"      // how an Engine.IO session begins
	enginePing      = '2'       // a heartbeat
	enginePong      = "3"       // its answer
	connect         = "40"      // a client enters the main namespace
	connected       = "40{"     // how the answer begins
	sidKey          = `"sid":"` // what both answers have
	disconnect      = "41"
	finalText       = 0x80 | opText
	separator  byte = 0x1e // between the packets of a payload in polling
)

// event is a packet that has no acknowledgement.
func event(name string, argument []byte) []byte { return fmt.Appendf(nil, `42[%q,%q]`, name, argument) }

// question is an event that is to be acknowledged with its argument, and answer the acknowledgement. All have the same
// number: a server does not care.
func question(argument []byte) []byte { return fmt.Appendf(nil, `420["message",%q]`, argument) }
func answer(argument []byte) []byte   { return fmt.Appendf(nil, `430[%q]`, argument) }

// greets reports whether a packet begins as it is to, and has an id.
func greets(packet []byte, beginning string) bool {
	return bytes.HasPrefix(packet, []byte(beginning)) && bytes.Contains(packet, []byte(sidKey))
}

// text makes the frame of an Engine.IO packet.
func (g *generator) text(packet []byte) []byte { return appendFrame(nil, opText, g.key(), packet) }

// beat answers the heartbeats of a connection.
func (g *generator) beat(i int) error {
	c := &g.conns[i]
	pong := bytes.Repeat(g.text([]byte(enginePong)), c.in.beats)
	g.beats += c.in.beats
	c.in.beats = 0
	if len(c.unsent) > 0 {
		c.unsent = append(bytes.Clone(c.unsent), pong...)
		return nil
	}
	return g.send(i, pong)
}

// packet reads a packet from a connection that still blocks, and answers the heartbeats before it.
func (g *generator) packet(i int) ([]byte, error) {
	first, packet, err := receive(g.conns[i].fd)
	if err == nil && first == finalText && len(packet) == 1 && packet[0] == enginePing {
		g.beats++
		if err := writeAll(g.conns[i].fd, g.text([]byte(enginePong))); err != nil {
			return nil, err
		}
		return g.packet(i)
	}
	if err == nil && first != finalText {
		err = fmt.Errorf("a message that is not text in one frame: %#x %q", first, packet)
	}
	return packet, err
}

// Acks has connections each keep a number of events in flight, written together, and acknowledged by the server.
func (t Target) Acks(e Echo) (Result, error) {
	t.path = webSocketPath
	return t.exchange(e, (*generator).checkAcks)
}

// Room has one client have the server broadcast to a room that all are in. Messages are deliveries.
func (t Target) Room(f FanOut) (Result, error) {
	t.path = webSocketPath
	return t.fanOut(f, (*generator).checkAcks, (*generator).checkRoom)
}

// checkAcks returns the check of a wave: each client enters the main namespace and has one event acknowledged.
func (g *generator) checkAcks(size, depth int) func(first, end int) error {
	return func(first, end int) error {
		each := func(f func(i int) error) error {
			for i := first; i < end; i++ {
				if err := f(i); err != nil {
					return fmt.Errorf("connection %d: %w", i, err)
				}
			}
			return nil
		}
		write := func(packet func(i int) []byte) error {
			return each(func(i int) error { return writeAll(g.conns[i].fd, packet(i)) })
		}
		read := func(what string, right func(i int, packet []byte) bool) error {
			return each(func(i int) error {
				packet, err := g.packet(i)
				if err == nil && !right(i, packet) {
					err = fmt.Errorf("%q is not %s", packet, what)
				} else if err != nil {
					err = fmt.Errorf("no %s: %w", what, err)
				}
				return err
			})
		}
		arguments := make([][]byte, end-first)
		for i := first; i < end; i++ {
			argument, c := g.payload(size), &g.conns[i]
			arguments[i-first] = argument
			c.batch = bytes.Repeat(g.text(question(argument)), depth)
			c.in.size, c.in.beat = len(answer(argument)), true
		}
		// Each step is taken by the whole wave: what a client says at once when it has been greeted, some servers lose.
		for _, step := range []func() error{
			func() error {
				return read("opening packet", func(_ int, packet []byte) bool { return greets(packet, engineOpen) })
			},
			func() error { return write(func(int) []byte { return g.text([]byte(connect)) }) },
			func() error {
				return read("answer to CONNECT", func(_ int, packet []byte) bool { return greets(packet, connected) })
			},
			func() error { return write(func(i int) []byte { return g.text(question(arguments[i-first])) }) },
			func() error {
				return read("acknowledgement", func(i int, packet []byte) bool { return bytes.Equal(packet, answer(arguments[i-first])) })
			},
		} {
			if err := step(); err != nil {
				return err
			}
		}
		return nil
	}
}

// checkRoom publishes one event and compares what each client gets. It becomes the first one's batch.
func (g *generator) checkRoom(size int) error {
	argument := g.payload(size)
	want := event("message", argument)
	publisher := &g.conns[0]
	publisher.batch = g.text(event("publish", argument))
	if err := writeAll(publisher.fd, publisher.batch); err != nil {
		return err
	}
	for i := range g.conns {
		got, err := g.packet(i)
		if err == nil && !bytes.Equal(got, want) {
			err = errors.New("what came is not what was published")
		}
		if err != nil {
			return fmt.Errorf("connection %d: %w", i, err)
		}
		g.conns[i].in.size = len(want)
	}
	return nil
}
