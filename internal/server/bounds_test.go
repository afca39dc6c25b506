package server

import (
	"context"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"baro.dev/engineio"
	"baro.dev/internal/clients"
	"baro.dev/ws"
)

// begins is a client over each transport: it begins with a request, and says with which status, or 0 for none.
var begins = map[string]func(t *testing.T, s *Server, header ...string) (status int, response answer, body string){
	"sse":    beginHTTP("/c/a", "Accept", typeSSE),
	"ndjson": beginHTTP("/c/a", "Accept", typeNDJSON),
	"poll":   beginHTTP("/c/a?wait=20s&after=now"),
	"websocket": beginHTTP("/c/a", "Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13",
		"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
	"ws": beginHTTP("/ws", "Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13",
		"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
	"socket.io": beginHTTP("/socket.io/?EIO=4&transport=polling"),
	"socket.io websocket": beginHTTP("/socket.io/?EIO=4&transport=websocket", "Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13",
		"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
}

// beginHTTP begins with a request of its own connection, which stays until the test ends.
func beginHTTP(path string, always ...string) func(*testing.T, *Server, ...string) (int, answer, string) {
	return func(t *testing.T, s *Server, header ...string) (int, answer, string) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		t.Cleanup(cancel)
		r, err := http.NewRequestWithContext(ctx, "GET", s.url(path), nil)
		if err != nil {
			t.Fatal(err)
		}
		for all := append(header, always...); len(all) > 0; all = all[2:] {
			r.Header.Set(all[0], all[1])
		}
		type got struct {
			response *http.Response
			err      error
		}
		answered := make(chan got, 1)
		used := s.used()
		go func() {
			response, err := client(t).Transport.RoundTrip(r)
			answered <- got{response, err}
		}()
		var g got
		for waits := strings.Contains(path, "wait="); ; {
			select {
			case g = <-answered:
			case <-time.After(time.Millisecond):
				if waits && s.used() > used {
					return 0, answer{}, ""
				}
				continue
			}
			break
		}
		if g.err != nil {
			t.Fatal(g.err)
		}
		t.Cleanup(func() { g.response.Body.Close() })
		if g.response.StatusCode < 400 {
			eventually(t, "it is counted", func() bool { return s.used() > used })
			return g.response.StatusCode, answer{Header: g.response.Header}, ""
		}
		response, body := read(t, g.response)
		return g.response.StatusCode, response, body
	}
}

// An address has so many clients, over whatever transport, and no more; others have theirs.
func TestMaxClientsOfAddress(t *testing.T) {
	for name, begin := range begins {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, Config{MaxConnectionsPerAddress: 2, TrustedProxies: []string{"loopback"}})
			for _, address := range []string{"198.51.100.1", "198.51.100.1", "198.51.100.2", "2001:db8::1", "2001:db8::2"} {
				if status, _, body := begin(t, s, "X-Forwarded-For", address); status >= 400 {
					t.Fatalf("%s: status %d, %s", address, status, body)
				}
			}
			for _, address := range []string{"198.51.100.1", "2001:db8::3:0:0:1"} {
				_, response, body := begin(t, s, "X-Forwarded-For", address)
				wantError(t, response, body, http.StatusTooManyRequests, "too_many_of_address")
				if response.Header.Get("Retry-After") == "" {
					t.Errorf("%s is not told when to come back", address)
				}
			}
			if status, _, body := begin(t, s, "X-Forwarded-For", "2001:db8:0:1::1"); status >= 400 {
				t.Errorf("another network: status %d, %s", status, body)
			}
			s.connections.hosts.mu.Lock()
			n := len(s.connections.hosts.all)
			s.connections.hosts.mu.Unlock()
			if n != 4 {
				t.Errorf("%d addresses are remembered, want 4", n)
			}
		})
	}
}

// What was counted is forgotten with the last client.
func TestHostsForget(t *testing.T) {
	s := start(t, Config{MaxConnectionsPerAddress: 100, TrustedProxies: []string{"loopback"}})
	t.Run("come and go", func(t *testing.T) {
		for _, begin := range begins {
			begin(t, s, "X-Forwarded-For", "198.51.100.1")
		}
	})
	for _, c := range s.socketIO.sessions.list() { // of who polls nobody knows yet that it is gone
		c.CloseNow()
	}
	eventually(t, "all are forgotten", func() bool {
		s.connections.hosts.mu.Lock()
		defer s.connections.hosts.mu.Unlock()
		return len(s.connections.hosts.all) == 0
	})
	if n := s.used(); n != 0 {
		t.Errorf("%d are used", n)
	}
}

func (k *sessions) list() []*engineio.Session {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Collect(maps.Keys(k.all))
}

// A connection of an address that has enough is told so, and beyond a few just closed. A trusted proxy has as many as it likes.
func TestMaxConnectionsOfAddress(t *testing.T) {
	s := start(t, Config{MaxConnectionsPerAddress: 2})
	dial(t, s)
	dial(t, s)
	eventually(t, "both are counted", func() bool { return s.connections.open.Load() == 2 })
	response, body := raw(t, s, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
	wantError(t, response, body, http.StatusTooManyRequests, "too_many_of_address")
	if !response.Close {
		t.Error("it stays open")
	}
	for range reserveOfHost {
		dial(t, s)
	}
	eventually(t, "one is closed at once", func() bool {
		c := dial(t, s)
		defer c.Close()
		_, err := c.Read(make([]byte, 1))
		return err != nil
	})

	s = start(t, Config{MaxConnectionsPerAddress: 2, TrustedProxies: []string{"loopback"}})
	for range 5 {
		dial(t, s)
	}
	if response, _ := raw(t, s, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"); response.StatusCode != http.StatusOK {
		t.Errorf("a proxy: status %d", response.StatusCode)
	}
}

// Of IPv6 a network counts.
func TestHostKey(t *testing.T) {
	for a, want := range map[string]string{
		"198.51.100.1": "198.51.100.1/32", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "::1": "::/64",
	} {
		if got := hostKey(netip.MustParseAddr(a)); got.String() != want {
			t.Errorf("%s: %v", a, got)
		}
	}
}

// engineSocket is a session of Socket.IO without a namespace.
func engineSocket(t *testing.T, s *Server) *socketIOClient {
	t.Helper()
	c, _, err := ws.Dial(t.Context(), s.url("/socket.io/?EIO=4&transport=websocket"), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseNow() })
	socket := &socketIOClient{c, t}
	socket.expect(`0{"sid":`)
	return socket
}

// So many connections of a user, over whatever transport. Whoever is nobody is not counted.
func TestMaxClientsOfUser(t *testing.T) {
	config := withTokens(t)
	config.MaxConnectionsPerUser, config.Anonymous, config.Rules = 2, true, []Rule{devRule()}
	s := start(t, config)
	token := func(user string) string { return token(t, user, time.Hour, nil) }
	for _, name := range []string{"sse", "websocket"} {
		if status, _, body := begins[name](t, s, "Authorization", "Bearer "+token("ana")); status >= 400 {
			t.Fatalf("%s: status %d, %s", name, status, body)
		}
	}
	eventually(t, "both are there", func() bool { n, _ := s.registry.Len(); return n == 2 })
	for _, name := range []string{"sse", "ndjson", "websocket", "ws"} {
		_, response, body := begins[name](t, s, "Authorization", "Bearer "+token("ana"))
		wantError(t, response, body, http.StatusTooManyRequests, "too_many_of_user")
		if status, _, body := begins[name](t, s, "Authorization", "Bearer "+token("ben "+name)); status >= 400 {
			t.Errorf("%s: another: status %d, %s", name, status, body)
		}
		for range 3 {
			if status, _, body := begins[name](t, s); status >= 400 {
				t.Errorf("%s: nobody: status %d, %s", name, status, body)
			}
		}
	}

	// /ws, with connect: an error, and a close code to come back with.
	c, _, err := ws.Dial(t.Context(), s.url("/ws"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	if err := c.Write(t.Context(), ws.Text, []byte(`{"id":1,"connect":{"token":"`+token("ana")+`"}}`)); err != nil {
		t.Fatal(err)
	}
	said := ""
	for {
		m, err := c.Read(t.Context())
		if err != nil {
			if ws.CloseStatus(err) != 4000 || !strings.Contains(err.Error(), "too_many_of_user") {
				t.Errorf("it was closed with %v", err)
			}
			break
		}
		said += string(m.Data)
	}
	if !strings.Contains(said, `"number":1013`) {
		t.Errorf("/ws: %s", said)
	}

	// Socket.IO.
	socket := engineSocket(t, s)
	socket.say(`40{"token":"` + token("ana") + `"}`)
	socket.expect(`44{"message":"`, `"code":"too_many_of_user"`, `"number":1013`)

	// One leaves, another comes.
	settled := func() bool { n, _ := s.registry.Len(); return s.used() == n+1 } // one of Socket.IO is in no namespace
	eventually(t, "who was refused is gone", settled)
	for _, one := range s.registry.OfUser("ana")[:1] {
		one.Disconnect(clients.EndReconnect)
	}
	eventually(t, "one is gone", func() bool { return len(s.registry.OfUser("ana")) == 1 && settled() })
	if status, _, body := begins["sse"](t, s, "Authorization", "Bearer "+token("ana")); status >= 400 {
		t.Errorf("with room again: status %d, %s", status, body)
	}
}

// Of those who connect at once a burst is let in, the others are told to come back; who is in notices nothing, and polls and messages
// are no connects.
func TestConnectRate(t *testing.T) {
	s := start(t, Config{ConnectRate: 1, ConnectBurst: len(begins) - 1, Heartbeat: time.Minute})
	for name, begin := range begins {
		if status, _, body := begin(t, s); status >= 400 {
			t.Errorf("%s: status %d, %s", name, status, body)
		}
	}
	spread := map[string]bool{}
	refused := 0
	for name, begin := range begins {
		if name == "poll" {
			continue
		}
		for range 5 { // time goes on
			status, response, body := begin(t, s)
			if status < 400 {
				continue
			}
			refused++
			wantError(t, response, body, http.StatusServiceUnavailable, "too_many_connects")
			spread[response.Header.Get("Retry-After")] = true
		}
	}
	if refused < 10 || len(spread) < 2 || spread[""] {
		t.Errorf("%d were refused, told to come back after %v", refused, spread)
	}
	for _, r := range [][]string{{"GET", "/c/a"}, {"GET", "/livez"}, {"POST", "/c/a"}} {
		if response, body := request(t, r[0], s.url(r[1]), ""); response.StatusCode != http.StatusOK {
			t.Errorf("%s %s: status %d, %s", r[0], r[1], response.StatusCode, body)
		}
	}
}

// An EventSource gives up for good at an error: it is told to come back, by an event stream.
func TestBrowsersComeBack(t *testing.T) {
	s := start(t, Config{})
	s.limitClients(0)
	response, body := request(t, "GET", s.url("/c/a"), "", "Accept", typeSSE, "Sec-Fetch-Mode", "cors")
	if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != typeSSE {
		t.Errorf("status %d, %v", response.StatusCode, response.Header)
	}
	e := newEvents(strings.NewReader(body))
	if ev, err := e.next(); err != nil || ev.name != "baro.refused" || !strings.Contains(ev.data, "too_many_clients") || e.retry == "" || e.last != "" {
		t.Errorf("%+v, %v, retry %q, last %q", ev, err, e.retry, e.last)
	}
	// What trying again does not help is an error for them, too.
	response, body = request(t, "GET", s.url("/c/a?format=x"), "", "Accept", typeSSE, "Sec-Fetch-Mode", "cors")
	wantError(t, response, body, http.StatusBadRequest, "invalid_format")
}

// Bounds are replaced while the server runs, and hold for who comes then.
func TestBoundsChange(t *testing.T) {
	s := start(t, Config{})
	begins["sse"](t, s)
	begins["sse"](t, s)
	change := func(c Config) {
		t.Helper()
		c.Dev = true
		p, err := c.prepare()
		if err != nil {
			t.Fatal(err)
		}
		p.backends.closeNow()
		s.setLimits(&p)
	}
	change(Config{MaxConnections: 2})
	_, response, body := begins["sse"](t, s)
	wantError(t, response, body, http.StatusServiceUnavailable, "too_many_clients")
	change(Config{MaxConnectionsPerAddress: 1})
	if status, _, body := begins["sse"](t, s); status >= 400 { // those before were not counted
		t.Errorf("status %d, %s", status, body)
	}
	_, response, body = begins["sse"](t, s)
	wantError(t, response, body, http.StatusTooManyRequests, "too_many_of_address")
	change(Config{ConnectRate: 1})
	begins["sse"](t, s)
	_, response, body = begins["sse"](t, s)
	wantError(t, response, body, http.StatusServiceUnavailable, "too_many_connects")
	change(Config{})
	if status, _, body := begins["sse"](t, s); status >= 400 {
		t.Errorf("status %d, %s", status, body)
	}
}
