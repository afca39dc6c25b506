package carry

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net"
	"net/http"
	"net/url"
	"time"
)

const (
	// writeTimeout is how long a client may take nothing of what is carried to it.
	writeTimeout = time.Minute
	// upstreamBuffer is for what a client sends: the one that an idle WebSocket has.
	upstreamBuffer = 2 << 10
)

// errDraining is for the log.
var errDraining = errors.New("carry: this node stops")

// tunnel carries the opening of a WebSocket, of whatever version of HTTP, and then the WebSocket.
func (c *Carrier) tunnel(w http.ResponseWriter, r *http.Request, node string) {
	ctx, cancel := context.WithTimeout(r.Context(), c.o.DialTimeout)
	defer cancel()
	nc, err := c.node.Dial(ctx, node)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	defer nc.Close()
	o := &opened{end: func() { _ = nc.Close() }}
	if !c.open.enter(o) {
		c.fail(w, r, errDraining)
		return
	}
	defer c.open.leave(o)
	stop := context.AfterFunc(r.Context(), o.end)
	defer stop()
	_ = nc.SetDeadline(time.Now().Add(c.o.DialTimeout))
	head := &io.LimitedReader{R: nc, N: maxHead}
	from := bufio.NewReaderSize(head, 1<<10)
	resp, err := open(nc, from, r)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	_ = nc.SetDeadline(time.Time{})
	head.N = math.MaxInt64
	if resp.StatusCode != http.StatusSwitchingProtocols {
		c.refused(w, r, resp)
		return
	}
	first, _ := from.Peek(from.Buffered()) // sent along with the answer
	client, err := accept(w, r, resp, first)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	defer client.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(client, nc)
		_ = client.Close()
	}()
	_, _ = io.CopyBuffer(struct{ io.Writer }{nc}, struct{ io.Reader }{client}, make([]byte, upstreamBuffer))
	_ = nc.Close()
	<-done
}

// open asks a node to open a WebSocket as r asks.
func open(nc net.Conn, from *bufio.Reader, r *http.Request) (*http.Response, error) {
	h := r.Header.Clone()
	for _, field := range []string{":protocol", "Connection", "Upgrade", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Content-Length"} {
		delete(h, field)
	}
	h.Set("Connection", "Upgrade")
	h.Set("Upgrade", "websocket")
	if r.Method == http.MethodConnect { // RFC 8441 5: it has no key
		h.Set("Sec-Websocket-Key", key())
	}
	if h["User-Agent"] == nil {
		h["User-Agent"] = []string{""} // none
	}
	introduce(h, r)
	out := &http.Request{
		Method: http.MethodGet, URL: &url.URL{Scheme: "http", Host: r.Host, Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery},
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Host: r.Host, Header: h,
	}
	if err := out.Write(nc); err != nil {
		return nil, err
	}
	return http.ReadResponse(from, out)
}

// key is a Sec-WebSocket-Key (RFC 6455 4.1).
func key() string {
	var nonce [16]byte
	_, _ = rand.Read(nonce[:]) // never fails
	return base64.StdEncoding.EncodeToString(nonce[:])
}

// refused passes on what the node says of an opening that it does not accept.
func (c *Carrier) refused(w http.ResponseWriter, r *http.Request, resp *http.Response) {
	defer resp.Body.Close()
	for _, field := range []string{"Connection", "Upgrade", "Keep-Alive", "Transfer-Encoding", "Trailer"} {
		resp.Header.Del(field)
	}
	maps.Copy(w.Header(), resp.Header)
	endAfter(w.Header(), r)
	w.WriteHeader(resp.StatusCode)
	_, _ = io.CopyN(w, resp.Body, maxHead)
}

// accept tells the client that its WebSocket is open, and returns its connection.
func accept(w http.ResponseWriter, r *http.Request, resp *http.Response, first []byte) (io.ReadWriteCloser, error) {
	if r.Method == http.MethodConnect {
		return acceptStream(w, r, resp, first)
	}
	control := http.NewResponseController(w)
	maps.Copy(w.Header(), resp.Header)
	nc, buffered, err := control.Hijack()
	if err != nil {
		clear(w.Header())
		return nil, fmt.Errorf("carry: %w", err)
	}
	_ = nc.SetDeadline(time.Now().Add(writeTimeout))
	resp.Header, resp.Body = w.Header(), nil
	err = resp.Write(buffered)
	if err == nil {
		_, err = buffered.Write(first)
	}
	if err == nil {
		err = buffered.Flush()
	}
	_ = nc.SetDeadline(time.Time{})
	s := &socket{Conn: nc}
	if n := buffered.Reader.Buffered(); n > 0 {
		early, _ := buffered.Reader.Peek(n)
		s.early = append(s.early, early...)
	}
	if err != nil {
		_ = nc.Close()
		s.failed = true
	}
	return s, nil // a client that is gone is not answered any more
}

// socket is the connection of a client over HTTP/1.1.
type socket struct {
	net.Conn
	early  []byte // came with the request
	failed bool
}

func (s *socket) Read(p []byte) (int, error) {
	if len(s.early) > 0 {
		n := copy(p, s.early)
		s.early = s.early[n:]
		return n, nil
	}
	s.early = nil
	return s.Conn.Read(p)
}

func (s *socket) Write(p []byte) (int, error) {
	if s.failed {
		return 0, net.ErrClosed
	}
	_ = s.SetWriteDeadline(time.Now().Add(writeTimeout))
	return s.Conn.Write(p)
}

// acceptStream does so for extended CONNECT (RFC 8441, RFC 9220): there is no connection to take over.
func acceptStream(w http.ResponseWriter, r *http.Request, resp *http.Response, first []byte) (io.ReadWriteCloser, error) {
	for _, field := range []string{"Connection", "Upgrade", "Sec-Websocket-Accept"} {
		resp.Header.Del(field)
	}
	maps.Copy(w.Header(), resp.Header)
	s := &stream{ReadCloser: r.Body, w: w, control: http.NewResponseController(w)}
	_ = s.control.SetReadDeadline(time.Time{})
	w.WriteHeader(http.StatusOK)
	_, _ = s.Write(first) // likewise
	return s, nil
}

// stream is the stream of a client over HTTP/2 or HTTP/3.
type stream struct {
	io.ReadCloser
	w       http.ResponseWriter
	control *http.ResponseController
}

func (s *stream) Write(p []byte) (int, error) {
	if err := s.control.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	// Over HTTP/2 it ends the stream even when nobody writes.
	defer func() { _ = s.control.SetWriteDeadline(time.Time{}) }()
	n, err := s.w.Write(p)
	if err == nil {
		err = s.control.Flush()
	}
	return n, err
}

// Close has Read return. What was written is on its way; the stream ends with the request.
func (s *stream) Close() error {
	_ = s.control.SetReadDeadline(time.Unix(1, 0))
	return s.ReadCloser.Close()
}
