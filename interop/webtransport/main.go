// Command webtransport is a server of Engine.IO, which echoes, and of Socket.IO in the role pages, for pages in a browser: over TCP
// and UDP on the same port, with a certificate that nobody vouches for, until its standard input ends.
//
//	webtransport serve '"socketio/bundle/dist"'
//
// It is a module of its own, since no other part of these tests needs quic-go.
package main

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"baro.dev/engineio"
	"baro.dev/engineio/webtransport"
	"baro.dev/interop/roles"
)

func main() {
	var client string // the folder of it, as JSON like all arguments of peers
	if err := json.Unmarshal([]byte(os.Args[2]), &client); err != nil {
		log.Fatal(err)
	}
	certificate, hash, err := webtransport.NewCertificate()
	if err != nil {
		log.Fatal(err)
	}
	transports := []string{engineio.Polling, engineio.WebSocket, engineio.WebTransport}
	engine := &engineio.Server{
		Options: engineio.Options{
			Transports:        transports,
			MaxHTTPBufferSize: 2 << 20,
			PingInterval:      300 * time.Millisecond,
			PingTimeout:       5 * time.Second,
		},
		OnMessage: func(s *engineio.Session, m engineio.Message) {
			switch string(m.Data) {
			case "close":
				_ = s.Send(engineio.Message{Data: []byte("last")})
				s.Close()
			case "count":
				for i := range 10_000 {
					_ = s.Send(engineio.Message{Data: fmt.Appendf(nil, "%d", i)})
				}
			default:
				_ = s.Send(m)
			}
		},
	}
	pages, _ := roles.Pages(os.DirFS(client), transports...)
	mux := http.NewServeMux()
	mux.Handle("/", pages)
	mux.Handle("/engine.io/", engine)
	mux.HandleFunc("/hash", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(hash) })

	// A port that is free for both.
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	udp, err := net.ListenPacket("udp", tcp.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	overUDP := webtransport.NewServer(mux, &tls.Config{Certificates: []tls.Certificate{certificate}})
	go func() { log.Fatal(overUDP.Serve(udp)) }()
	go func() { log.Fatal(http.Serve(tcp, mux)) }()
	_ = json.NewEncoder(os.Stdout).Encode(map[string]string{"event": "listening", "url": "http://" + tcp.Addr().String()})
	_, _ = io.Copy(io.Discard, os.Stdin)
}
