package connection_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"
	wt "github.com/quic-go/webtransport-go"

	"baro.dev/engineio/webtransport"
	"baro.dev/internal/cli/connection"
	"baro.dev/internal/cli/exit"
	"baro.dev/internal/cli/target"
	"baro.dev/internal/testkit"
	"baro.dev/socketio"
)

// chat is a server of Socket.IO, which echoes what it gets, and acknowledges it.
func chat(t *testing.T) (*socketio.Server, string) {
	t.Helper()
	o := &socketio.Options{}
	o.Engine.Logger = slog.New(slog.DiscardHandler)
	s := socketio.NewServer(o)
	connected := func(c *socketio.Socket) {
		c.OnAny(func(e *socketio.Event) {
			switch e.Name() {
			case "leave":
				c.Disconnect(true)
			case "ask":
				c.EmitFunc("question", func(a socketio.Args, err error) { c.Emit("answer", a.Args()...) }, 1)
			default:
				_ = e.Ack("got", e.Len())
				c.Emit(e.Name(), e.Data().Args()...)
			}
		})
	}
	s.OnConnection(connected)
	s.Of("/admin").Use(func(c *socketio.Socket) error {
		var auth struct{ Token string }
		if err := c.Handshake().Auth.Decode(&auth); err != nil || auth.Token != "x" {
			return errors.New("who are you?")
		}
		return nil
	})
	s.Of("/admin").OnConnection(connected)
	site := httptest.NewServer(s)
	t.Cleanup(func() {
		_ = s.Close(context.Background())
		site.Close()
	})
	return s, site.URL
}

func TestSocketIO(t *testing.T) {
	_, url := chat(t)
	for name, o := range map[string]connection.Options{
		url: {}, url + "/socket.io/": {}, "ws" + url[4:] + "/socket.io/?EIO=4&transport=websocket": {},
		url + "/admin": {Auth: json.RawMessage(`{"token":"x"}`)},
	} {
		c := dial(t, name, o)
		send(t, c, connection.Text, "hello")
		if m := receive(t, c); m.Kind != connection.Event || m.Event != "message" || string(m.Data) != `["hello"]` {
			t.Errorf("%s: got %+v", name, m)
		}
		send(t, c, connection.Binary, "\xff")
		if m := receive(t, c); string(m.Data) != `["/w=="]` {
			t.Errorf("%s: got %+v", name, m)
		}
		acked := make(chan string, 1)
		err := c.Send(t.Context(), connection.Message{Kind: connection.Event, Event: "add", Data: []byte(`[1,{"a":"b"}]`), Acked: func(p []byte, err error) { acked <- string(p) }})
		if err != nil {
			t.Error(err)
		}
		if m := receive(t, c); m.Event != "add" || string(m.Data) != `[1,{"a":"b"}]` || testkit.Within(t, "the acknowledgement", acked) != `["got",2]` {
			t.Errorf("%s: got %+v", name, m)
		}
		err = c.Send(t.Context(), connection.Message{Kind: connection.Event, Event: "ask", Data: []byte(`[]`)})
		if m := receive(t, c); err != nil || m.Event != "question" || m.Ack == nil || m.Ack([]byte(`[42]`)) != nil {
			t.Errorf("%s: got %+v", name, m)
		}
		if m := receive(t, c); m.Event != "answer" || string(m.Data) != `[42]` {
			t.Errorf("%s: got %+v", name, m)
		}
		if err := c.Send(t.Context(), connection.Message{Kind: connection.Event, Event: "a", Data: []byte(`{`)}); !errors.Is(err, connection.ErrMessage) {
			t.Error(err)
		}
		if i := c.Info(); i.Protocol != connection.SocketIO || i.ID == "" || i.Transport == "" || !i.CanSend {
			t.Errorf("%s: %+v", name, i)
		}
		_ = c.Send(t.Context(), connection.Message{Kind: connection.Event, Event: "leave", Data: []byte(`[]`)})
		if err := end(t, c); err != io.EOF {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, o := range map[string]connection.Options{
		url + "/none":  {Protocol: connection.SocketIO},
		url + "/admin": {Protocol: connection.SocketIO, Auth: json.RawMessage(`{"token":"y"}`), Reconnect: true},
	} {
		if _, err := try(t, name, o); exit.Code(err) != exit.Refused {
			t.Errorf("%s: %v (%d)", name, err, exit.Code(err))
		}
	}
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	if _, err := try(t, "http://"+gone.Addr().String(), connection.Options{Protocol: connection.SocketIO, Reconnect: true}); exit.Code(err) != exit.Unreachable {
		t.Errorf("%v (%d)", err, exit.Code(err))
	}
}

// Socket.IO comes back by itself.
func TestSocketIOComesBack(t *testing.T) {
	s, url := chat(t)
	states, tell := told()
	c := dial(t, url, connection.Options{Protocol: connection.SocketIO, Reconnect: true, Delay: time.Millisecond, MaxDelay: 10 * time.Millisecond, OnState: tell})
	for _, socket := range s.Of("/").Sockets() {
		socket.Conn().CloseNow()
	}
	for _, kind := range []connection.StateKind{connection.Connected, connection.Disconnected, connection.Waiting, connection.Connected} {
		if state := testkit.Within(t, "what happens", states); state.Kind != kind {
			t.Errorf("%+v, want %v", state, kind)
		}
	}
	send(t, c, connection.Text, "again")
	if m := receive(t, c); string(m.Data) != `["again"]` {
		t.Errorf("got %+v", m)
	}
}

func TestWebTransport(t *testing.T) {
	certificate, _, err := webtransport.NewCertificate()
	if err != nil {
		t.Fatal(err)
	}
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	server := &wt.Server{H3: &http3.Server{Handler: mux, TLSConfig: http3.ConfigureTLSConfig(&tls.Config{Certificates: []tls.Certificate{certificate}})}}
	wt.ConfigureHTTP3Server(server.H3)
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		session, err := server.Upgrade(w, r)
		if err != nil {
			return
		}
		go func() {
			for {
				data, err := session.ReceiveDatagram(session.Context())
				if err != nil {
					return
				}
				_ = session.SendDatagram(data)
			}
		}()
		s, err := session.AcceptStream(session.Context())
		if err != nil {
			return
		}
		one, err := session.OpenUniStream()
		if err != nil {
			return
		}
		_, _ = io.WriteString(one, "once\nupon")
		_ = one.Close()
		_, _ = io.Copy(s, s)
		_ = session.CloseWithError(0, "")
	})
	mux.HandleFunc("/no", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	served := make(chan error, 1)
	go func() { served <- server.Serve(socket) }()
	t.Cleanup(func() {
		_ = server.Close()
		<-served
		socket.Close()
	})
	url := "https://" + socket.LocalAddr().String()
	c := dial(t, url, connection.Options{Target: to(t, url+"/echo", target.Options{Insecure: true}), Protocol: connection.WebTransport})
	send(t, c, connection.Text, "hello")
	seen := map[string]string{}
	for range 2 {
		m := receive(t, c)
		seen[m.Event] = string(m.Data)
	}
	if err := c.Send(t.Context(), connection.Message{Event: "datagram", Data: []byte("\xff")}); err != nil {
		t.Fatal(err)
	}
	if m := receive(t, c); m.Event != "datagram" || m.Kind != connection.Binary {
		t.Errorf("got %+v", m)
	}
	if seen[""] != "hello" || seen["message"] != "once\nupon" {
		t.Errorf("got %v", seen)
	}
	if err := c.Close(t.Context(), 0, ""); err != nil {
		t.Error(err)
	}
	if err := end(t, c); err != connection.ErrClosed {
		t.Error(err)
	}
	if _, err := try(t, url, connection.Options{Target: to(t, url+"/no", target.Options{Insecure: true}), Protocol: connection.WebTransport}); exit.Code(err) != exit.Refused {
		t.Errorf("%v (%d)", err, exit.Code(err))
	}
}
