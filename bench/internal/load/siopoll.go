//go:build linux

package load

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"syscall"

	"baro.dev/bench/internal/epoll"
)

// Polls has Socket.IO clients, which poll, each ask again when it has been answered: a GET that waits, and then, over a
// second connection, as browsers do, a POST with an event, whose acknowledgement the GET brings. Depth is not used.
// Messages are acknowledged events.
func (t Target) Polls(e Echo) (Result, error) {
	return OnThread(t.From, func() (Result, error) {
		g, err := newGenerator(t)
		if err != nil {
			return Result{}, err
		}
		defer g.close()
		p := &polls{generator: g, clients: make([]pollClient, e.Conns)}
		for i := range p.clients {
			if err := p.open(i, e.Size); err != nil {
				return Result{}, fmt.Errorf("client %d: %w", i, err)
			}
		}
		if err := g.watch(); err != nil {
			return Result{}, err
		}
		for i := range p.clients {
			if err := p.ask(i); err != nil {
				return Result{}, err
			}
		}
		return g.measure(e.Warmup, e.Duration, p.step)
	})
}

// polls are clients whose GETs are sent over connection 2i and whose POSTs over 2i+1.
type polls struct {
	*generator
	clients []pollClient
}

type pollClient struct {
	get, post []byte // requests
	beaten    []byte // the POST that answers a heartbeat, too
	want      []byte // the acknowledgement
	in        [2][]byte
	answered  bool
	posted    bool
	beats     bool // a heartbeat is to be answered
}

// open begins a session: a GET, a POST and a GET, and the first event.
func (p *polls) open(i, size int) error {
	for range 2 {
		fd, err := p.target.connect(i)
		if err != nil {
			return err
		}
		p.conns = append(p.conns, conn{fd: fd})
	}
	c, argument := &p.clients[i], p.payload(size)
	body, err := p.request(2*i, p.getRequest(""))
	if err != nil {
		return err
	}
	if !greets(body, engineOpen) {
		return fmt.Errorf("%q instead of %s%s", body, engineOpen, sidKey)
	}
	_, rest, _ := strings.Cut(string(body), sidKey)
	sid, _, _ := strings.Cut(rest, `"`)
	c.get, c.want = p.getRequest(sid), answer(argument)
	c.post = p.postRequest(sid, question(argument))
	c.beaten = p.postRequest(sid, append([]byte{enginePong[0], separator}, question(argument)...))
	for _, step := range []struct {
		post  []byte
		right func([]byte) bool
	}{
		{p.postRequest(sid, []byte(connect)), func(b []byte) bool { return greets(b, connected) }},
		{c.post, func(b []byte) bool { return bytes.Equal(b, c.want) }},
	} {
		ok, err := p.request(2*i+1, step.post)
		if err == nil && string(ok) != "ok" {
			err = fmt.Errorf("a POST was answered %q", ok)
		}
		if err != nil {
			return err
		}
		got, err := p.request(2*i, c.get)
		if err != nil {
			return err
		}
		if !step.right(got) {
			return fmt.Errorf("what came instead of the answer: %q", got)
		}
	}
	return nil
}

func (p *polls) getRequest(sid string) []byte {
	if sid != "" {
		sid = "&sid=" + sid
	}
	return fmt.Appendf(nil, "GET %s%s HTTP/1.1\r\nHost: %v\r\nAccept: */*\r\n\r\n", pollingPath, sid, p.target.Addr)
}

func (p *polls) postRequest(sid string, payload []byte) []byte {
	return fmt.Appendf(nil, "POST %s&sid=%s HTTP/1.1\r\nHost: %v\r\nAccept: */*\r\nContent-Type: text/plain;charset=UTF-8\r\n"+
		"Content-Length: %d\r\n\r\n%s", pollingPath, sid, p.target.Addr, len(payload), payload)
}

// request sends a request over a connection that still blocks and returns the body of the response.
func (p *polls) request(conn int, request []byte) ([]byte, error) {
	fd := p.conns[conn].fd
	if err := writeAll(fd, request); err != nil {
		return nil, err
	}
	head, err := readHead(fd)
	if err != nil {
		return nil, err
	}
	size, err := bodySize(head)
	if err != nil {
		return nil, err
	}
	body := make([]byte, size)
	return body, readFull(fd, body)
}

// bodySize is the length of the body after a head.
func bodySize(head []byte) (int, error) {
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 200 ")) {
		return 0, fmt.Errorf("a request was refused: %q", head)
	}
	for line := range bytes.Lines(head) {
		name, value, _ := bytes.Cut(line, []byte{':'})
		if len(name) == len("Content-Length") && strings.EqualFold(string(name), "Content-Length") {
			return strconv.Atoi(string(bytes.TrimSpace(value)))
		}
	}
	return 0, fmt.Errorf("no Content-Length: %q", head)
}

// ask begins a round.
func (p *polls) ask(i int) error {
	c := &p.clients[i]
	c.answered, c.posted = false, false
	post := c.post
	if c.beats {
		post, c.beats = c.beaten, false
		p.beats++
	}
	p.conns[2*i].since = p.now()
	return errors.Join(p.send(2*i, c.get), p.send(2*i+1, post))
}

func (p *polls) step() error {
	events, err := p.poller.Wait(100)
	if err != nil {
		return err
	}
	for _, e := range events {
		if err := p.turn(e); err != nil {
			return fmt.Errorf("client %d: %w", e.Fd/2, err)
		}
	}
	return nil
}

// turn takes what has come over a connection, and begins the next round if that ends the present one.
func (p *polls) turn(e syscall.EpollEvent) error {
	i, side := int(e.Fd)/2, int(e.Fd)%2
	n, errno := epoll.Read(p.conns[e.Fd].fd, p.buf)
	switch {
	case errno == syscall.EAGAIN:
		return nil
	case errno != 0:
		return fmt.Errorf("read: %w", errno)
	case n == 0:
		return errors.New("closed by the server")
	}
	p.bytesIn += int64(n)
	c := &p.clients[i]
	c.in[side] = append(c.in[side], p.buf[:n]...)
	head := headEnd(c.in[side])
	if head == 0 {
		return nil
	}
	size, err := bodySize(c.in[side][:head])
	if err != nil || len(c.in[side]) < head+size {
		return err
	}
	if len(c.in[side]) > head+size {
		return fmt.Errorf("more than a response: %q", c.in[side])
	}
	body := c.in[side][head:]
	c.in[side] = c.in[side][:0]
	if side == 1 {
		if c.posted || string(body) != "ok" {
			return fmt.Errorf("a POST was answered %q", body)
		}
		c.posted = true
	} else if err := p.payloadCame(i, body); err != nil {
		return err
	}
	if !c.answered || !c.posted {
		return nil
	}
	p.messages++
	p.latency.add(p.now()-p.conns[2*i].since, 1)
	return p.ask(i)
}

// payloadCame takes the answer to a GET, and polls again if there was only a heartbeat.
func (p *polls) payloadCame(i int, body []byte) error {
	c := &p.clients[i]
	for packet := range bytes.SplitSeq(body, []byte{separator}) {
		switch {
		case len(packet) == 1 && packet[0] == enginePing:
			c.beats = true
		case bytes.Equal(packet, c.want) && !c.answered:
			c.answered = true
		default:
			return fmt.Errorf("a GET was answered %q instead of %q", body, c.want)
		}
	}
	if c.answered {
		return nil
	}
	return p.send(2*i, c.get)
}
