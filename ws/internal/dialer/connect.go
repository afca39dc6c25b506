package dialer

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
)

// connect asks the proxy at the other end of conn for a tunnel to addr (RFC 9110 9.3.6). It owns conn: an error closes it.
func (p *proxy) connect(ctx context.Context, conn net.Conn, addr string, header http.Header, limit int64) (net.Conn, error) {
	if limit <= 0 {
		limit = DefaultMaxHeaderBytes
	}
	header = header.Clone()
	if header == nil {
		header = http.Header{}
	}
	if p.user != nil && header.Get("Proxy-Authorization") == "" {
		password, _ := p.user.Password()
		credentials := base64.StdEncoding.EncodeToString([]byte(p.user.Username() + ":" + password))
		header.Set("Proxy-Authorization", "Basic "+credentials)
	}
	request := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: addr}, Host: addr, Header: header}

	var early []byte
	err := interruptible(ctx, conn, func() (err error) {
		if err = request.Write(conn); err == nil {
			early, err = readAnswer(conn, limit)
		}
		return err
	})
	if err != nil {
		return nil, &Error{Phase: PhaseTunnel, Addr: p.String() + " to " + addr, Err: err}
	}
	if len(early) > 0 {
		return &earlyConn{Conn: conn, early: early}, nil
	}
	return conn, nil
}

// readAnswer reads the proxy's answer and returns what came behind it. It is not http.ReadResponse, which fails on a
// Content-Length or Transfer-Encoding that a client "MUST ignore" here (RFC 9110 9.3.6).
func readAnswer(conn io.Reader, limit int64) (early []byte, err error) {
	limited := &io.LimitedReader{R: conn, N: limit}
	buffered := bufio.NewReader(limited)
	reader := textproto.NewReader(buffered)
	for {
		status, header, err := readHead(reader)
		if err != nil {
			return nil, answerError(err, limited.N == 0, limit)
		}
		switch {
		case status < 200 && status != http.StatusSwitchingProtocols:
			// RFC 9110 15.2: "A client MUST be able to parse one or more 1xx responses received prior to a final response".
		case 200 <= status && status < 300:
			early, err = buffered.Peek(buffered.Buffered())
			return bytes.Clone(early), err
		default:
			return nil, &ProxyError{StatusCode: status, Header: header}
		}
	}
}

func readHead(r *textproto.Reader) (status int, header http.Header, err error) {
	line, err := r.ReadLine()
	if err != nil {
		return 0, nil, err
	}
	version, rest, _ := strings.Cut(line, " ")
	code, _, _ := strings.Cut(rest, " ")
	status, err = strconv.Atoi(code)
	if _, _, ok := http.ParseHTTPVersion(version); !ok || err != nil || len(code) != 3 || status < 100 {
		return 0, nil, ErrProxyAnswer
	}
	h, err := r.ReadMIMEHeader()
	return status, http.Header(h), err
}

// answerError replaces errors that quote what the peer sent.
func answerError(err error, exhausted bool, limit int64) error {
	var malformed textproto.ProtocolError
	switch {
	case exhausted:
		return fmt.Errorf("%w: over %d bytes", ErrProxyHeaderTooLarge, limit)
	case errors.As(err, &malformed):
		return ErrProxyAnswer
	case err == io.EOF:
		return io.ErrUnexpectedEOF
	}
	return err
}

// earlyConn reads the bytes that came together with the proxy's answer before those of the connection. Like the
// connection of any protocol, it has one reader at a time. It is no syscall.Conn on purpose: a descriptor that is not readable
// says nothing about early bytes.
type earlyConn struct {
	net.Conn
	early []byte
}

func (c *earlyConn) Read(p []byte) (int, error) {
	if len(c.early) == 0 {
		return c.Conn.Read(p)
	}
	n := copy(p, c.early)
	c.early = c.early[n:]
	return n, nil
}
