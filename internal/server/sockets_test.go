package server

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"baro.dev/channel"
	"baro.dev/ws"
)

func dialSocket(t *testing.T, s *Server, path string, o *ws.DialOptions) *ws.Conn {
	t.Helper()
	c, _, err := ws.Dial(t.Context(), s.url(path), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseNow() })
	return c
}

var envelopes = &ws.DialOptions{Subprotocols: []string{subprotocolJSON}}

func readSocket(t *testing.T, c *ws.Conn) ws.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	m, err := c.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// A frame is the message, with nothing around it, whichever way it was published.
func TestSocketPlain(t *testing.T) {
	s := start(t, Config{})
	a, b := dialSocket(t, s, "/c/a", nil), dialSocket(t, s, "/c/a", nil)
	if err := a.Write(t.Context(), ws.Text, []byte("메세지")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*ws.Conn{a, b} {
		if m := readSocket(t, c); m.Type != ws.Text || m.String() != "메세지" {
			t.Errorf("got %v %q", m.Type, m.Data)
		}
	}
	bin := []byte{0, 255, 1}
	if err := b.Write(t.Context(), ws.Binary, bin); err != nil {
		t.Fatal(err)
	}
	if m := readSocket(t, a); m.Type != ws.Binary || !bytes.Equal(m.Data, bin) {
		t.Errorf("got %v %q", m.Type, m.Data)
	}
	batch, err := s.Hub().Read("a", channel.Oldest(), 0)
	if err != nil || len(batch.Messages) != 2 || !batch.Messages[1].Binary || batch.Messages[0].Binary {
		t.Errorf("the channel has %v, %v", batch.Messages, err)
	}
}

func TestSocketEnvelopes(t *testing.T) {
	s := start(t, Config{})
	c := dialSocket(t, s, "/c/a", envelopes)
	if c.Subprotocol() != subprotocolJSON {
		t.Fatalf("subprotocol %q", c.Subprotocol())
	}
	for _, test := range []struct {
		sent  string
		want  channel.Message
		wrong string
	}{
		{sent: `{"data":"x","event":"e","id":"7"}`, want: channel.Message{Data: []byte("x"), Event: "e", ID: "7"}},
		{sent: `{"base64":"AP8="}`, want: channel.Message{Data: []byte{0, 255}, Binary: true}},
		{sent: `nonsense`, wrong: "invalid_envelope"},
		{sent: `{"event":"e"}`, wrong: "invalid_envelope"},
		{sent: `{"data":"x","event":"baro.reset"}`, wrong: "invalid_event"},
		{sent: `{"data":"` + strings.Repeat("x", 256<<10+1) + `"}`, wrong: "too_large"},
		{sent: `{"data":"still here"}`, want: channel.Message{Data: []byte("still here")}},
	} {
		if err := c.Write(t.Context(), ws.Text, []byte(test.sent)); err != nil {
			t.Fatal(err)
		}
		answer := readSocket(t, c).Data
		var failed struct{ Error errorBody }
		if err := json.Unmarshal(answer, &failed); err != nil {
			t.Fatal(err)
		}
		if failed.Error.Code != test.wrong {
			t.Errorf("%.40s: answered %s", test.sent, answer)
		}
		if test.wrong != "" {
			continue
		}
		var got channel.Message
		if err := json.Unmarshal(answer, &got); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Data, test.want.Data) || got.Binary != test.want.Binary || got.Event != test.want.Event || test.want.ID != "" && got.ID != test.want.ID {
			t.Errorf("%s: came as %s", test.sent, answer)
		}
	}
}

// What was missed comes first; what cannot be had is said.
func TestSocketRecovery(t *testing.T) {
	s := start(t, Config{})
	at := publishText(t, s, "a", "1", "2", "3").Position()
	c := dialSocket(t, s, "/c/a?after=1&epoch="+at.Epoch, nil)
	publishText(t, s, "a", "4")
	for _, want := range []string{"2", "3", "4"} {
		if m := readSocket(t, c); m.String() != want {
			t.Errorf("got %q, want %q", m.Data, want)
		}
	}
	lost := dialSocket(t, s, "/c/a?after=OTHER:1", nil)
	if _, err := lost.Read(t.Context()); ws.CloseStatus(err) != statusNotRecoverable {
		t.Errorf("ended with %v, want close code 4410", err)
	}
	reset := dialSocket(t, s, "/c/a?after=OTHER:1", envelopes)
	var first struct {
		Event, Epoch, Next string
		Offset             uint64
	}
	if err := json.Unmarshal(readSocket(t, reset).Data, &first); err != nil {
		t.Fatal(err)
	}
	if first.Event != "baro.reset" || first.Epoch != at.Epoch || first.Offset != 4 {
		t.Errorf("the first envelope is %+v", first)
	}
	publishText(t, s, "a", "5")
	if m := readSocket(t, reset); !strings.Contains(m.String(), `"data":"5"`) {
		t.Errorf("then comes %s", m.Data)
	}
}

func TestSocketTooLarge(t *testing.T) {
	s := start(t, Config{Channels: channel.Options{MaxMessageBytes: 100}})
	c := dialSocket(t, s, "/c/a", nil)
	if err := c.Write(t.Context(), ws.Binary, make([]byte, 101)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(t.Context()); ws.CloseStatus(err) != ws.StatusMessageTooBig {
		t.Errorf("ended with %v", err)
	}
	eventually(t, "its slot is given back", func() bool { return s.used() == 0 })
}

// A client that does not read is cut, and costs no more than its queue; the others notice nothing.
func TestSocketSlow(t *testing.T) {
	s := start(t, Config{QueueBytes: 64 << 10})
	slow, fast := dialSocket(t, s, "/c/a", nil), dialSocket(t, s, "/c/a", nil)
	data := bytes.Repeat([]byte{'x'}, 32<<10)
	for range 400 { // more than the kernel takes for the slow one
		if _, err := s.Hub().Publish("a", channel.Message{Data: data, Binary: true}); err != nil {
			t.Fatal(err)
		}
		if m := readSocket(t, fast); len(m.Data) != len(data) {
			t.Fatalf("the fast one got %d bytes", len(m.Data))
		}
	}
	var err error
	for err == nil {
		_, err = slow.Read(t.Context())
	}
	if code := ws.CloseStatus(err); code != ws.StatusPolicyViolation && code != ws.StatusAbnormalClosure {
		t.Errorf("the slow one: %v", err)
	}
}

// Stopping tells the clients, and waits for them.
func TestSocketDrain(t *testing.T) {
	s := start(t, Config{})
	plain, envelope := dialSocket(t, s, "/c/a", nil), dialSocket(t, s, "/c/b", envelopes)
	eventually(t, "both are there", func() bool { n, _ := s.registry.Len(); return n == 2 })
	stopped := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		stopped <- s.Shutdown(ctx)
	}()
	for _, c := range []*ws.Conn{plain, envelope} {
		if _, err := c.Read(t.Context()); ws.CloseStatus(err) != ws.StatusServiceRestart {
			t.Errorf("ended with %v", err)
		}
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if s.used() != 0 {
		t.Error("a slot is still in use")
	}
}

// A handshake that is refused after the slot was taken gives it back.
func TestSocketRefusedGivesBack(t *testing.T) {
	s := start(t, Config{})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url("/c/a"), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "websocket")
	r.Header.Set("Sec-WebSocket-Version", "8")
	response, err := client(t).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusUpgradeRequired || s.used() != 0 {
		t.Errorf("status %d, %d slots in use", response.StatusCode, s.used())
	}
}
