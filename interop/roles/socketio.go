package roles

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"time"

	"baro.dev/engineio"
	"baro.dev/socketio"
	"baro.dev/socketio/parser/msgpack"
	"baro.dev/ws"
)

func socketio5() (http.Handler, func()) {
	io := socketio.NewServer(&socketio.Options{Engine: conformance(), ConnectTimeout: time.Second})
	greet := func(s *socketio.Socket) { _ = s.Emit("auth", s.Auth()) }
	io.OnConnection(greet)
	io.Of("/custom").OnConnection(greet)
	io.On("message", func(e *socketio.Event) { _ = e.Socket().Emit("message-back", e.Args()...) })
	io.On("message-with-ack", func(e *socketio.Event) { _ = e.Ack(e.Args()...) })
	return io, func() { cut(io) }
}

// cut cuts all clients.
func cut(io *socketio.Server) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = io.Close(ctx)
}

// Clients returns a server in that role, whose options change has changed, and what ends it at once.
func Clients(change func(*socketio.Options)) (server http.Handler, end func()) {
	options := socketio.Options{
		Engine: engineio.Options{
			PingInterval:      500 * time.Millisecond,
			MaxHTTPBufferSize: 16 << 20,
			PerMessageDeflate: ws.Compression{Enabled: true, Threshold: 1024},
			AllowEIO3:         true,
			Cookie:            &http.Cookie{Name: "io"},
		},
	}
	change(&options)
	plain := socketio.NewServer(&options)
	options.Path, options.Parser = "/msgpack/", msgpack.Codec
	packed := socketio.NewServer(&options)
	options.Path, options.Parser = "/recovery/", nil
	options.ConnectionStateRecovery = &socketio.ConnectionStateRecovery{}
	recovery := socketio.NewServer(&options)

	mux := http.NewServeMux()
	all := map[string]*socketio.Server{"/socket.io/": plain, "/msgpack/": packed, "/recovery/": recovery}
	for path, io := range all {
		play(io)
		mux.Handle(path, io)
	}
	return mux, func() {
		for _, io := range all {
			cut(io)
		}
	}
}

// play gives a server the namespaces of the role clients, and their events.
func play(io *socketio.Server) {
	all := &registry{reasons: map[string]socketio.Reason{}, asking: map[string][]*socketio.Event{}, notes: map[string][]int{}}
	io.OnConnection(all.serve)
	io.Of("/custom").OnConnection(all.serve)
	io.OfPattern(regexp.MustCompile(`^/dynamic-\d+$`)).OnConnection(all.serve)
	private := io.Of("/private")
	private.Use(authorize)
	private.OnConnection(all.serve)
}

func authorize(s *socketio.Socket) error {
	auth := struct{ Token string }{s.Handshake().Query["token"]}
	if err := s.Auth().Decode(&auth); err != nil {
		return err
	}
	if auth.Token != "secret" {
		return &socketio.Error{Message: "not authorized", Data: map[string]string{"code": "E_AUTH"}}
	}
	return nil
}

// timeout gives the acknowledgement of what was waited for in vain.
func timeout(err error) string {
	if errors.Is(err, socketio.ErrTimeout) {
		return "timeout"
	}
	return err.Error()
}
