package load

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"sync/atomic"
)

// A stream is what one publisher publishes in one channel, numbered from 0.
type stream struct {
	id      int
	channel string
	sent    atomic.Uint32 // one more than the highest number that was sent
	refused atomic.Uint32 // of those, how many the server did not publish
}

// publisher is what ways to publish have in common. A publisher's messages go to its streams in turn.
type publisher struct {
	conn    *conn
	mark    []byte
	streams []*stream
	payload []byte
}

// message makes a message, lent until the next one.
func (p *publisher) message(number uint32, due int64) (s int, payload []byte) {
	s = int(number) % len(p.streams)
	n := number / uint32(len(p.streams))
	stamp{p.streams[s].id, n, due}.put(p.payload, p.mark)
	p.streams[s].sent.Store(n + 1)
	return s, p.payload
}

// refused counts a message that was not published.
func (p *publisher) refused(number uint32) { p.streams[int(number)%len(p.streams)].refused.Add(1) }

// posts publishes by requests of HTTP, one at a time.
type posts struct {
	publisher
	responses
	heads [][]byte // for each stream, up to the payload
	tail  []byte
	body  []byte // the beginning of the answer
}

// newPosts has messages be the bodies of POSTs to their channels, or parts of those of the HTTP API.
func newPosts(p publisher, o *Options) *posts {
	s := &posts{publisher: p}
	size, fields := len(p.payload), "Content-Type: text/plain\r\n"
	u := o.Target.URL
	if o.PublishBy == "api" {
		s.tail, fields = []byte(`"}`), "Content-Type: application/json\r\n"
		u = o.api()
	}
	for _, stream := range p.streams {
		where, open := with(u, channelPath(u, stream.channel), ""), ""
		if o.PublishBy == "api" {
			name, _ := json.Marshal(stream.channel)
			where, open = with(u, "/api/v1/publish", ""), fmt.Sprintf(`{"channel":%s,"data":"`, name)
		}
		head := o.Target.requestHead("POST", where)
		head = fmt.Appendf(head, "%sContent-Length: %d\r\n\r\n%s", fields, len(open)+size+len(s.tail), open)
		s.heads = append(s.heads, head)
	}
	return s
}

// api is where the HTTP API is.
func (o *Options) api() *url.URL {
	if o.API != nil {
		return o.API
	}
	return o.Target.URL
}

func (p *posts) ask(dst []byte, number uint32, due int64) []byte {
	s, payload := p.message(number, due)
	dst = append(append(dst, p.heads[s]...), payload...)
	return append(dst, p.tail...)
}

func (p *posts) hear(b []byte, now int64, a *asker) error {
	for len(b) > 0 {
		piece, rest, err := p.next(b)
		if err != nil {
			return err
		}
		b = rest
		if len(p.body) < maxRefusal {
			p.body = append(p.body, piece[:min(len(piece), maxRefusal-len(p.body))]...)
		}
		if !p.ends {
			continue
		}
		number, ok := a.oldest()
		if !ok {
			return errors.New("an answer that nobody asked for")
		}
		if p.status/100 == 2 {
			err = a.answered(number, now)
		} else {
			p.refused(number)
			err = a.failed(number, &StatusError{p.status, string(p.body)})
		}
		p.body = p.body[:0]
		if err != nil {
			return err
		}
		if p.last {
			return errors.New("the server closes the connection after an answer")
		}
	}
	return nil
}

func (p *posts) goodbye() []byte { return nil }

// commands publishes over /ws (docs/ws-protocol.md).
type commands struct {
	publisher
	webSocket
	whole
	names []string // of the channels, in JSON
	text  []byte
}

func newCommands(p publisher) *commands {
	c := &commands{publisher: p, webSocket: webSocket{conn: p.conn}}
	for _, s := range p.streams {
		name, _ := json.Marshal(s.channel)
		c.names = append(c.names, string(name))
	}
	return c
}

func (c *commands) ask(dst []byte, number uint32, due int64) []byte {
	s, payload := c.message(number, due)
	b := append(c.text[:0], `{"id":`...)
	b = strconv.AppendUint(b, uint64(number)+1, 10)
	b = append(append(b, `,"publish":{"channel":`...), c.names[s]...)
	b = append(append(append(b, `,"data":"`...), payload...), `"}}`...)
	c.text = b
	return appendFrame(dst, opText, b)
}

func (c *commands) hear(b []byte, now int64, a *asker) error {
	for len(b) > 0 {
		piece, rest, ok, err := c.next(b)
		if err != nil {
			return err
		}
		b = rest
		if !ok {
			continue
		}
		if c.opcode >= opClose {
			if err := c.hearControl(piece); err != nil {
				return err
			}
			continue
		}
		message, ok, err := c.take(piece, c.begins, c.ends)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if err := c.answer(message, now, a); err != nil {
			return err
		}
	}
	return nil
}

func (c *commands) answer(message []byte, now int64, a *asker) error {
	rest, ours := bytes.CutPrefix(message, []byte(`{"id":`))
	if !ours {
		return nil // a push
	}
	id, rest, _ := bytes.Cut(rest, []byte{','})
	n, err := strconv.ParseUint(string(id), 10, 32)
	if err != nil || n == 0 {
		return fmt.Errorf("an answer that is wrong: %.100q", message)
	}
	if bytes.HasPrefix(rest, []byte(`"ok"`)) {
		return a.answered(uint32(n-1), now)
	}
	var reply struct {
		Error struct{ Code, Message string }
	}
	_ = json.Unmarshal(message, &reply)
	c.refused(uint32(n - 1))
	return a.failed(uint32(n-1), fmt.Errorf("not published: %s", reply.Error.Code))
}

func (c *commands) goodbye() []byte { return goodbyeFrame }
