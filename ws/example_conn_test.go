package ws_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"baro.dev/ws"
)

// echo sends every message back.
func echo(w http.ResponseWriter, r *http.Request) {
	c, err := ws.Accept(w, r, nil)
	if err != nil {
		return // Accept has answered
	}
	defer c.CloseNow()
	ctx := context.Background()
	for m, err := range c.Messages(ctx) {
		if err != nil {
			return
		}
		c.Write(ctx, m.Type, m.Data)
	}
}

// A server that sends every message back, and a client.
func Example() {
	server := httptest.NewServer(http.HandlerFunc(echo))
	defer server.Close()

	ctx := context.Background()
	c, _, err := ws.Dial(ctx, server.URL, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.CloseNow()
	c.Write(ctx, ws.Text, []byte("안녕"))
	m, err := c.Read(ctx)
	fmt.Println(m.Type, m, err)
	fmt.Println(c.Close(ctx, ws.StatusNormalClosure, ""))
	// Output:
	// text 안녕 <nil>
	// <nil>
}

// The handler may return while the connection goes on, but over HTTP/2 the connection ends with it.
func ExampleAccept() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := ws.Accept(w, r, nil)
		if err != nil {
			return // Accept has answered
		}
		defer c.CloseNow()
		m, err := c.Read(context.Background())
		fmt.Println(m, err)
	}))
	defer server.Close()

	// Whoever asks for something else is told.
	resp, err := http.Get(server.URL)
	if err != nil {
		log.Fatal(err)
	}
	resp.Body.Close()
	fmt.Println(resp.Status)

	c, _, err := ws.Dial(context.Background(), server.URL, nil)
	if err != nil {
		log.Fatal(err)
	}
	c.Write(context.Background(), ws.Text, []byte("hello"))
	c.Close(context.Background(), ws.StatusNormalClosure, "")
	// Output:
	// 426 Upgrade Required
	// hello <nil>
}

func ExampleDial() {
	server := httptest.NewServer(http.HandlerFunc(echo))
	defer server.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	c, resp, err := ws.Dial(ctx, server.URL, nil) // usually "wss://example.com/path"
	if err != nil {
		log.Fatal(err)
	}
	defer c.CloseNow()
	fmt.Println(resp.Status)
	// Output: 101 Switching Protocols
}

// A server that is not one of WebSockets, or refuses, answers all the same.
func ExampleDial_refused() {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()

	_, resp, err := ws.Dial(context.Background(), server.URL, nil)
	var refused *ws.HandshakeError
	fmt.Println(errors.As(err, &refused), resp.StatusCode)
	// Output: true 404
}

// A read that is cancelled costs nothing: the next one goes on where it stopped.
func ExampleConn_Read_timeout() {
	server := httptest.NewServer(http.HandlerFunc(echo))
	defer server.Close()
	ctx := context.Background()
	c, _, err := ws.Dial(ctx, server.URL, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.CloseNow()

	short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	_, err = c.Read(short)
	fmt.Println(errors.Is(err, context.DeadlineExceeded), c.Err())

	c.Write(ctx, ws.Text, []byte("still here"))
	m, err := c.Read(ctx)
	fmt.Println(m, err)
	// Output:
	// true <nil>
	// still here <nil>
}

func ExampleConn_Ping() {
	server := httptest.NewServer(http.HandlerFunc(echo))
	defer server.Close()
	ctx := context.Background()
	c, _, err := ws.Dial(ctx, server.URL, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.CloseNow()

	rtt, err := c.Ping(ctx) // whether or not anybody reads
	fmt.Println(rtt > 0, err)
	// Output: true <nil>
}

// How to tell one end from another.
func ExampleCloseError() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := ws.Accept(w, r, nil)
		if err != nil {
			return
		}
		c.Close(context.Background(), 4001, "your session has expired")
	}))
	defer server.Close()
	ctx := context.Background()
	c, _, err := ws.Dial(ctx, server.URL, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.CloseNow()

	_, err = c.Read(ctx)
	var closed *ws.CloseError
	switch {
	case ws.CloseStatus(err) == ws.StatusGoingAway:
		fmt.Println("the server is shutting down: come back later")
	case errors.As(err, &closed) && closed.Remote:
		fmt.Println(closed.Code, closed.Reason)
	case errors.Is(err, ws.ErrPeerTimeout):
		fmt.Println("the server is gone without a word")
	}
	// Output: 4001 your session has expired
}
