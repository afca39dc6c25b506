package wsh3_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/quic-go/quic-go/http3"

	"baro.dev/ws"
	"baro.dev/ws/wsh3"
)

// A WebSocket over HTTP/3 or, where the server or the network between has none, over HTTP/1.1.
func ExampleStreams() {
	server := httptest.NewTLSServer(&ws.Server{ // one without HTTP/3
		OnMessage: func(c *ws.Socket, m ws.Message) { c.Send(m.Type, m.Data) },
	})
	defer server.Close()
	url := "wss://" + server.Listener.Addr().String()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	config := &tls.Config{RootCAs: roots}

	// One for the whole program: it keeps the connections.
	streams := &wsh3.Streams{Transport: &http3.Transport{TLSClientConfig: config}}
	defer streams.Close()

	ctx := context.Background()
	c, resp, err := ws.Dial(ctx, url, &ws.DialOptions{
		Streams: streams,
		Limits:  ws.Limits{HandshakeTimeout: 300 * time.Millisecond}, // UDP does not say that nobody is there
	})
	if err != nil && resp == nil {
		c, resp, err = ws.Dial(ctx, url, &ws.DialOptions{TLS: config})
	}
	if err != nil {
		log.Fatal(err)
	}
	defer c.CloseNow()
	c.Write(ctx, ws.Text, []byte("hello"))
	m, err := c.Read(ctx)
	fmt.Println(resp.Proto, m, err)
	// Output: HTTP/1.1 hello <nil>
}

// One handler for HTTP/1.1, HTTP/2 and HTTP/3. A server for TCP and one for UDP listen on the same port; what the first
// one answers tells browsers about the second.
func Example_server() {
	mux := http.NewServeMux()
	mux.Handle("/ws", &ws.Server{
		OnMessage: func(c *ws.Socket, m ws.Message) { c.Send(m.Type, m.Data) },
	})

	certificate, roots := loadCertificate()
	config := func() *tls.Config { // for each a configuration of its own, since they make changes
		return &tls.Config{Certificates: []tls.Certificate{certificate}}
	}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	udp, err := net.ListenPacket("udp", tcp.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer udp.Close()

	overUDP := &http3.Server{Handler: mux, TLSConfig: config()}
	overTCP := &http.Server{
		TLSConfig: config(),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			overUDP.SetQUICHeaders(w.Header()) // Alt-Svc
			mux.ServeHTTP(w, r)
		}),
	}
	go overTCP.ServeTLS(tcp, "", "")
	go overUDP.Serve(udp)
	defer overTCP.Close()
	defer overUDP.Close()

	// A client of each.
	ctx := context.Background()
	streams := &wsh3.Streams{Transport: &http3.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	defer streams.Close()
	for _, options := range []*ws.DialOptions{
		{TLS: &tls.Config{RootCAs: roots}},
		{Streams: streams},
	} {
		c, resp, err := ws.Dial(ctx, "wss://"+tcp.Addr().String()+"/ws", options)
		if err != nil {
			log.Fatal(err)
		}
		c.Write(ctx, ws.Text, []byte("hello"))
		m, err := c.Read(ctx)
		fmt.Println(resp.Proto, m, err)
		c.Close(ctx, ws.StatusNormalClosure, "")
	}
	// Output:
	// HTTP/1.1 hello <nil>
	// HTTP/3.0 hello <nil>
}

// loadCertificate returns a certificate for 127.0.0.1, and the roots that trust it.
func loadCertificate() (tls.Certificate, *x509.CertPool) {
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return s.TLS.Certificates[0], roots
}
