//go:build linux

package load

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"syscall"

	"baro.dev/bench/internal/epoll"
)

// channels is a generator whose first connections have subscribed and whose others publish. Each delivery is found by its
// payload, whole: frames, envelopes and chunks around it differ from server to server, and some put many messages in a frame.
type channels struct {
	*generator
	door        Door
	subscribers int
	count       int // messages in a request
	payload     []byte
	request     []byte
	answers     [][]byte // what has come of each publisher's answer
	parts       [][]byte // the end of what has come to each subscriber, if a payload may have begun there
}

// newChannels opens subscribers, if there are to be any, and publishers, each of which has published a request when it returns,
// that has reached everybody.
func (t Target) newChannels(d Door, subscribers, publishers, size, count int) (*channels, error) {
	g, err := newGenerator(t)
	if err != nil {
		return nil, err
	}
	c := &channels{generator: g, door: d, subscribers: subscribers, count: count, payload: g.payload(size)}
	c.answers, c.parts = make([][]byte, publishers), make([][]byte, subscribers)
	c.request = d.Publish.request(t.publisher(), string(c.payload), count)
	if err := c.open(publishers); err != nil {
		g.close()
		return nil, err
	}
	return c, nil
}

func (c *channels) open(publishers int) error {
	if c.subscribers > 0 {
		if err := c.subscribe(c.door.Subscribe, c.subscribers); err != nil {
			return err
		}
	}
	for i := range publishers {
		fd, err := c.target.publisher().connect(i)
		if err != nil {
			return err
		}
		c.conns = append(c.conns, conn{fd: fd})
	}
	if err := c.watch(); err != nil {
		return err
	}
	c.target.heardOf()
	return c.round()
}

// round has every publisher publish, and returns when all is answered and has reached everybody.
func (c *channels) round() error {
	publishers := len(c.answers)
	for i := range c.subscribers {
		c.conns[i].waiting = publishers * c.count
	}
	deliveries, answers, since := publishers*c.count*c.subscribers, publishers, c.now()
	for i := c.subscribers; i < len(c.conns); i++ {
		if err := c.send(i, c.request); err != nil {
			return err
		}
	}
	left := deliveries
	for last := since; left > 0 || answers > 0; {
		events, err := c.poller.Wait(100)
		if err != nil {
			return err
		}
		now := c.now()
		for _, e := range events {
			delivered, answered, err := c.turn(e)
			if err != nil {
				return err
			}
			if delivered > 0 || answered {
				last = now
			}
			left -= delivered
			if answered {
				answers--
			}
		}
		if now-last > int64(stall) {
			return fmt.Errorf("%d of %d deliveries and %d of %d answers did not come within %v", left, deliveries, answers, publishers, stall)
		}
	}
	c.messages += deliveries
	c.latency.add(c.now()-since, 1)
	return nil
}

// turn takes what has come over a connection: deliveries, or the answer to a publisher.
func (c *channels) turn(e syscall.EpollEvent) (delivered int, answered bool, err error) {
	i := int(e.Fd)
	if e.Events&epoll.Out != 0 {
		if err := c.flush(i); err != nil {
			return 0, false, err
		}
		if len(c.conns[i].unsent) == 0 {
			if err := c.poller.Modify(c.conns[i].fd, i, epoll.In); err != nil {
				return 0, false, err
			}
		}
	}
	if e.Events&(epoll.In|epoll.Error) == 0 {
		return 0, false, nil
	}
	n, errno := epoll.Read(c.conns[i].fd, c.buf)
	switch {
	case errno == syscall.EAGAIN:
		return 0, false, nil
	case errno != 0:
		return 0, false, fmt.Errorf("connection %d: read: %w", i, errno)
	case n == 0:
		return 0, false, fmt.Errorf("connection %d: closed by the server", i)
	}
	c.bytesIn += int64(n)
	if i >= c.subscribers {
		answered, err = c.answerCame(i-c.subscribers, c.buf[:n])
		return 0, answered, err
	}
	delivered = c.find(i, c.buf[:n])
	s := &c.conns[i]
	if s.waiting -= delivered; s.waiting < 0 {
		err = fmt.Errorf("subscriber %d: more came than was published", i)
	}
	return delivered, false, err
}

// find counts the payloads in what has come to a subscriber.
func (c *channels) find(i int, b []byte) (count int) {
	if len(c.parts[i]) > 0 {
		b = append(c.parts[i], b...)
		c.parts[i] = b[:0]
	}
	for {
		at := bytes.Index(b, c.payload)
		if at < 0 {
			break
		}
		count++
		b = b[at+len(c.payload):]
	}
	// Payloads are letters, and no two alike follow each other closely: only an end that is the beginning of one is kept.
	for n := min(len(b), len(c.payload)-1); n > 0; n-- {
		if bytes.HasSuffix(b, c.payload[:n]) {
			c.parts[i] = append(c.parts[i][:0], c.payload[:n]...)
			break
		}
	}
	return count
}

// answerCame takes a part of the answer to a publisher, and says whether it is whole.
func (c *channels) answerCame(publisher int, b []byte) (bool, error) {
	in := append(c.answers[publisher], b...)
	c.answers[publisher] = in
	body, length, err := answerBody(in)
	if err != nil || length == 0 {
		return false, err
	}
	if len(in) > length {
		return false, errors.New("more than an answer came")
	}
	c.answers[publisher] = in[:0]
	return true, c.door.Publish.check(body, c.count)
}

// answerBody is the body of a response, and the length of that with its head; 0: it has not come whole.
func answerBody(b []byte) (body []byte, length int, err error) {
	head := headEnd(b)
	if head == 0 {
		return nil, 0, nil
	}
	if bytes.Contains(b[:head], []byte("\r\nTransfer-Encoding: chunked\r\n")) && bytes.HasPrefix(b, []byte("HTTP/1.1 200 ")) {
		return chunks(b, head)
	}
	size, err := bodySize(b[:head])
	if err != nil || len(b) < head+size {
		return nil, 0, err
	}
	return b[head : head+size], head + size, nil
}

// chunks puts together the chunks (RFC 9112 7.1) that begin at a place; those who send them here send no trailers.
func chunks(b []byte, at int) (body []byte, length int, err error) {
	for {
		line := bytes.Index(b[at:], []byte("\r\n"))
		if line < 0 {
			return nil, 0, nil
		}
		size, err := strconv.ParseInt(string(b[at:at+line]), 16, 32)
		if err != nil {
			return nil, 0, fmt.Errorf("the size of a chunk: %w", err)
		}
		at += line + 2
		if end := at + int(size) + 2; end <= len(b) {
			body, at = append(body, b[at:end-2]...), end
		} else {
			return nil, 0, nil
		}
		if size == 0 {
			return body, at, nil
		}
	}
}

// Spread has a backend publish to subscribers over a number of connections, one message over each at a time, and the next ones
// when all have reached everybody. Messages are deliveries. Latency is from the first write to the last delivery.
func (t Target) Spread(d Door, f FanOut) (Result, error) {
	return OnThread(t.From, func() (Result, error) {
		c, err := t.newChannels(d, f.Conns, f.Depth, f.Size, 1)
		if err != nil {
			return Result{}, err
		}
		defer c.close()
		return c.measure(f.Warmup, f.Duration, c.round)
	})
}

// Publications has backends publish, each over a connection of its own, which publishes again when it has been answered:
// Depth messages in a request. Nobody has subscribed. Messages are those published.
func (t Target) Publications(d Door, e Echo) (Result, error) {
	return OnThread(t.From, func() (Result, error) {
		c, err := t.newChannels(d, 0, e.Conns, e.Size, e.Depth)
		if err != nil {
			return Result{}, err
		}
		defer c.close()
		for i := range c.conns {
			if err := c.publishAgain(i); err != nil {
				return Result{}, err
			}
		}
		return c.measure(e.Warmup, e.Duration, c.publications)
	})
}

func (c *channels) publishAgain(i int) error {
	c.conns[i].since = c.now()
	return c.send(i, c.request)
}

func (c *channels) publications() error {
	events, err := c.poller.Wait(100)
	if err != nil {
		return err
	}
	for _, e := range events {
		_, answered, err := c.turn(e)
		if err != nil {
			return err
		}
		if !answered {
			continue
		}
		c.messages += c.count
		c.latency.add(c.now()-c.conns[e.Fd].since, c.count)
		if err := c.publishAgain(int(e.Fd)); err != nil {
			return err
		}
	}
	return nil
}
