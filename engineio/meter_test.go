package engineio_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"baro.dev/engineio"
	"baro.dev/ws"
)

// meter notes what it is told.
type meter struct {
	mu                       sync.Mutex
	received, sent, bytes    map[string]int
	opened, closed, measured []string
}

func (m *meter) note(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
}

func (m *meter) Opened(transport string) { m.note(func() { m.opened = append(m.opened, transport) }) }

func (m *meter) Closed(transport string, err *engineio.CloseError) {
	m.note(func() { m.closed = append(m.closed, transport+": "+string(err.Reason)) })
}

func (m *meter) Received(transport string, messages, bytes int) {
	m.note(func() { m.received[transport] += messages; m.bytes[transport] += bytes })
}

func (m *meter) Sent(transport string, messages, bytes int) {
	m.note(func() { m.sent[transport] += messages; m.bytes[transport] += bytes })
}

func (m *meter) RoundTrip(transport string, d time.Duration) {
	m.note(func() {
		if d >= 0 && d < time.Minute {
			m.measured = append(m.measured, transport)
		}
	})
}

// A meter is told of everything, by transport; Stats of those who are there.
func TestMeter(t *testing.T) {
	m := &meter{received: map[string]int{}, sent: map[string]int{}, bytes: map[string]int{}}
	opened := make(chan *engineio.Session, 3)
	e := &engineio.Server{Meter: m, Options: engineio.Options{PingInterval: 100 * time.Millisecond, PingTimeout: time.Minute}}
	e.OnOpen = func(s *engineio.Session, _ *http.Request) { opened <- s }
	e.OnMessage = func(s *engineio.Session, got engineio.Message) { _ = s.Send(got) }
	front := httptest.NewServer(e)
	defer front.Close()
	defer e.Close()

	var all []*ws.Conn
	for range 2 {
		c, _, err := ws.Dial(t.Context(), front.URL+"/?EIO=4&transport=websocket", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.CloseNow()
		if _, err := c.Read(t.Context()); err != nil { // the handshake
			t.Fatal(err)
		}
		all = append(all, c)
	}
	polling, err := front.Client().Get(front.URL + "/?EIO=4&transport=polling")
	if err != nil {
		t.Fatal(err)
	}
	polling.Body.Close()
	if stats := e.Stats(); stats.Sessions[engineio.WebSocket] != 2 || stats.Sessions[engineio.Polling] != 1 {
		t.Errorf("%+v", stats)
	}
	if err := all[0].Write(t.Context(), ws.Text, []byte("4hello")); err != nil {
		t.Fatal(err)
	}
	left := make(chan struct{}, 10)
	p := engineio.NewPrepared(engineio.Message{Data: []byte("abc")})
	p.OnSent(func() { left <- struct{}{} })
	e.Broadcast([]*engineio.Session{receive(t, "the first", opened), receive(t, "the second", opened), receive(t, "the third", opened)}, p, false)
	receive(t, "the broadcast has left", left)
	for pinged := 0; pinged < 2; { // of the first, which answers
		got, err := all[0].Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if string(got.Data) == "2" {
			pinged++
			if err := all[0].Write(t.Context(), ws.Text, []byte("3")); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = all[0].Close(t.Context(), ws.StatusNormalClosure, "")
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		m.mu.Lock()
		done := len(m.closed) == 1
		m.mu.Unlock()
		if done || time.Now().After(end) {
			break
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	slices.Sort(m.opened)
	if got := strings.Join(m.opened, " "); got != "polling websocket websocket" {
		t.Errorf("opened are %s", got)
	}
	if !slices.Equal(m.closed, []string{"websocket: transport close"}) {
		t.Errorf("closed are %v", m.closed)
	}
	if m.received[engineio.WebSocket] != 1 || m.sent[engineio.WebSocket] != 3 || m.bytes[engineio.WebSocket] != 5+5+2*3 {
		t.Errorf("over WebSocket: %d received, %d sent, %d bytes", m.received[engineio.WebSocket], m.sent[engineio.WebSocket], m.bytes[engineio.WebSocket])
	}
	if m.received[engineio.Polling] != 0 || m.sent[engineio.Polling] != 1 || m.bytes[engineio.Polling] != 3 {
		t.Errorf("over polling: %d received, %d sent, %d bytes", m.received[engineio.Polling], m.sent[engineio.Polling], m.bytes[engineio.Polling])
	}
	if len(m.measured) == 0 || m.measured[0] != engineio.WebSocket {
		t.Errorf("pings over %v", m.measured)
	}
}
