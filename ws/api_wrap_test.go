package ws_test

import (
	"bytes"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"baro.dev/ws"
)

// watched is a connection whose writes are kept.
type watched struct {
	net.Conn
	mu     sync.Mutex
	writes [][]byte
}

func (s *watched) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes = append(s.writes, bytes.Clone(p))
	return s.Conn.Write(p)
}

// What DialOptions.Wrap returns is used, above TLS; Cork has messages leave together.
func TestWrap(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := ws.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		for m, err := range c.Messages(r.Context()) {
			if err != nil {
				return
			}
			c.Write(r.Context(), m.Type, m.Data)
		}
	}))
	defer server.Close()
	var s *watched
	c, _, err := ws.Dial(t.Context(), server.URL, &ws.DialOptions{
		TLS:  &tls.Config{InsecureSkipVerify: true},
		Wrap: func(nc net.Conn) net.Conn { s = &watched{Conn: nc}; return s },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	if c.UnderlyingConn() != net.Conn(s) {
		t.Errorf("the connection is a %T", c.UnderlyingConn())
	}
	c.Cork()
	for range 100 {
		if err := c.Write(t.Context(), ws.Text, []byte("hello")); err != nil {
			t.Fatal(err)
		}
	}
	c.Uncork()
	for range 100 {
		if m, err := c.Read(t.Context()); err != nil || m.String() != "hello" {
			t.Fatal(m, err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !bytes.HasPrefix(s.writes[0], []byte("GET / HTTP/1.1\r\n")) {
		t.Errorf("the first write is %.40q", s.writes[0])
	}
	var all []byte
	for _, p := range s.writes[1:] {
		all = append(all, p...)
	}
	if len(all) != 100*11 || all[0] != 0x81 || all[1] != 0x85 {
		t.Errorf("%d bytes were written, %x...", len(all), all[:min(len(all), 11)])
	}
}
