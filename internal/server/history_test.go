package server

import (
	"context"
	"strings"
	"testing"
	"time"

	"baro.dev/channel"
	"baro.dev/internal/clients"
	"baro.dev/ws"
)

// A client's own messages, which do not come back to it, are in the history nevertheless.
func TestHistoryHasOwnMessages(t *testing.T) {
	quiet := devRule()
	quiet.NoEcho = true
	s := start(t, Config{Dev: true, Rules: []Rule{quiet}})
	overBoth(t, func(t *testing.T, transport string) {
		k := mustTalk(t, s, transport, "")
		name := "of-" + transport
		k.must("subscribe", `{"channel":"`+name+`"}`, nil)
		k.must("publish", `{"channel":"`+name+`","data":"mine"}`, nil)
		publishText(t, s, name, "another's")
		k.expect("message", `another's`)
		var answer struct{ Messages []channel.Message }
		k.must("history", `{"channel":"`+name+`"}`, &answer)
		if len(answer.Messages) != 2 || string(answer.Messages[0].Data) != "mine" {
			t.Errorf("%+v", answer)
		}
	})
}

// An envelope with the key of another is not published again.
func TestEnvelopeKey(t *testing.T) {
	s := start(t, Config{})
	c := dialSocket(t, s, "/c/a", &ws.DialOptions{Subprotocols: []string{subprotocolJSON}})
	for _, envelope := range []string{`{"data":"once","key":"k"}`, `{"data":"once","key":"k"}`, `{"data":"more","key":"l"}`} {
		if err := c.Write(t.Context(), ws.Text, []byte(envelope)); err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range []string{"once", "more"} {
		var m channel.Message
		if err := m.UnmarshalJSON(readSocket(t, c).Data); err != nil || string(m.Data) != want || m.Offset != uint64(i+1) {
			t.Errorf("%+v, %v; want %s", m, err, want)
		}
	}
	if err := c.Write(t.Context(), ws.Text, []byte(`{"data":"x","key":"`+strings.Repeat("k", 129)+`"}`)); err != nil {
		t.Fatal(err)
	}
	if m := readSocket(t, c); !strings.Contains(string(m.Data), `"invalid_key"`) {
		t.Errorf("%s", m.Data)
	}
}

// A client is told that it is connected before anything else, however fast the backend is.
func TestConnectedComesFirst(t *testing.T) {
	var s *Server
	s = startWith(t, Config{Dev: true}, func(c *clients.Config) {
		c.Notify = func(kind string, data any) {
			e, ok := data.(clients.Event)
			if !ok || kind != clients.TypeConnected {
				return
			}
			ctx, told := context.WithTimeout(context.Background(), 50*time.Millisecond)
			go func() {
				defer told()
				s.registry.Subscribe(clients.Target{Clients: []string{e.Client}}, "\x00") // no such channel: unsubscribed
			}()
			<-ctx.Done()
		}
	})
	k := mustTalk(t, s, "ws", "") // which wants connected first
	k.expect("unsubscribed")
}
