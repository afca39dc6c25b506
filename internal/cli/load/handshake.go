package load

import (
	"bufio"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// A door is a connection that is being opened: it blocks.
type door struct {
	net.Conn
	most   *io.LimitedReader // what may be read
	in     *bufio.Reader
	target *Target
}

func newDoor(nc net.Conn, t *Target) *door {
	most := &io.LimitedReader{R: nc}
	return &door{nc, most, bufio.NewReaderSize(most, 4<<10), t}
}

// rest is what has been read and not used.
func (d *door) rest() []byte {
	b, _ := d.in.Peek(d.in.Buffered())
	return b
}

// maxRefusal is how much of the answer of a server that refuses is kept.
const maxRefusal = 512

// requestHead is the head of a request for the path and query of u, with the end of it still to come.
func (t *Target) requestHead(method string, u *url.URL) []byte {
	b := fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, u.RequestURI(), u.Host)
	for name, values := range t.Header {
		if name == "Host" {
			continue
		}
		for _, v := range values {
			b = fmt.Appendf(b, "%s: %s\r\n", name, strings.NewReplacer("\r", " ", "\n", " ").Replace(v))
		}
	}
	return b
}

// webSocket opens a WebSocket (RFC 6455 4.1).
func (d *door) webSocket(u *url.URL) error {
	var nonce [16]byte
	_, _ = rand.Read(nonce[:])
	key := base64.StdEncoding.EncodeToString(nonce[:])
	head := d.target.requestHead("GET", u)
	head = append(head, "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "+key+"\r\n\r\n"...)
	if _, err := d.Write(head); err != nil {
		return err
	}
	answer, err := d.answer()
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusSwitchingProtocols {
		return refusal(answer)
	}
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	if answer.Header.Get("Sec-WebSocket-Accept") != base64.StdEncoding.EncodeToString(sum[:]) {
		return errHandshake
	}
	return nil
}

// errHandshake is an answer that another server, or a cache, has given.
var errHandshake = errors.New("a handshake without the right Sec-WebSocket-Accept")

// maxHead bounds the head of an answer.
const maxHead = 64 << 10

// answer reads the head of an answer.
func (d *door) answer() (*http.Response, error) {
	d.most.N = maxHead
	answer, err := http.ReadResponse(d.in, nil)
	if err != nil && d.most.N <= 0 {
		err = errors.New("an answer whose head is too long")
	}
	return answer, err
}

// refusal is the error for an answer that says no.
func refusal(answer *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(answer.Body, maxRefusal))
	return &StatusError{answer.StatusCode, string(body)}
}

// message reads a message from a WebSocket, and answers pings meanwhile. It reads a frame at a time.
func (d *door) message(f *frames, most int) ([]byte, error) {
	var control, message []byte
	d.most.N = int64(most) + maxHead
	for {
		if _, err := d.in.Peek(1); err != nil {
			return nil, err
		}
		b, _ := d.in.Peek(d.in.Buffered())
		piece, rest, ok, err := f.next(b)
		if err != nil {
			return nil, err
		}
		into := &message
		if ok && f.opcode >= opClose {
			into = &control
		}
		if ok {
			if *into = append(*into, piece...); len(*into) > most {
				return nil, fmt.Errorf("a message of more than %d bytes while a connection is opened", most)
			}
		}
		_, _ = d.in.Discard(len(b) - len(rest))
		if !ok || !f.ends {
			continue
		}
		switch f.opcode {
		case opText, opBinary:
			return message, nil
		case opClose:
			e := &CloseError{Code: 1005}
			if len(control) >= 2 {
				e.Code, e.Reason = int(control[0])<<8|int(control[1]), string(control[2:])
			}
			return nil, e
		case opPing:
			if _, err := d.Write(appendFrame(nil, opPong, control)); err != nil {
				return nil, err
			}
		}
		control = control[:0]
	}
}

// say writes a text message.
func (d *door) say(text string) error {
	_, err := d.Write(appendFrame(nil, opText, []byte(text)))
	return err
}
