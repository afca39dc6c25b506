package socketio_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"baro.dev/engineio"
	"baro.dev/socketio"
	"baro.dev/socketio/parser"
	"baro.dev/socketio/parser/msgpack"
)

// FuzzPackets sends a server what a client might send: a line for each message, binary if it begins with b. Whatever that is, no
// handler panics, all that the server answers are packets, and nothing is left of the client when it has gone.
func FuzzPackets(f *testing.F) {
	type site struct {
		io    *socketio.Server
		codec parser.Codec
	}
	var log bytes.Buffer // the server's handlers run one at a time
	sites := map[bool]site{}
	for packed, codec := range map[bool]parser.Codec{false: parser.JSON, true: msgpack.Codec} {
		o := recovering()
		o.Parser = codec
		o.CleanupEmptyChildNamespaces = true
		o.Engine = engineio.Options{Inline: true, Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelError}))}
		io := socketio.NewServer(o)
		f.Cleanup(func() { _ = io.Close(context.Background()) })
		io.OfFunc(func(name string, auth parser.Value) bool { return auth.IsZero() || len(name) < 10 })
		io.Of("/guarded").Use(func(s *socketio.Socket) error {
			var auth struct{ Token []byte }
			if err := s.Auth().Decode(&auth); err != nil || string(auth.Token) != "secret" {
				return &socketio.Error{Message: "refused", Data: s.Auth()}
			}
			return nil
		})
		io.OnConnection(func(s *socketio.Socket) {
			s.Join("room")
			_ = s.EmitFunc("question", func(a socketio.Args, _ error) { _ = s.Emit("thanks", a.Args()...) })
			s.OnDisconnect(func(socketio.Reason) { _ = s.Broadcast().Emit("left") })
		})
		io.OnAny(func(e *socketio.Event) { _ = e.Socket().To("room").Emit(e.Name(), e.Args()...) })
		io.On("echo", func(e *socketio.Event) { _ = e.Ack(e.Args()...); _ = e.Socket().Emit("echo", e.Args()...) })
		type image struct {
			Name   string
			Pixels []byte
			More   any
		}
		socketio.On2(io, "image", func(_ context.Context, i image, n *int) (image, error) { return i, nil })
		socketio.Listen(io, "rooms", func(ctx context.Context, rooms []string) error {
			socketio.SocketOf(ctx).Join(rooms...)
			return nil
		})
		socketio.Listen0(io, "leave", func(ctx context.Context) error {
			socketio.SocketOf(ctx).Disconnect(false)
			return nil
		})
		sites[packed] = site{io, codec}
	}
	f.Fuzz(func(t *testing.T, packed bool, lines []byte) {
		s := sites[packed]
		log.Reset()
		c := call(t, s.io)
		session := s.io.Engine().Session(c.sid)
		var limits parser.Limits
		decoder := s.codec.NewDecoder(&limits)
		// take looks at what waits for the client.
		take := func() {
			for session.Buffered() > 0 {
				status, body := c.request(http.MethodGet, "")
				if status != http.StatusOK { // the session has ended
					return
				}
				for packet := range strings.SplitSeq(body, "\x1e") {
					binary, ok := strings.CutPrefix(packet, "b")
					data := []byte(packet[min(1, len(packet)):])
					if ok {
						data, _ = base64.StdEncoding.DecodeString(binary)
					} else if packet[0] != '4' {
						continue
					}
					if _, err := decoder.Add(new(parser.Packet), ok, data); err != nil {
						t.Fatalf("the server sent %q: %v", data, err)
					}
				}
			}
		}
		for line := range bytes.SplitSeq(lines, []byte("\n")) {
			packet := "4" + string(line)
			if rest, ok := bytes.CutPrefix(line, []byte("b")); ok {
				packet = "b" + base64.StdEncoding.EncodeToString(rest)
			}
			if status, answer := c.request(http.MethodPost, packet); status != http.StatusOK && !json.Valid([]byte(answer)) {
				t.Fatal(status, answer)
			}
			take()
		}
		session.CloseNow()
		eventually(t, "the client is gone", func() bool { return s.io.ClientsCount() == 0 && s.io.Len() == 0 && s.io.Of("/guarded").Len() == 0 })
		if rooms := s.io.Adapter().(*socketio.MemoryAdapter).Rooms(); len(rooms) != 0 {
			t.Errorf("rooms are left: %v", rooms)
		}
		if strings.Contains(log.String(), "panicked") {
			t.Error(log.String())
		}
	})
}
