package doctor

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/net/proxy"

	"baro.dev/ws"
)

// connect makes a plain connection to the server: directly, to the Unix socket, or through the proxy.
func (e *examination) connect(ctx context.Context) (net.Conn, error) {
	if e.via == nil {
		return e.t.DialContext(ctx, "tcp", e.hostPort())
	}
	if e.via.Scheme == "http" || e.via.Scheme == "https" {
		return e.tunnel(ctx)
	}
	var auth *proxy.Auth
	if e.via.User != nil {
		password, _ := e.via.User.Password()
		auth = &proxy.Auth{User: e.via.User.Username(), Password: password}
	}
	socks, err := proxy.SOCKS5("tcp", hostPort(e.via), auth, dialFunc(e.t.DialContext))
	if err != nil {
		return nil, err
	}
	return socks.(proxy.ContextDialer).DialContext(ctx, "tcp", e.hostPort())
}

// dialFunc is the proxy.Dialer that package proxy asks for.
type dialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

func (f dialFunc) Dial(network, addr string) (net.Conn, error) {
	return f(context.Background(), network, addr)
}

func (f dialFunc) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	return f(ctx, network, addr)
}

// tunnel asks the proxy for a tunnel to the server (RFC 9110 9.3.6).
func (e *examination) tunnel(ctx context.Context) (net.Conn, error) {
	conn, err := e.t.DialContext(ctx, "tcp", hostPort(e.via))
	if err != nil {
		return nil, err
	}
	defer interruptible(ctx, conn)()
	if e.via.Scheme == "https" {
		conn = tls.Client(conn, &tls.Config{ServerName: e.via.Hostname(), RootCAs: e.t.TLS.RootCAs})
	}
	r := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: e.hostPort()}, Host: e.hostPort(), Header: http.Header{}}
	if e.via.User != nil {
		password, _ := e.via.User.Password()
		r.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(e.via.User.Username()+":"+password)))
	}
	if err := r.Write(conn); err != nil {
		conn.Close()
		return nil, fmt.Errorf("the proxy: %w", cause(ctx, err))
	}
	head, err := readHead(conn)
	if err == nil {
		var response *http.Response
		response, err = http.ReadResponse(bufio.NewReader(bytes.NewReader(head)), r)
		if err == nil {
			response.Body.Close()
			if response.StatusCode != http.StatusOK {
				err = &ws.ProxyError{StatusCode: response.StatusCode, Header: response.Header}
			}
		}
	}
	if _, refused := errors.AsType[*ws.ProxyError](err); err != nil && !refused {
		err = fmt.Errorf("the proxy: %w", cause(ctx, err))
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// secured is a connection to the server on which TLS has been agreed, if the URL is of https, without h2 for what the application speaks.
func (e *examination) secured(ctx context.Context) (net.Conn, error) {
	conn, err := e.connect(ctx)
	if err != nil || !e.secure() {
		return conn, err
	}
	config := e.t.TLS.Clone()
	if config.ServerName == "" {
		config.ServerName = e.url.Hostname()
	}
	config.NextProtos = []string{"http/1.1"}
	over := tls.Client(conn, config)
	if err := over.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return over, nil
}

// interruptible has what is done with conn end when ctx does, until the function is called that it returns.
func interruptible(ctx context.Context, conn net.Conn) (leave func()) {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	return func() { stop() }
}

const (
	maxHead  = 64 << 10 // bytes of the head of an answer
	maxLines = 200      // of it
)

var errHeadTooLong = errors.New("the head of the answer does not end within 64 KiB and 200 lines")

// readHead reads the head of an answer, and nothing after it. What came before an error is returned with it.
func readHead(r io.Reader) ([]byte, error) {
	var head []byte
	lines := 0
	one := make([]byte, 1)
	for {
		if _, err := io.ReadFull(r, one); err != nil {
			return head, err
		}
		head = append(head, one[0])
		if one[0] == '\n' {
			lines++
			if bytes.HasSuffix(head, []byte("\n\r\n")) || bytes.HasSuffix(head, []byte("\n\n")) {
				return head, nil
			}
		}
		if len(head) >= maxHead || lines >= maxLines {
			return head, errHeadTooLong
		}
	}
}
