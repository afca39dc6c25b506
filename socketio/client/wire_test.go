package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	eio "baro.dev/engineio/client"
	"baro.dev/internal/testkit"
	"baro.dev/socketio"
	"baro.dev/socketio/client"
	"baro.dev/ws"
)

// wire is a server that admits every socket, replies to other packets what answer says, and gives all packets that it was sent.
func wire(t *testing.T, answer func(packet string) (reply string)) (url string, sent <-chan string) {
	t.Helper()
	got := make(chan string, 10_000)
	url, _ = accepts(t, func(ctx context.Context, c *ws.Conn) {
		for {
			m, err := c.Read(ctx)
			if err != nil {
				return
			}
			packet := strings.TrimPrefix(string(m.Data), "4")
			got <- packet
			reply := ""
			if strings.HasPrefix(packet, "0") {
				nsp, _, _ := strings.Cut(packet[1:], ",")
				if reply = `0{"sid":"s"}`; strings.HasPrefix(nsp, "/") {
					reply = "0" + nsp + `,{"sid":"s"}`
				}
			} else if answer != nil {
				reply = answer(packet)
			}
			if reply != "" {
				_ = c.Write(ctx, ws.Text, []byte("4"+reply))
			}
		}
	})
	return url, got
}

func packets(t *testing.T, sent <-chan string, want ...string) {
	t.Helper()
	for _, w := range want {
		if got := testkit.Within(t, w, sent); got != w {
			t.Fatalf("%s in place of %s", got, w)
		}
	}
}

// Sockets that wait for the connection enter in the order in which they were made, each once, however often it was asked for.
func TestEntersInOrder(t *testing.T) {
	testkit.NoLeaks(t)
	url, sent := wire(t, nil)
	m, err := client.NewManager(url, overWebSocket())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = m.Close(context.Background())
		testkit.Within(t, "the end", m.Done())
	})
	want := []string{}
	for i := range 20 {
		s := m.Socket(fmt.Sprint("/", i))
		if m.Socket(s.Namespace()) != s {
			t.Error("another socket")
		}
		for range 2 {
			if err := s.Open(); err != nil {
				t.Fatal(err)
			}
		}
		want = append(want, fmt.Sprintf("0/%d,", i))
	}
	packets(t, sent, want...)
	for i := range 20 {
		if err := m.Socket(fmt.Sprint("/", i)).Connect(soon(t)); err != nil {
			t.Fatal(err)
		}
	}
	m.Socket("/0").Disconnect()
	m.Socket("/1").Disconnect()
	packets(t, sent, "1/0,", "1/1,")
}

func retrying() *client.Options {
	o := overWebSocket()
	o.Retries, o.AckTimeout = 3, testkit.Patience
	return o
}

// Each event waits for the acknowledgement of the one before.
func TestRetriesOneAtATime(t *testing.T) {
	testkit.NoLeaks(t)
	var under atomic.Int32
	url, sent := wire(t, func(packet string) string {
		if !strings.HasPrefix(packet, "2") {
			return ""
		}
		if under.Add(1) > 1 {
			t.Error("an event has not waited")
		}
		defer under.Add(-1)
		return "3" + packet[1:2] + "[]"
	})
	s := newSocket(t, url, retrying())
	told := make(chan error, 3)
	for i := 1; i <= 3; i++ {
		if err := s.EmitFunc("echo", func(_ client.Args, err error) { told <- err }, i); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Connect(soon(t)); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := testkit.Within(t, "an acknowledgement", told); err != nil {
			t.Error(err)
		}
	}
	s.Disconnect()
	packets(t, sent, "0", `20["echo",1]`, `21["echo",2]`, `22["echo",3]`, "1")
}

// What nobody acknowledges is sent as often as said, and then the next one.
func TestRetriesEnd(t *testing.T) {
	testkit.NoLeaks(t)
	url, sent := wire(t, func(packet string) string {
		if strings.Contains(packet, "then") {
			return "3" + packet[1:2] + "[]"
		}
		return ""
	})
	o := retrying()
	o.AckTimeout = 50 * time.Millisecond
	s := connect(t, url, o)
	told := make(chan error, 1)
	if err := s.EmitFunc("ack", func(_ client.Args, err error) { told <- err }); err != nil {
		t.Fatal(err)
	}
	if err := testkit.Within(t, "the failure", told); !errors.Is(err, client.ErrTimeout) {
		t.Error(err)
	}
	packets(t, sent, "0", `20["ack"]`, `21["ack"]`, `22["ack"]`, `23["ack"]`)
	if err := s.Emit("then"); err != nil {
		t.Fatal(err)
	}
	packets(t, sent, `24["then"]`)
}

// What is emitted as soon as the socket is connected is sent once.
func TestRetriesFromOnConnect(t *testing.T) {
	testkit.NoLeaks(t)
	url, sent := wire(t, func(packet string) string {
		if strings.HasPrefix(packet, "2") {
			return "3" + packet[1:strings.Index(packet, "[")] + "[null]"
		}
		return ""
	})
	s := newSocket(t, url, retrying())
	told := make(chan error, 1)
	s.OnConnect(func() {
		if err := s.EmitFunc("echo", func(_ client.Args, err error) { told <- err }, nil); err != nil {
			t.Error(err)
		}
	})
	for i := range 300 {
		if err := s.Connect(soon(t)); err != nil {
			t.Fatal(err)
		}
		if err := testkit.Within(t, "an acknowledgement", told); err != nil {
			t.Fatal(err)
		}
		s.Disconnect()
		packets(t, sent, "0", fmt.Sprintf(`2%d["echo",null]`, i), "1")
	}
}

// Names of the lifecycle are no events.
func TestReservedNames(t *testing.T) {
	s := newSocket(t, "http://127.0.0.1:1", nil)
	for _, name := range []string{"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"} {
		if err := s.Emit(name, "goodbye"); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Handlers that were removed are not called; of what is emitted they see the arguments, binary ones too.
func TestCatchAll(t *testing.T) {
	io, url := start(t, nil)
	io.OnConnection(func(s *socketio.Socket) { _ = s.Emit("handshake", s.Handshake()) })
	s := newSocket(t, url, nil)
	never := func(e *client.Event) { t.Errorf("called for %s", e.Name()) }
	s.OnAny(never)()
	s.OnAnyOutgoing(never)()
	s.On("handshake", never)()
	s.On("handshake", never)
	s.Off("handshake")
	came, went := make(chan string, 1), make(chan error, 2)
	s.OnAny(func(e *client.Event) { came <- e.Name() })
	s.OnAnyOutgoing(func(e *client.Event) {
		var text string
		var data []byte
		err := e.Bind(&text, &data)
		if err == nil && (e.Name() != "my-event" || text != "123" || !bytes.Equal(data, []byte{1, 2, 3})) {
			err = fmt.Errorf("%s %q %v", e.Name(), text, data)
		}
		went <- err
	})
	if err := s.Connect(soon(t)); err != nil {
		t.Fatal(err)
	}
	if name := testkit.Within(t, "an event", came); name != "handshake" {
		t.Error(name)
	}
	if err := s.Emit("my-event", "123", []byte{1, 2, 3}); err != nil {
		t.Fatal(err)
	}
	if err := testkit.Within(t, "what was emitted", went); err != nil {
		t.Error(err)
	}
}

// first is what each connection to a server has begun with; while blocked, WebSocket does not pass.
type first struct {
	mu         sync.Mutex
	transports []string
	blocked    bool
}

func (f *first) block(b bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.blocked = b
}

func (f *first) all() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.transports)
}

func (f *first) before(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		transport := r.URL.Query().Get("transport")
		f.mu.Lock()
		blocked := f.blocked && transport == eio.WebSocket
		if r.URL.Query().Get("sid") == "" {
			f.transports = append(f.transports, transport)
		}
		f.mu.Unlock()
		if blocked {
			http.Error(w, "not here", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// A connection begins with WebSocket where the one before was one, if it is to, as long as that works.
func TestRememberUpgrade(t *testing.T) {
	for _, remember := range []bool{true, false} {
		t.Run(fmt.Sprint(remember), func(t *testing.T) {
			testkit.NoLeaks(t)
			io := socketio.NewServer(nil)
			f := new(first)
			site := httptest.NewServer(f.before(io))
			t.Cleanup(func() { _ = io.Close(context.Background()); site.Close() })
			o := quick()
			o.RememberUpgrade = remember
			s := connect(t, site.URL, o)
			upgraded := func() {
				t.Helper()
				for until := time.Now().Add(testkit.Patience); s.Manager().Engine().Transport() != eio.WebSocket; time.Sleep(time.Millisecond) {
					if time.Now().After(until) {
						t.Fatal("no upgrade")
					}
				}
			}
			upgraded()
			s.Disconnect()
			if err := s.Connect(soon(t)); err != nil {
				t.Fatal(err)
			}
			upgraded()
			f.block(true)
			s.Disconnect()
			if err := s.Connect(soon(t)); err != nil {
				t.Fatal(err)
			}
			want := []string{eio.Polling, eio.Polling, eio.Polling}
			if remember {
				want = []string{eio.Polling, eio.WebSocket, eio.WebSocket, eio.Polling}
			}
			if got := f.all(); !slices.Equal(got, want) {
				t.Errorf("%v, want %v", got, want)
			}
		})
	}
}
