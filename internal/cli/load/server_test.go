package load

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"baro.dev/internal/mask"
)

// peer is a server's end of a connection.
type peer struct {
	net.Conn
	in *bufio.Reader
	mu sync.Mutex
}

// pipes has connections be pipes, so that time can be that of testing/synctest. serve is called for each, and what it leaves open is closed.
func pipes(t *testing.T, raw string, serve func(*peer)) Target {
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return Target{URL: u, Header: http.Header{}, Dial: func(context.Context, *url.URL) (net.Conn, error) {
		near, far := net.Pipe()
		go func() {
			defer far.Close()
			serve(&peer{Conn: far, in: bufio.NewReader(far)})
		}()
		return near, nil
	}}
}

// upgrade answers an opening handshake.
func (p *peer) upgrade(r *http.Request) {
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	fmt.Fprintf(p, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		base64.StdEncoding.EncodeToString(sum[:]))
}

// receive reads a message that a client has sent in one frame. A close frame is answered, and is the end.
func (p *peer) receive() ([]byte, error) {
	var head [2]byte
	if _, err := io.ReadFull(p.in, head[:]); err != nil {
		return nil, err
	}
	n := uint64(head[1] & 0x7f)
	var b [8]byte
	switch n {
	case 126:
		_, _ = io.ReadFull(p.in, b[:2])
		n = uint64(binary.BigEndian.Uint16(b[:]))
	case 127:
		_, _ = io.ReadFull(p.in, b[:])
		n = binary.BigEndian.Uint64(b[:])
	}
	if head[0]&0x80 == 0 || head[1]&0x80 == 0 || n > 8<<20 {
		return nil, fmt.Errorf("not a whole, masked frame: % x", head)
	}
	_, _ = io.ReadFull(p.in, b[:4])
	payload := make([]byte, n)
	if _, err := io.ReadFull(p.in, payload); err != nil {
		return nil, err
	}
	mask.XOR(payload, binary.LittleEndian.Uint32(b[:]))
	if head[0]&0xf == opClose {
		p.send(opClose, payload)
		return nil, io.EOF
	}
	return payload, nil
}

// serverFrame is a frame as servers send it.
func serverFrame(first byte, payload []byte) []byte {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 127), uint64(n))
	}
	return append(b, payload...)
}

func (p *peer) send(opcode byte, payload []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = p.Write(serverFrame(0x80|opcode, payload))
}

// request reads a request with its body.
func (p *peer) request() (*http.Request, []byte, error) {
	r, err := http.ReadRequest(p.in)
	if err != nil {
		return nil, nil, err
	}
	body, err := io.ReadAll(r.Body)
	return r, body, err
}

func (p *peer) answer(status int, body string) {
	fmt.Fprintf(p, "HTTP/1.1 %d %s\r\nContent-Length: %d\r\n\r\n%s", status, http.StatusText(status), len(body), body)
}

// echoing is a server that sends back what it gets, but for what answer makes of the message of a number, which counts from 0 for each
// connection. It ends if answer returns an error.
func echoing(t *testing.T, answer func(p *peer, n int, message []byte) error) Target {
	return pipes(t, "ws://pipe/", func(p *peer) {
		r, _, err := p.request()
		if err != nil {
			return
		}
		p.upgrade(r)
		for n := 0; ; n++ {
			message, err := p.receive()
			if err != nil {
				return
			}
			if err := answer(p, n, message); err != nil {
				return
			}
		}
	})
}

// channels is a server for one channel: what is posted comes to all who listen, in the way that they came.
type channels struct {
	mu        sync.Mutex
	listeners []func(message string)
	posted    int
	routes    map[string]*channels // for other paths
	// post, if it is not nil, is what is made of a message: what comes to listener l, and the status.
	post func(n int, message string) (status int, to func(l int) []string)
}

func (c *channels) serve(p *peer) {
	for {
		r, body, err := p.request()
		if err != nil {
			return
		}
		c := c
		if other, ok := c.routes[r.URL.Path]; ok {
			c = other
		}
		switch {
		case r.Method == http.MethodPost:
			p.answer(c.publish(string(body)), `{"offset":1}`)
		case r.Header.Get("Upgrade") != "":
			p.upgrade(r)
			c.listen(func(m string) { p.send(opText, []byte(m)) })
			for err == nil {
				_, err = p.receive()
			}
			return
		case strings.Contains(r.Header.Get("Accept"), "event-stream"):
			fmt.Fprint(p, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
			c.listen(func(m string) {
				event := "data: " + m + "\n\n"
				for _, part := range []string{event[:20], event[20:]} { // a stamp is in two chunks
					fmt.Fprintf(p, "%x\r\n%s\r\n", len(part), part)
				}
			})
			_, _ = p.in.Peek(1)
			return
		default:
			p.answer(http.StatusNotFound, "")
		}
	}
}

func (c *channels) listen(f func(string)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.listeners = append(c.listeners, f)
}

func (c *channels) publish(m string) (status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	status, to := 200, func(int) []string { return []string{m} }
	if c.post != nil {
		status, to = c.post(c.posted, m)
	}
	c.posted++
	for i, f := range c.listeners {
		for _, m := range to(i) {
			f(m)
		}
	}
	return status
}

var errHangUp = errors.New("the server hangs up")

const standstill = time.Second
