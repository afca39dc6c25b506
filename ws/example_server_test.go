package ws_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"baro.dev/ws"
)

// room is a set of connections.
type room struct {
	mu      sync.Mutex
	members map[*ws.Socket]struct{}
}

func (r *room) join(c *ws.Socket) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.members[c] = struct{}{}
}

func (r *room) leave(c *ws.Socket) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.members, c)
}

// say sends text to everybody: encoded once, and nobody waits for the slow ones.
func (r *room) say(text []byte) {
	p, err := ws.NewPreparedMessage(ws.Text, text)
	if err != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.members {
		c.SendPrepared(p)
	}
}

// A chat room: everybody hears what anybody says.
func ExampleServer() {
	room := &room{members: make(map[*ws.Socket]struct{})}
	chat := httptest.NewServer(&ws.Server{
		OnOpen: func(c *ws.Socket, r *http.Request) {
			c.Data = r.URL.Query().Get("name")
			room.join(c)
			c.Send(ws.Text, []byte("welcome"))
		},
		OnMessage: func(c *ws.Socket, m ws.Message) { room.say(fmt.Appendf(nil, "%s: %s", c.Data, m.Data)) },
		OnClose:   func(c *ws.Socket, err error) { room.leave(c) },
	})
	defer chat.Close()

	ctx := context.Background()
	var clients []*ws.Conn
	for _, name := range []string{"ada", "bo"} {
		c, _, err := ws.Dial(ctx, chat.URL+"?name="+name, nil)
		if err != nil {
			log.Fatal(err)
		}
		defer c.CloseNow()
		fmt.Println(c.Read(ctx))
		clients = append(clients, c)
	}
	clients[1].Write(ctx, ws.Text, []byte("hello"))
	for _, c := range clients {
		fmt.Println(c.Read(ctx))
	}
	// Output:
	// welcome <nil>
	// welcome <nil>
	// bo: hello <nil>
	// bo: hello <nil>
}

// A message for many connections is encoded once, and compressed once for each way they need it.
func ExamplePreparedMessage() {
	broadcast := func(sockets []*ws.Socket, text string) error {
		p, err := ws.NewPreparedMessage(ws.Text, []byte(text))
		if err != nil {
			return err
		}
		for _, c := range sockets {
			c.SendPrepared(p) // Queue.Full decides about those that are too slow
		}
		return nil
	}
	fmt.Println(broadcast(nil, "news"))
	// Output: <nil>
}

// Who has subscribed to a topic gets what is published on it. The server is its own front door; what is not for a
// WebSocket goes to its Handler.
func ExampleServer_Publish() {
	server := &ws.Server{Handler: http.NotFoundHandler()}
	server.OnOpen = func(c *ws.Socket, r *http.Request) {
		c.Subscribe("news")
		c.Send(ws.Text, []byte("welcome"))
	}
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		log.Fatal(err)
	}
	go server.Serve(l)
	defer server.Close()

	ctx := context.Background()
	c, _, err := ws.Dial(ctx, "ws://"+l.Addr().String(), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.CloseNow()
	fmt.Println(c.Read(ctx))
	server.Publish("news", ws.Text, []byte("it rains"))
	server.Publish("sport", ws.Text, []byte("2:1"))
	server.Publish("news", ws.Text, []byte("it stopped"))
	fmt.Println(c.Read(ctx))
	fmt.Println(c.Read(ctx))
	// Output:
	// welcome <nil>
	// it rains <nil>
	// it stopped <nil>
}

// What a handler is given is lent until it returns: whoever keeps it copies it.
func ExampleServer_keep() {
	messages := make(chan []byte, 1)
	server := httptest.NewServer(&ws.Server{
		OnMessage: func(c *ws.Socket, m ws.Message) { messages <- bytes.Clone(m.Data) },
	})
	defer server.Close()
	c, _, err := ws.Dial(context.Background(), server.URL, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.CloseNow()
	c.Write(context.Background(), ws.Text, []byte("kept"))
	fmt.Printf("%s\n", <-messages)
	// Output: kept
}

// net/http does not know of connections that were taken from it, so both are told to shut down: the WebSockets are
// closed with 1001, once what was queued for them has left.
func ExampleServer_Shutdown() {
	sockets := &ws.Server{
		OnClose: func(c *ws.Socket, err error) { fmt.Println(ws.CloseStatus(err)) },
	}
	mux := http.NewServeMux()
	mux.Handle("/ws", sockets)
	server := &http.Server{Handler: mux}
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		log.Fatal(err)
	}
	go server.Serve(l)

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, _, err := ws.Dial(ctx, "ws://"+l.Addr().String()+"/ws", nil)
	if err != nil {
		log.Fatal(err)
	}
	go c.Read(ctx)

	fmt.Println(sockets.Shutdown(ctx)) // on SIGTERM, say
	fmt.Println(server.Shutdown(ctx))
	// Output:
	// 1001 (going away)
	// <nil>
	// <nil>
}

// What a slow peer may cost: no more than 64 KiB wait for it, and what does not fit is dropped.
func ExampleQueue() {
	full := make(chan *ws.Socket)
	server := httptest.NewServer(&ws.Server{
		Options: ws.AcceptOptions{
			Queue: ws.Queue{MaxBytes: 64 << 10, Full: ws.Drop},
		},
		OnOpen: func(c *ws.Socket, r *http.Request) {
			for c.Send(ws.Binary, make([]byte, 10_000)) != ws.ErrQueueFull {
			}
			full <- c
		},
	})
	defer server.Close()
	c, _, err := ws.Dial(context.Background(), server.URL, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.CloseNow() // it does not read
	slow := <-full
	fmt.Println(slow.Buffered() <= 64<<10, slow.Err())
	// Output: true <nil>
}
