package socketio_test

import (
	"context"
	"errors"
	"log"
	"net/http"
	"net/http/httptest"
	"regexp"
	"time"

	"baro.dev/socketio"
)

type Chat struct {
	Room, Text string
	Image      []byte // binary leaves and comes as such, wherever it is
}

type Receipt struct {
	At time.Time `json:"at"`
}

func Example() {
	io := socketio.NewServer(nil)
	io.OnConnection(func(s *socketio.Socket) {
		s.Join("lobby")
		_ = s.To("lobby").Emit("joined", s.ID())
		socketio.On(s, "chat", func(_ context.Context, m Chat) (Receipt, error) {
			if m.Room == "" {
				return Receipt{}, &socketio.Error{Message: "no room", Data: 404} // {"error":{"message":"no room","data":404}}
			}
			return Receipt{time.Now()}, s.To(m.Room).Emit("chat", m)
		})
		s.OnDisconnect(func(reason socketio.Reason) { log.Println(s.ID(), reason) })
	})
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", io)
	server := httptest.NewServer(mux) // or http.ListenAndServe(":3000", mux)
	defer server.Close()
	// Output:
}

// Handlers of the namespace are registered once: a server with many idle clients pays nothing for them.
func ExampleNamespace_On() {
	io := socketio.NewServer(nil)
	io.On("relay", func(e *socketio.Event) {
		_ = e.Socket().To("lobby").Emit("relayed", e.Args()...) // nothing is decoded
		_ = e.Ack("ok")
	})
	socketio.Listen(io, "join", func(ctx context.Context, room string) error {
		socketio.SocketOf(ctx).Join(room)
		return nil
	})
	// Output:
}

func ExampleNamespace_Use() {
	io := socketio.NewServer(nil)
	io.Of("/admin").Use(func(s *socketio.Socket) error {
		var auth struct{ Token string }
		if err := s.Auth().Decode(&auth); err != nil || auth.Token != "secret" {
			return errors.New("unauthorized") // connect_error of the client
		}
		s.SetData("admin")
		return nil
	})
	// Output:
}

func ExampleSocket_EmitWithAck() {
	io := socketio.NewServer(nil)
	io.On("ready", func(e *socketio.Event) {
		answer, err := e.Socket().Timeout(5*time.Second).EmitWithAck(e.Context(), "question", "how are you?")
		if err != nil {
			log.Print(err) // socketio.ErrTimeout, socketio.ErrDisconnected...
			return
		}
		var text string
		_ = answer.Bind(&text)
	})
	// Output:
}

func ExampleBroadcastOperator_EmitWithAck() {
	io := socketio.NewServer(nil)
	answers, err := io.To("lobby").Timeout(time.Second).EmitWithAck(context.Background(), "vote")
	if partial, ok := errors.AsType[*socketio.PartialError](err); ok {
		log.Printf("%d have not voted", partial.Missing)
	}
	for _, a := range answers {
		var vote int
		_ = a.Bind(&vote)
	}
	// Output:
}

func ExampleServer_OfPattern() {
	io := socketio.NewServer(&socketio.Options{CleanupEmptyChildNamespaces: true})
	games := io.OfPattern(regexp.MustCompile(`^/game-\d+$`))
	games.OnConnection(func(s *socketio.Socket) { _ = s.Emit("welcome", s.Namespace().Name()) })
	// Output:
}
