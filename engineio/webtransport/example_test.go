package webtransport_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log"
	"net"
	"net/http"

	wt "github.com/quic-go/webtransport-go"

	"baro.dev/engineio"
	"baro.dev/engineio/webtransport"
)

// A server with a certificate for development. The client speaks the protocol by hand: it begins a session and says hello.
func Example() {
	engine := &engineio.Server{
		Options:   engineio.Options{Transports: []string{engineio.Polling, engineio.WebSocket, engineio.WebTransport}},
		OnMessage: func(s *engineio.Session, m engineio.Message) { s.Send(m) },
	}
	mux := http.NewServeMux() // for http.ListenAndServeTLS as well
	mux.Handle("/engine.io/", engine)

	certificate, hash, err := webtransport.NewCertificate()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("pages are told the hash, a %T\n", hash)
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer udp.Close()
	server := webtransport.NewServer(mux, &tls.Config{Certificates: []tls.Certificate{certificate}})
	go server.Serve(udp)
	defer func() {
		engine.Shutdown(context.Background())
		server.Shutdown(context.Background())
	}()

	roots := x509.NewCertPool()
	roots.AddCert(certificate.Leaf)
	client := &wt.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	_, session, err := client.Dial(context.Background(), "https://"+udp.LocalAddr().String()+"/engine.io/", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer session.CloseWithError(0, "")
	stream, err := session.OpenStream()
	if err != nil {
		log.Fatal(err)
	}
	stream.Write([]byte("\x010" + "\x064hello")) // two frames: their lengths and packets
	answers := bufio.NewReader(stream)
	for range 2 {
		length, _ := answers.ReadByte()
		if length == 126 { // two bytes of length follow, of which 255 need the second only
			answers.Discard(1)
			length, _ = answers.ReadByte()
		}
		packet := make([]byte, length)
		for i := range packet {
			packet[i], _ = answers.ReadByte()
		}
		fmt.Printf("%.8s\n", packet)
	}
	// Output:
	// pages are told the hash, a [32]uint8
	// 0{"sid":
	// 4hello
}
