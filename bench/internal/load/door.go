//go:build linux

package load

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// A Door is how a server for channels is used: how a client subscribes to the one channel that there is here, and how a
// backend publishes in it.
type Door struct {
	Subscribe *Subscribe // nil: nobody does
	Publish   Publish
}

// Subscribe is how a client subscribes.
type Subscribe struct {
	Stream   bool   // with a GET for an event stream; else over WebSocket
	Path     string // with the query
	Protocol string // the subprotocol; "" for none
	Steps    []Step // over a WebSocket, when it is open
}

// A Step is something that a client says in a text message, if it is not "", and what it hears in the next one: that begins with it.
type Step struct{ Say, Hear string }

// Publish is how a backend publishes, by POST.
type Publish struct {
	Path   string
	Header string // lines of the request's head, each with its end
	// Body makes the body of a request for one message.
	Body func(payload string) string
	// BatchPath and Batch are the same for many. "" and nil: one request has one message.
	BatchPath string
	Batch     func(payload string, count int) string
	// Done is what an answer has once for each message that is published, in a batch too, and nothing else has.
	Done, BatchDone string
}

// request makes a request for a number of messages, all alike.
func (p *Publish) request(t Target, payload string, count int) []byte {
	var body string
	path := p.BatchPath
	if count == 1 {
		path, body = p.Path, p.Body(payload)
	} else {
		body = p.Batch(payload, count)
	}
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %v\r\nAccept: */*\r\n%sContent-Length: %d\r\n\r\n%s", path, t.Addr, p.Header, len(body), body)
}

// check compares an answer with what it has to be.
func (p *Publish) check(body []byte, count int) error {
	done := p.Done
	if count > 1 {
		done = p.BatchDone
	}
	if n := bytes.Count(body, []byte(done)); n != count {
		return fmt.Errorf("%d of %d messages were published: %.300q", n, count, body)
	}
	return nil
}

// getRequest asks for an event stream.
func (s *Subscribe) getRequest(t Target) []byte {
	return fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %v\r\nAccept: text/event-stream\r\nCache-Control: no-cache\r\n\r\n", s.Path, t.Addr)
}

// subscribe opens subscribers, a wave at a time. Their sockets block.
func (g *generator) subscribe(s *Subscribe, conns int) error {
	if s.Stream {
		return g.subscribeStreams(s, conns)
	}
	g.target.path, g.target.protocol = s.Path, s.Protocol
	return g.open(conns, "", func(first, end int) error {
		for _, step := range s.Steps {
			for i := first; i < end && step.Say != ""; i++ {
				if err := writeAll(g.conns[i].fd, g.text([]byte(step.Say))); err != nil {
					return err
				}
			}
			for i := first; i < end; i++ {
				_, heard, err := receive(g.conns[i].fd)
				if err == nil && !strings.HasPrefix(string(heard), step.Hear) {
					err = fmt.Errorf("%q was answered %.300q", step.Say, heard)
				}
				if err != nil {
					return fmt.Errorf("subscriber %d: %w", i, err)
				}
			}
		}
		return nil
	})
}

func (g *generator) subscribeStreams(s *Subscribe, conns int) error {
	request := s.getRequest(g.target)
	for len(g.conns) < conns {
		first, end := len(g.conns), min(conns, len(g.conns)+wave)
		for i := first; i < end; i++ {
			fd, err := g.target.connect(i)
			if err != nil {
				return err
			}
			g.conns = append(g.conns, conn{fd: fd})
			if err := writeAll(fd, request); err != nil {
				return err
			}
		}
		for i := first; i < end; i++ {
			if err := g.streamBegins(g.conns[i].fd); err != nil {
				return fmt.Errorf("subscriber %d: %w", i, err)
			}
		}
	}
	return nil
}

// streamBegins reads the head of a stream and its first event, which says that the client has subscribed. Nothing was published
// yet, so that there is nothing behind it.
func (g *generator) streamBegins(fd int) error {
	head, err := readHead(fd)
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 200 ")) || !bytes.Contains(head, []byte("text/event-stream")) {
		return fmt.Errorf("no event stream: %.300q", head)
	}
	var begun []byte
	for !bytes.Contains(begun, []byte("\n\n\r\n")) { // the end of an event, and of the chunk that it is in
		n, err := read(fd, g.buf)
		if err != nil {
			return err
		}
		if n == 0 || len(begun) > 8<<10 {
			return errors.New("the stream does not begin")
		}
		begun = append(begun, g.buf[:n]...)
	}
	return nil
}
