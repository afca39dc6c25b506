package engineio_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"baro.dev/engineio"
	"baro.dev/ws"
)

// talk is a client over WebSocket that says something and returns the answer.
func talk(url, say string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, _, err := ws.Dial(ctx, "ws"+strings.TrimPrefix(url, "http")+"/engine.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		return err.Error()
	}
	defer c.CloseNow()
	if _, err := c.Read(ctx); err != nil { // the handshake
		return err.Error()
	}
	_ = c.Write(ctx, ws.Text, []byte("4"+say))
	m, err := c.Read(ctx)
	if err != nil {
		return err.Error()
	}
	return string(m.Data[1:])
}

func Example() {
	server := &engineio.Server{
		OnMessage: func(s *engineio.Session, m engineio.Message) {
			_ = s.Send(m) // an echo, whatever the transport
		},
	}
	defer server.Close()
	mux := http.NewServeMux()
	mux.Handle("/engine.io/", server)
	site := httptest.NewServer(mux)
	defer site.Close()

	fmt.Println(talk(site.URL, "hello"))
	// Output: hello
}

func ExampleServer_Broadcast() {
	var server *engineio.Server
	server = &engineio.Server{
		OnOpen: func(s *engineio.Session, _ *http.Request) {
			news := engineio.NewPrepared(engineio.Message{Data: []byte("somebody came")}) // encoded once, however many get it
			server.Broadcast([]*engineio.Session{s}, news, false)
		},
	}
	defer server.Close()
	site := httptest.NewServer(server)
	defer site.Close()

	fmt.Println(talk(site.URL, ""))
	// Output: somebody came
}

// A handler that waits for a client's answer must not keep it from coming: Arrive sees it at once.
func ExampleServer_arrive() {
	answers := make(chan string, 1)
	server := &engineio.Server{
		Arrive: func(_ *engineio.Session, m engineio.Message) bool {
			answer, ok := strings.CutPrefix(string(m.Data), "answer ")
			if ok {
				answers <- answer
			}
			return ok
		},
		OnMessage: func(s *engineio.Session, m engineio.Message) {
			_ = s.Send(engineio.Message{Data: []byte(string(m.Data) + " what?")})
			fmt.Println("it was", <-answers)
			s.Close()
		},
	}
	defer server.Close()
	site := httptest.NewServer(server)
	defer site.Close()

	ctx := context.Background()
	c, _, err := ws.Dial(ctx, "ws"+strings.TrimPrefix(site.URL, "http")+"/engine.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.CloseNow()
	_, _ = c.Read(ctx) // the handshake
	_ = c.Write(ctx, ws.Text, []byte("4hot"))
	question, _ := c.Read(ctx)
	fmt.Printf("%s\n", question.Data[1:])
	_ = c.Write(ctx, ws.Text, []byte("4answer soup"))
	_, _ = c.Read(ctx) // the end
	// Output:
	// hot what?
	// it was soup
}

func ExampleOptions() {
	server := &engineio.Server{Options: engineio.Options{
		PingInterval: 10 * time.Second,
		CORS:         &engineio.CORS{Origins: []string{"https://app.example"}, Credentials: true},
		AllowRequest: func(r *http.Request) error {
			if r.URL.Query().Get("token") != "secret" {
				return errors.New("who are you?")
			}
			return nil
		},
	}}
	if err := server.Options.Validate(); err != nil {
		panic(err)
	}
	defer server.Close()
	site := httptest.NewServer(server)
	defer site.Close()

	resp, err := http.Get(site.URL + "/engine.io/?EIO=4&transport=polling")
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	fmt.Println(resp.StatusCode, string(body))
	// Output: 403 {"code":4,"message":"who are you?"}
}
