//go:build linux

package load

import (
	"bytes"
	"cmp"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"syscall"

	"baro.dev/bench/internal/epoll"
)

const handshakeKey = "dGhlIHNhbXBsZSBub25jZQ=="

// connect opens a blocking socket to the target. The source address varies, since one has 28,000 ports only.
func (t Target) connect(i int) (int, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	const bindAddressNoPort = 24 // ip(7)
	timeout := syscall.NsecToTimeval(int64(setupTimeout))
	source := &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 1, byte(1 + i%200)}}
	for _, f := range []func() error{
		func() error { return syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1) },
		func() error { return syscall.SetsockoptInt(fd, syscall.IPPROTO_IP, bindAddressNoPort, 1) },
		func() error { return syscall.Bind(fd, source) },
		func() error {
			return syscall.Connect(fd, &syscall.SockaddrInet4{Addr: t.Addr.Addr().As4(), Port: int(t.Addr.Port())})
		},
		// After connecting, since signals interrupt system calls that have a limit.
		func() error { return syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &timeout) },
		func() error { return syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_SNDTIMEO, &timeout) },
	} {
		if err := f(); err != nil {
			epoll.Close(fd)
			return -1, fmt.Errorf("connect to %v: %w", t.Addr, err)
		}
	}
	return fd, nil
}

// request is an opening handshake (RFC 6455 4.1). extensions may be empty.
func (t Target) request(extensions string) []byte {
	if extensions != "" {
		extensions = "Sec-WebSocket-Extensions: " + extensions + "\r\n"
	}
	if t.protocol != "" {
		extensions += "Sec-WebSocket-Protocol: " + t.protocol + "\r\n"
	}
	return fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %v\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n%s\r\n", cmp.Or(t.path, "/"), t.Addr, handshakeKey, extensions)
}

// checkResponse returns the extensions agreed to.
func checkResponse(response []byte) (extensions string, err error) {
	sum := sha1.Sum([]byte(handshakeKey + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	accept, accepted := base64.StdEncoding.EncodeToString(sum[:]), false
	for i, line := range strings.Split(string(response), "\r\n") {
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch {
		case i == 0 && !strings.HasPrefix(line, "HTTP/1.1 101 "):
			return "", fmt.Errorf("handshake refused: %s", line)
		case strings.EqualFold(name, "Sec-WebSocket-Accept"):
			accepted = value == accept
		case strings.EqualFold(name, "Sec-WebSocket-Extensions"):
			extensions = value
		}
	}
	if !accepted {
		return "", fmt.Errorf("handshake without the right Sec-WebSocket-Accept: %q", response)
	}
	return extensions, nil
}

// open opens n connections, a wave at a time. After the handshakes of a wave, check is called with the bounds of it; the
// sockets still block then.
func (g *generator) open(n int, extensions string, check func(first, end int) error) error {
	request := g.target.request(extensions)
	for len(g.conns) < n {
		first, end := len(g.conns), min(n, len(g.conns)+wave)
		for i := first; i < end; i++ {
			to := g.target
			if i == 0 && g.firstPublishes {
				to = to.publisher()
			}
			fd, err := to.connect(i)
			if err != nil {
				return err
			}
			g.conns = append(g.conns, conn{fd: fd})
			if g.target.Raw {
				continue
			}
			if err := writeAll(fd, request); err != nil {
				return err
			}
		}
		for i := first; i < end && !g.target.Raw; i++ {
			response, err := readHead(g.conns[i].fd)
			if err == nil {
				g.extensions, err = checkResponse(response)
			}
			if err != nil {
				return fmt.Errorf("connection %d: %w", i, err)
			}
		}
		if err := check(first, end); err != nil {
			return err
		}
	}
	return nil
}

// writeAll writes to a blocking socket.
func writeAll(fd int, b []byte) error {
	for len(b) > 0 {
		n, err := syscall.Write(fd, b)
		if err != nil && err != syscall.EINTR {
			return fmt.Errorf("write: %w", err)
		}
		b = b[max(n, 0):]
	}
	return nil
}

// readHead reads a response up to its empty line from a blocking socket, and leaves what follows there.
func readHead(fd int) ([]byte, error) {
	var head []byte
	for {
		var b [2048]byte
		n, _, err := syscall.Recvfrom(fd, b[:], syscall.MSG_PEEK)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("handshake: %w", err)
		}
		if n == 0 || len(head) > 8<<10 {
			return nil, fmt.Errorf("handshake: the response ends or is too long: %q", head)
		}
		have := len(head)
		head = append(head, b[:n]...)
		if end := headEnd(head); end > 0 {
			return head[:end], readFull(fd, b[:end-have])
		}
		if err := readFull(fd, b[:n]); err != nil {
			return nil, err
		}
	}
}

// headEnd is the length of the head of a response, with its empty line; 0: it has not come whole.
func headEnd(b []byte) int {
	if i := bytes.Index(b, []byte("\r\n\r\n")); i >= 0 {
		return i + 4
	}
	return 0
}

// receive reads a message from a blocking socket: its first byte (RFC 6455 5.2) and its payload.
func receive(fd int) (first byte, payload []byte, err error) {
	for {
		head := make([]byte, 2, 10)
		if err := readFull(fd, head); err != nil {
			return 0, nil, err
		}
		size := int(head[1])
		switch size {
		case 126:
			head = head[:4]
			err = readFull(fd, head[2:])
			size = int(binary.BigEndian.Uint16(head[2:]))
		case 127:
			head = head[:10]
			err = readFull(fd, head[2:])
			size = int(binary.BigEndian.Uint64(head[2:]))
		}
		if err != nil {
			return 0, nil, err
		}
		if opcode := head[0] & 0xf; opcode >= opClose || size < 0 || size > 1<<20 || head[1] > 127 {
			return 0, nil, fmt.Errorf("not the header of a data frame: % x", head)
		}
		if len(payload) == 0 {
			first = head[0]
		}
		part := make([]byte, size)
		if err := readFull(fd, part); err != nil {
			return 0, nil, err
		}
		if payload = append(payload, part...); head[0]&0x80 != 0 {
			return first | 0x80, payload, nil
		}
	}
}

func readFull(fd int, b []byte) error {
	for len(b) > 0 {
		n, err := read(fd, b)
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		if n == 0 {
			return errors.New("closed by the server")
		}
		b = b[n:]
	}
	return nil
}

// read is read(2), again if a signal comes.
func read(fd int, b []byte) (n int, err error) {
	for {
		if n, err = syscall.Read(fd, b); err != syscall.EINTR {
			return n, err
		}
	}
}
