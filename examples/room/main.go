// Room is a chat over plain WebSocket, in one room: what anybody says, everybody hears. Open http://localhost:8080/ in two windows.
//
//	go run ./examples/room -listen localhost:8080
package main

import (
	"cmp"
	_ "embed"
	"flag"
	"fmt"
	"log"
	"net/http"
	"time"

	"baro.dev/ws"
)

//go:embed room.html
var page string

func main() {
	addr := flag.String("listen", "localhost:8080", "address to listen on")
	flag.Parse()
	log.Printf("http://%s/", *addr)
	server := &http.Server{Addr: *addr, Handler: newRoom(), ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(server.ListenAndServe())
}

// newRoom returns the page at / and the room at /ws?name=NAME.
func newRoom() http.Handler {
	room := &ws.Server{Options: ws.AcceptOptions{Limits: ws.Limits{MaxMessageSize: 4 << 10}}}
	// say sends a line to everybody: encoded once, and nobody waits for those that are slow.
	say := func(format string, args ...any) {
		_ = room.Publish("room", ws.Text, fmt.Appendf(nil, format, args...)) // fails if somebody sent binary
	}
	room.OnOpen = func(c *ws.Socket, r *http.Request) {
		c.Data = cmp.Or(r.URL.Query().Get("name"), c.RemoteAddr().String())
		_ = c.Subscribe("room") // fails for who has left already
		say("%s has joined", c.Data)
	}
	room.OnMessage = func(c *ws.Socket, m ws.Message) { say("%s: %s", c.Data, m.Data) }
	room.OnClose = func(c *ws.Socket, err error) { say("%s has left", c.Data) }

	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, page) })
	mux.Handle("/ws", room)
	return mux
}
