// Chat is a few rooms with their people, who type, talk and send images, over whatever transport their browsers can use. Open
// http://localhost:8080/ in two windows.
//
//	go run ./examples/chat
//
// The page loads the official client from its own site. To serve it too:
//
//	make client && go run -tags socketioclient ./examples/chat
package main

import (
	"context"
	_ "embed"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"baro.dev/socketio"
	"baro.dev/socketio/bundle"
)

//go:embed chat.html
var page string

func main() {
	addr := flag.String("listen", "localhost:8080", "address to listen on")
	flag.Parse()
	l, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("http://%s/\n", l.Addr())
	server := &http.Server{Handler: newChat(), ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(server.Serve(l))
}

// newChat returns the page at / and what it talks to at /socket.io/.
func newChat() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, page) })
	mux.Handle("/socket.io/", newServer())
	return mux
}

// person is the Data of a socket. It comes back with a client that was cut off for a moment.
type person struct {
	Name string `json:"name"`
	Room string `json:"room"`
}

type words struct {
	From string `json:"from"`
	Text string `json:"text"`
}

type image struct {
	From string `json:"from"`
	Type string `json:"type"`
	Data []byte `json:"data"`
}

const (
	maxName  = 30
	maxWords = 2000
)

// rooms are those that there are.
var rooms = []string{"lobby", "music", "go"}

func newServer() *socketio.Server {
	io := socketio.NewServer(&socketio.Options{
		ClientFiles:             bundle.Files(),
		ConnectionStateRecovery: &socketio.ConnectionStateRecovery{},
	})
	io.Use(func(s *socketio.Socket) error {
		var auth struct{ Name string }
		if err := s.Handshake().Auth.Decode(&auth); err != nil || auth.Name == "" || len(auth.Name) > maxName {
			return &socketio.Error{Message: "a name is needed, of up to 30 bytes"}
		}
		if s.Data() == nil { // otherwise he was here before
			s.SetData(person{Name: auth.Name})
		}
		return nil
	})
	io.OnConnection(func(s *socketio.Socket) {
		socketio.Listen(s, "enter", func(_ context.Context, room string) error { return enter(io, s, room) })
		socketio.Listen(s, "say", func(_ context.Context, text string) error {
			if p := of(s); p.Room != "" && text != "" && len(text) <= maxWords {
				return io.To(p.Room).Emit("said", words{p.Name, text})
			}
			return &socketio.Error{Message: "say something, in a room"}
		})
		socketio.Listen(s, "image", func(_ context.Context, i image) error {
			p := of(s)
			if p.Room == "" || !strings.HasPrefix(i.Type, "image/") {
				return &socketio.Error{Message: "that is no image"}
			}
			i.From = p.Name
			return io.To(p.Room).Emit("image", i)
		})
		socketio.Listen0(s, "typing", func(context.Context) error {
			p := of(s)
			return s.To(p.Room).Volatile().Emit("typing", p.Name)
		})
		s.OnDisconnect(func(socketio.Reason) { // for good, or for a moment: he may come back with his room
			_ = io.To(of(s).Room).Emit("left", of(s).Name)
			tell(io, of(s).Room)
		})
		if s.Recovered() { // he is in his room again
			tell(io, of(s).Room)
		}
	})
	return io
}

// of returns who a socket is.
func of(s *socketio.Socket) person { return s.Data().(person) }

// enter has somebody leave the room that he is in for another one.
func enter(io *socketio.Server, s *socketio.Socket, room string) error {
	if !slices.Contains(rooms, room) {
		return &socketio.Error{Message: "there is no such room"}
	}
	p := of(s)
	leave(io, s)
	p.Room = room
	s.SetData(p)
	s.Join(room)
	tell(io, room)
	return s.To(room).Emit("came", p.Name)
}

// leave has somebody leave his room.
func leave(io *socketio.Server, s *socketio.Socket) {
	p := of(s)
	if p.Room == "" {
		return
	}
	_ = s.To(p.Room).Emit("left", p.Name)
	s.Leave(p.Room)
	tell(io, p.Room)
}

// tell tells everybody in a room who is there.
func tell(io *socketio.Server, room string) {
	names := []string{}
	for _, s := range io.Sockets() {
		if p, ok := s.Data().(person); ok && slices.Contains(s.Rooms(), room) {
			names = append(names, p.Name)
		}
	}
	slices.Sort(names)
	_ = io.To(room).Emit("people", names)
}
