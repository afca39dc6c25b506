// Echo sends every message back to whoever sent it.
//
//	go run ./examples/echo -listen localhost:8080
package main

import (
	"context"
	"flag"
	"log"
	"net"
	"os/signal"
	"syscall"
	"time"

	"baro.dev/ws"
)

func main() {
	addr := flag.String("listen", "localhost:8080", "address to listen on")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	l, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("ws://%s/", l.Addr())
	if err := serve(ctx, l); err != nil {
		log.Fatal(err)
	}
}

// serve serves l until ctx is done, and then closes the connections with 1001.
func serve(ctx context.Context, l net.Listener) error {
	server := &ws.Server{
		OnMessage: func(c *ws.Socket, m ws.Message) {
			if err := c.Send(m.Type, m.Data); err != nil {
				log.Print(c.RemoteAddr(), ": ", err)
			}
		},
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return server.Shutdown(ctx)
}
