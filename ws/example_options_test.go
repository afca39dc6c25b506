package ws_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"time"

	"golang.org/x/net/http2"

	"baro.dev/ws"
	"baro.dev/ws/wsh2"
)

// What a peer can make this side spend is bounded by default; this narrows it.
func ExampleLimits() {
	server := httptest.NewServer(&ws.Server{
		Options: ws.AcceptOptions{
			Limits: ws.Limits{
				MaxMessageSize: 4 << 10,
				IdleTimeout:    10 * time.Minute,
			},
			Keepalive: ws.Keepalive{Interval: time.Minute, Timeout: 20 * time.Second},
		},
	})
	defer server.Close()
	ctx := context.Background()
	c, _, err := ws.Dial(ctx, server.URL, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.CloseNow()
	c.Write(ctx, ws.Binary, make([]byte, 4<<10+1))
	_, err = c.Read(ctx)
	fmt.Println(ws.CloseStatus(err))
	// Output: 1009 (message too big)
}

// Both sides have to want it. With ContextTakeover each connection keeps a few KiB, and short messages that resemble
// each other shrink to a few bytes.
func ExampleCompression() {
	compression := ws.Compression{Enabled: true, ContextTakeover: true}
	server := httptest.NewServer(&ws.Server{
		Options:   ws.AcceptOptions{Compression: compression},
		OnMessage: func(c *ws.Socket, m ws.Message) { c.Send(m.Type, m.Data) },
	})
	defer server.Close()
	c, _, err := ws.Dial(context.Background(), server.URL, &ws.DialOptions{Compression: compression})
	if err != nil {
		log.Fatal(err)
	}
	defer c.CloseNow()
	fmt.Println(c.Compressed())
	// Output: true
}

// The server chooses the first of its own that the client speaks.
func ExampleAcceptOptions_subprotocols() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := ws.Accept(w, r, &ws.AcceptOptions{Subprotocols: []string{"chat.v2", "chat.v1"}})
		if err != nil {
			return
		}
		defer c.CloseNow()
		if c.Subprotocol() == "" {
			c.Close(r.Context(), ws.StatusPolicyViolation, "speak chat.v1 or chat.v2")
			return
		}
		c.Close(r.Context(), ws.StatusNormalClosure, "")
	}))
	defer server.Close()
	c, _, err := ws.Dial(context.Background(), server.URL, &ws.DialOptions{Subprotocols: []string{"chat.v1"}})
	if err != nil {
		log.Fatal(err)
	}
	defer c.CloseNow()
	fmt.Println(c.Subprotocol())
	// Output: chat.v1
}

// Pages of other origins are refused unless they are named.
func ExampleAcceptOptions_origins() {
	server := httptest.NewServer(&ws.Server{
		Options: ws.AcceptOptions{AllowedOrigins: []string{"https://example.com"}},
	})
	defer server.Close()
	for _, origin := range []string{"https://example.com", "https://example.com.evil.example", ""} {
		header := http.Header{}
		if origin != "" {
			header.Set("Origin", origin) // as a browser would
		}
		c, _, err := ws.Dial(context.Background(), server.URL, &ws.DialOptions{Header: header})
		if refused, ok := errors.AsType[*ws.HandshakeError](err); ok {
			fmt.Printf("%q: %d\n", origin, refused.Status)
			continue
		}
		fmt.Printf("%q: %v\n", origin, err)
		c.CloseNow()
	}
	// Output:
	// "https://example.com": <nil>
	// "https://example.com.evil.example": 403
	// "": <nil>
}

// A client that trusts the roots it is given.
func ExampleDialOptions_tls() {
	server := httptest.NewTLSServer(http.HandlerFunc(echo))
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate()) // or AppendCertsFromPEM

	c, _, err := ws.Dial(context.Background(), server.URL, &ws.DialOptions{
		TLS: &tls.Config{RootCAs: roots},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer c.CloseNow()
	fmt.Println(c.UnderlyingConn().(*tls.Conn).ConnectionState().Version == tls.VersionTLS13)
	// Output: true
}

// A token for the server, and no proxy, whatever the environment says.
func ExampleDialOptions() {
	server := httptest.NewServer(&ws.Server{
		OnOpen: func(c *ws.Socket, r *http.Request) {
			c.Send(ws.Text, []byte(r.Header.Get("Authorization")))
		},
	})
	defer server.Close()
	ctx := context.Background()
	c, _, err := ws.Dial(ctx, server.URL, &ws.DialOptions{
		Header: http.Header{"Authorization": {"Bearer 12345"}},
		Proxy:  func(*url.URL) (*url.URL, error) { return nil, nil },
	})
	if err != nil {
		log.Fatal(err)
	}
	defer c.CloseNow()
	fmt.Println(c.Read(ctx))
	// Output: Bearer 12345 <nil>
}

// Many WebSockets over one HTTP/2 connection. A Go server offers this if its process was started with
// GODEBUG=http2xconnect=1 in the environment.
func ExampleDialOptions_streams() {
	server := httptest.NewUnstartedServer(http.HandlerFunc(echo))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())

	ctx := context.Background()
	streams := &wsh2.Streams{Transport: &http2.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	for range 2 {
		c, resp, err := ws.Dial(ctx, server.URL, &ws.DialOptions{Streams: streams})
		if err != nil {
			log.Fatal(err)
		}
		defer c.CloseNow()
		c.Write(ctx, ws.Text, []byte("over "+resp.Proto))
		fmt.Println(c.Read(ctx))
	}
	// Output:
	// over HTTP/2.0 <nil>
	// over HTTP/2.0 <nil>
}
