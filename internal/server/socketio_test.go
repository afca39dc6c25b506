package server

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"baro.dev/ws"
)

// socketIOClient speaks Socket.IO over WebSocket, as the official clients do.
type socketIOClient struct {
	*ws.Conn
	t *testing.T
}

func dialSocketIO(t *testing.T, url string) *socketIOClient {
	t.Helper()
	c, _, err := ws.Dial(t.Context(), url+"/socket.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseNow() })
	g := &socketIOClient{c, t}
	g.expect(`0{"sid":`)
	g.say("40")
	g.expect(`40{"sid":`)
	return g
}

func (c *socketIOClient) say(packet string) {
	c.t.Helper()
	if err := c.Send(ws.Text, []byte(packet)); err != nil {
		c.t.Fatal(err)
	}
}

// expect waits for a message that has all parts, in order, the first at its beginning.
func (c *socketIOClient) expect(parts ...string) {
	c.t.Helper()
	m, err := c.Read(c.t.Context())
	rest := m.String()
	ok := err == nil && strings.HasPrefix(rest, parts[0])
	for _, part := range parts {
		_, after, found := strings.Cut(rest, part)
		ok, rest = ok && found, after
	}
	if !ok {
		c.t.Fatalf("%q, %v; want %q", m, err, parts)
	}
}

// Channels are there over Socket.IO: subscribing, publishing, unsubscribing, and getting what was missed.
func TestSocketIO(t *testing.T) {
	s, err := New(Config{Dev: true})
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(s)
	defer front.Close()
	defer s.Close()
	a, b := dialSocketIO(t, front.URL), dialSocketIO(t, front.URL)

	a.say(`421["subscribe","news"]`)
	a.expect(`431[{"epoch":"`, `"offset":0,`)
	a.say(`422["subscribe","news",{"after":"now"}]`)
	a.expect(`432[{"error":{"message":`, `"code":"subscribed"`)
	a.say(`423["subscribe","news",{"after":"?"}]`)
	a.expect(`433[{"error":{"message":`, `"code":"invalid_`)
	a.say(`424["subscribe",""]`)
	a.expect(`434[{"error":{"message":`, `"code":"invalid_`)

	b.say(`421["publish","news","안녕"]`)
	b.expect(`431[{"offset":1,"epoch":"`)
	a.expect(`42["message",{"channel":"news","offset":1,"epoch":"`, `"data":"안녕"}]`)
	b.say(`422["publish","news",{"n":[1.50]},{"event":"score","id":"x"}]`)
	b.expect(`432[{"offset":2,`, `"id":"x"}]`)
	a.expect(`42["message",`, `"offset":2`, `"id":"x"`, `"event":"score","data":"{\"n\":[1.50]}"}]`)
	b.say(`451-3["publish","news",{"_placeholder":true,"num":0}]`)
	if err := b.Send(ws.Binary, []byte("\x00\xff")); err != nil {
		t.Fatal(err)
	}
	b.expect(`433[{"offset":3,`)
	a.expect(`451-["message",`, `"data":{"_placeholder":true,"num":0}}]`)
	a.expect("\x00\xff")

	b.say(`424["subscribe","news",{"after":"1"}]`)
	b.expect(`42["message",{"channel":"news","offset":2,`)
	b.expect(`451-["message",{"channel":"news","offset":3,`)
	b.expect("\x00\xff")
	b.expect(`434[{"epoch":"`, `"offset":1,`)
	b.say(`425["subscribe","other",{"after":"nowhere:7"}]`)
	b.expect(`435[{"error":`, `"code":"not_recoverable"`, `"offset":0`)

	a.say(`425["unsubscribe","news"]`)
	a.expect(`435[true]`)
	a.say(`426["unsubscribe","news"]`)
	a.expect(`436[false]`)

	// Other transports see the same channel.
	resp, err := http.Post(front.URL+"/c/news", "text/plain", strings.NewReader("by POST"))
	if err != nil || resp.StatusCode != 200 {
		t.Fatal(resp, err)
	}
	resp.Body.Close()
	b.expect(`42["message",`, `"offset":4`, `"data":"by POST"}]`)
}

// One client cannot subscribe without end, and there are only so many clients.
func TestSocketIOBounds(t *testing.T) {
	s, err := New(Config{Dev: true, MaxConnections: 2})
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(s)
	defer front.Close()
	defer s.Close()
	a := dialSocketIO(t, front.URL)
	for i := range 1000 {
		a.say(fmt.Sprintf(`42%d["subscribe","%d"]`, i, i))
		a.expect(fmt.Sprintf(`43%d[{"epoch":`, i))
	}
	a.say(`429999["subscribe","more"]`)
	a.expect(`439999[{"error":`, `"code":"too_many_subscriptions"`)
	dialSocketIO(t, front.URL)
	// An official client comes back by itself if it gets no session.
	_, response, err := ws.Dial(t.Context(), front.URL+"/socket.io/?EIO=4&transport=websocket", nil)
	if err == nil || response == nil || response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") == "" {
		t.Errorf("the third: %v, %v", response, err)
	}
	polled, body := request(t, "GET", front.URL+"/socket.io/?EIO=4&transport=polling", "")
	wantError(t, polled, body, http.StatusServiceUnavailable, "too_many_clients")
}

// Clients that leave while they are being let in do not count for ever.
func TestSocketIOBoundsOfThoseWhoLeave(t *testing.T) {
	s, err := New(Config{Dev: true, MaxConnections: 1, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(s)
	defer front.Close()
	defer s.Close()
	for range 300 {
		c, response, err := ws.Dial(t.Context(), front.URL+"/socket.io/?EIO=4&transport=websocket", nil)
		if response != nil && response.StatusCode == http.StatusServiceUnavailable {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Write(t.Context(), ws.Text, []byte("40")); err != nil {
			t.Fatal(err)
		}
		c.CloseNow()
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		c, response, err := ws.Dial(t.Context(), front.URL+"/socket.io/?EIO=4&transport=websocket", nil)
		if response != nil && response.StatusCode == http.StatusServiceUnavailable && time.Now().Before(deadline) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		_ = c.Write(t.Context(), ws.Text, []byte("40"))
		var m ws.Message
		for err == nil && !strings.HasPrefix(string(m.Data), "4") { // behind the handshake
			m, err = c.Read(t.Context())
		}
		c.CloseNow()
		switch { // the last one may have come at the same time as others
		case strings.HasPrefix(string(m.Data), "40"):
			return
		case time.Now().After(deadline):
			t.Fatalf("%s, %v", m.Data, err)
		}
	}
}
