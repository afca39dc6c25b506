package interop

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"

	eio "baro.dev/engineio/client"
)

// TestEngineIOClientOfOurs asks of our client of Engine.IO what the tests of the official one ask of that.
func TestEngineIOClientOfOurs(t *testing.T) {
	for _, server := range socketIOs() {
		t.Run(server.name, func(t *testing.T) {
			t.Parallel()
			url := server.start(t, "echo")
			for _, transports := range transports {
				for name, base64 := range map[string]bool{"": false, ", base64": true} {
					t.Run(strings.Join(transports, " to ")+name, func(t *testing.T) {
						echoes(t, url, &eio.Options{Transports: transports, ForceBase64: base64})
					})
				}
			}
			t.Run("the second transport", func(t *testing.T) { secondTransport(t, url) })
		})
	}
}

// echoes has messages come back, which together are more than the server takes at once: they go as that permits.
func echoes(t *testing.T, url string, o *eio.Options) {
	transports := slices.Clone(o.Transports)
	got, upgraded, ended := make(chan eio.Message, 100), make(chan string, 10), make(chan error, 1)
	o.OnMessage = func(_ *eio.Session, m eio.Message) {
		m.Data = bytes.Clone(m.Data)
		got <- m
	}
	o.OnUpgrade = func(_ *eio.Session, transport string) { upgraded <- transport }
	o.OnClose = func(_ *eio.Session, err error) { ended <- err }
	s, err := eio.Dial(inTime(t), url, o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.CloseNow()
	if !slices.Equal(o.Transports, transports) {
		t.Errorf("the options have become %v", o.Transports)
	}
	if len(transports) > 1 {
		within(t, "the upgrade", upgraded)
	}
	if last := transports[len(transports)-1]; s.Transport() != last || len(upgraded) > 0 {
		t.Errorf("it goes by %s, though only %s is wanted", s.Transport(), last)
	}
	const most = 10_000 // of the role
	text := func(s string, n int) eio.Message { return eio.Message{Data: []byte(strings.Repeat(s, n))} }
	binary := func(n int) eio.Message { return eio.Message{Data: bytes.Repeat([]byte{3}, n), Binary: true} }
	sent := []eio.Message{
		{Data: []byte{0, 1, 2, 3, 4}, Binary: true}, text("cash money €€€", 1), text("\U00010000-\U000FFFFF\uE000-\uF8FF", 1),
		text("a", most-1), text("b", most/3), text("c", most/3), text("d", most/3-3), text("€", most/3-1), // the middle three fit exactly
		binary(most*7/10 - 1), binary(most / 5), text("e", most/5), binary(most / 5), binary(most*7/10 - 1),
	}
	for _, m := range sent {
		if err := s.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range sent {
		if m := within(t, "an echo", got); m.Binary != want.Binary || !bytes.Equal(m.Data, want.Data) {
			t.Fatalf("message %d has come back as %.20q of %d bytes", i, m.Data, len(m.Data))
		}
	}
	if err := s.Send(text("f", most)); !errors.Is(err, eio.ErrTooLarge) {
		t.Errorf("more than the server takes: %v", err)
	}
	if err := s.Close(inTime(t)); err != nil {
		t.Error(err)
	}
	if err := s.Send(text("late", 1)); !errors.Is(err, eio.ErrClosed) {
		t.Errorf("sent after the end: %v", err)
	}
	if err := within(t, "the end", ended); !errors.Is(err, eio.ErrClosed) || len(got) > 0 {
		t.Errorf("%v; %d messages more", err, len(got))
	}
}

// secondTransport has the first one not pass.
func secondTransport(t *testing.T, server string) {
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	next := httputil.NewSingleHostReverseProxy(u)
	for _, denied := range []string{eio.Polling, eio.WebSocket} {
		front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("transport") == denied {
				http.Error(w, "not by this way", http.StatusForbidden)
				return
			}
			next.ServeHTTP(w, r)
		}))
		o := eio.Options{Transports: []string{eio.Polling, eio.WebSocket}, TryAllTransports: true}
		if denied == eio.WebSocket {
			slices.Reverse(o.Transports)
		}
		s, err := eio.Dial(inTime(t), front.URL, &o)
		if err != nil {
			t.Errorf("without %s: %v", denied, err)
		} else {
			if s.Transport() != o.Transports[1] {
				t.Errorf("it goes by %s", s.Transport())
			}
			s.CloseNow()
			within(t, "the end", s.Done())
		}
		o.TryAllTransports = false
		_, err = eio.Dial(inTime(t), front.URL, &o)
		if e, ok := errors.AsType[*eio.RefusedError](err); !ok || e.Status != http.StatusForbidden {
			t.Errorf("%s alone: %v", denied, err)
		}
		front.Close()
	}
}
