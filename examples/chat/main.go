// Chat is one room: what anybody says, everybody hears. Open http://localhost:8080/ in two windows.
//
//	go run ./examples/chat -listen localhost:8080
package main

import (
	"cmp"
	_ "embed"
	"flag"
	"fmt"
	"log"
	"net/http"
	"sync"
	"time"

	"baro.dev/ws"
)

//go:embed chat.html
var page string

func main() {
	addr := flag.String("listen", "localhost:8080", "address to listen on")
	flag.Parse()
	log.Printf("http://%s/", *addr)
	server := &http.Server{Addr: *addr, Handler: newChat(), ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(server.ListenAndServe())
}

// newChat returns the page at / and the room at /ws?name=NAME.
func newChat() http.Handler {
	room := &room{members: make(map[*ws.Socket]string)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, page) })
	mux.Handle("/ws", &ws.Server{
		Options:   ws.AcceptOptions{Limits: ws.Limits{MaxMessageSize: 4 << 10}},
		OnOpen:    func(c *ws.Socket, r *http.Request) { room.join(c, r.URL.Query().Get("name")) },
		OnMessage: func(c *ws.Socket, m ws.Message) { room.say("%s: %s", room.name(c), m.Data) },
		OnClose:   func(c *ws.Socket, err error) { room.leave(c) },
	})
	return mux
}

// room is who is there.
type room struct {
	mu      sync.Mutex
	members map[*ws.Socket]string // with their names
}

func (r *room) join(c *ws.Socket, name string) {
	name = cmp.Or(name, c.RemoteAddr().String())
	r.mu.Lock()
	r.members[c] = name
	r.mu.Unlock()
	r.say("%s has joined", name)
}

func (r *room) leave(c *ws.Socket) {
	defer r.say("%s has left", r.name(c))
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.members, c)
}

func (r *room) name(c *ws.Socket) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.members[c]
}

// say sends a line to everybody: encoded once, and nobody waits for those that are slow.
func (r *room) say(format string, args ...any) {
	line, err := ws.NewPreparedMessage(ws.Text, fmt.Appendf(nil, format, args...))
	if err != nil {
		return // somebody sent binary
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.members {
		_ = c.SendPrepared(line) // fails for who has left, or is closed for being too slow
	}
}
