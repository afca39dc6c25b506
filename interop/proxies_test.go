package interop

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"baro.dev/ws"
)

// TestProxies has clients use baro serve through the reverse proxies of others, with the configurations of deploy/proxies. The
// timeouts are shorter than there, in proportion: 4 s for 90, a heartbeat of 1 s for 25, a poll of 2 s for 60.
func TestProxies(t *testing.T) {
	t.Parallel()
	flags := []string{"--trusted-proxy", "127.0.0.1", "--heartbeat", "1s", "--reconnect-window", "100ms"}
	first, second := startServer(t, flags...), startServer(t, flags...)
	addresses := make([]string, len(proxies))
	for i, p := range proxies {
		addresses[i] = p.start(t, nil, first.address, second.address)
	}
	// All at once: most of their time they wait.
	each := func(name string, run func(t *testing.T, i int)) {
		t.Run(name, func(t *testing.T) {
			var all sync.WaitGroup
			defer all.Wait()
			for i, p := range proxies {
				all.Go(func() { t.Run(p.name, func(t *testing.T) { run(t, i) }) })
			}
		})
	}
	each("clients", func(t *testing.T, i int) { through(t, addresses[i], first) })
	t.Run("gone", first.forgets)

	connected := make([]*drained, len(proxies))
	each("before the drain", func(t *testing.T, i int) { connected[i] = begin(t, addresses[i]) })
	first.stop()
	each("drain", func(t *testing.T, i int) {
		if connected[i] != nil {
			connected[i].comeBack(t, addresses[i], second)
		}
	})
}

// through is what clients do through a proxy.
func through(t *testing.T, address string, s *server) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	c := &client{t, ctx, address, &http.Client{Transport: &http.Transport{DialContext: dialElsewhere}}}
	var all sync.WaitGroup
	defer all.Wait()
	all.Go(c.transports)
	all.Go(c.large)
	all.Go(func() { c.located(s) })
	all.Go(c.refused)
	t.Run("Socket.IO", func(t *testing.T) {
		checks(t, node(t, "socketio/channels.mjs", map[string]any{"version": 4, "transports": []string{"polling", "websocket"}, "url": "http://" + address,
			"prefix": address, "leave": []string{"2000 messages each way"}})) // which four times at once takes too long where there are two cores
	})
}

// forgets waits until the server knows of nobody any more: proxies tell it when their clients go.
func (s *server) forgets(t *testing.T) {
	gauge := regexp.MustCompile(`(?m)^baro_connections\{.*\} [^0].*$`)
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		response, err := http.Get("http://" + s.admin + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || !bytes.Contains(text, []byte("baro_connections{")) {
			t.Fatalf("%v: %s", err, text)
		}
		left := gauge.FindAll(text, -1)
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("still there: %q", left)
		}
	}
}

// drained are clients of a server that will stop.
type drained struct {
	socket *ws.Conn
	events io.ReadCloser
}

func begin(t *testing.T, address string) *drained {
	d := new(drained)
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	time.AfterFunc(2*patience, cancel) // they live longer than this test
	c := &client{t, ctx, address, &http.Client{Transport: &http.Transport{DialContext: dialElsewhere}}}
	response, err := c.request(http.MethodGet, "/c/drained", "text/event-stream", "")
	if err != nil {
		t.Error(err)
		return nil
	}
	d.events = response.Body
	if d.socket, _, err = ws.Dial(ctx, "ws://"+address+"/ws", &ws.DialOptions{DialContext: dialElsewhere}); err != nil {
		t.Error(err)
		return nil
	}
	return d
}

// comeBack has the clients be told, and come back to the other server through the same proxy.
func (d *drained) comeBack(t *testing.T, address string, other *server) {
	defer d.events.Close()
	defer func() { _ = d.socket.CloseNow() }()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	var err error
	for err == nil {
		_, err = d.socket.Read(ctx)
	}
	if end, ok := errors.AsType[*ws.CloseError](err); !ok || end.Code != 1012 {
		t.Errorf("the WebSocket ended by %v", err)
	}
	if text, err := io.ReadAll(d.events); err != nil || !bytes.Contains(text, []byte("retry: ")) {
		t.Errorf("the stream ended by %q, %v", text, err)
	}
	// Until the proxy has noticed, who comes back and what is published is refused by either, and tries again.
	c := &client{t, ctx, address, &http.Client{Transport: &http.Transport{DialContext: dialElsewhere}}}
	again := func(try func() error) {
		for err := try(); err != nil; err = try() {
			if ctx.Err() != nil {
				t.Fatal(err)
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	again(func() error {
		id, err := connected(t, ctx, address, nil)
		if err == nil && remoteOf(t, other, id) == "" {
			err = errors.New("the client is not at the other server")
		}
		return err
	})
	again(func() error { return c.publish("drained", "after that") })
}

// TestProxyProtocol has HAProxy say where its clients are in the way that needs no HTTP.
func TestProxyProtocol(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--trusted-proxy", "127.0.0.1", "--proxy-protocol")
	for _, p := range proxies {
		if p.name != "HAProxy" {
			continue
		}
		address := p.start(t, []string{"\toption forwardfor\n", "", "server one", "default-server send-proxy-v2\n\tserver one"}, s.address)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		(&client{t: t, ctx: ctx, address: address}).located(s)
	}
}

// client is one of many clients of a proxy.
type client struct {
	t       *testing.T
	ctx     context.Context
	address string
	http    *http.Client
}

func (c *client) request(method, path, accept, body string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(c.ctx, method, "http://"+c.address+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if accept != "" {
		r.Header.Set("Accept", accept)
	}
	return c.http.Do(r)
}

func (c *client) publish(channel, text string) error {
	response, err := c.request(http.MethodPost, "/c/"+channel, "", text)
	if err != nil {
		return err
	}
	response.Body.Close()
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("publishing: %s", response.Status)
	}
	return nil
}

// transports opens each, hears something at once while it is open, and hears something again when the proxy would have cut what is silent.
func (c *client) transports() {
	const channel = "transports"
	heard := make(map[string]chan string)
	var readers sync.WaitGroup
	defer readers.Wait()
	socket, err := open(c.t, c.ctx, c.address, "/c/"+channel, nil)
	if err != nil {
		c.t.Error(err)
		return
	}
	defer func() { _ = socket.CloseNow() }()
	messages := make(chan string, 1000)
	heard["WebSocket"] = messages
	readers.Go(func() {
		defer close(messages)
		for m, err := range socket.Messages(c.ctx) {
			if err != nil {
				return
			}
			messages <- string(m.Data)
		}
	})
	for _, accept := range []string{"text/event-stream", "application/x-ndjson"} {
		response, err := c.request(http.MethodGet, "/c/"+channel, accept, "")
		if err != nil || response.StatusCode != http.StatusOK {
			c.t.Errorf("%s: %v, %v", accept, response, err)
			return
		}
		defer response.Body.Close()
		lines := make(chan string, 1000)
		heard[accept] = lines
		readers.Go(func() {
			defer close(lines)
			for scan := bufio.NewScanner(response.Body); scan.Scan(); {
				lines <- scan.Text()
			}
		})
	}
	say := func(text string) {
		text += " of " + c.address // the others' proxies have the same channel
		if err := c.publish(channel, text); err != nil {
			c.t.Error(err)
			return
		}
		for transport, texts := range heard {
			for found := false; !found; {
				said, ok := <-texts
				if !ok {
					c.t.Errorf("%s: it ended before %q", transport, text)
					break
				}
				found = strings.Contains(said, text)
			}
		}
	}
	say("one")
	began := time.Now()
	response, err := c.request(http.MethodGet, "/c/silent?wait=2s", "", "")
	if err != nil || response.StatusCode != http.StatusOK {
		c.t.Errorf("a poll: %v, %v", response, err)
	} else {
		response.Body.Close()
	}
	time.Sleep(time.Until(began.Add(6 * time.Second))) // what the proxies are to survive is silence
	say("two")
}

// large publishes as much as fits into a message, and reads it again.
func (c *client) large() {
	data := bytes.Repeat([]byte{0, 1, 2, 255}, 60_000)
	if err := c.publish("large/"+c.address, string(data)); err != nil {
		c.t.Error(err)
		return
	}
	response, err := c.request(http.MethodGet, "/c/large/"+c.address, "", "")
	if err != nil {
		c.t.Error(err)
		return
	}
	defer response.Body.Close()
	var answer struct{ Messages []struct{ Base64 string } }
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || len(answer.Messages) != 1 {
		c.t.Errorf("%d messages, %v", len(answer.Messages), err)
		return
	}
	if got, err := base64.StdEncoding.DecodeString(answer.Messages[0].Base64); err != nil || !bytes.Equal(got, data) {
		c.t.Errorf("%d bytes of %d, %v", len(got), len(data), err)
	}
}

// located has the server know where the client is, whatever the client says of that.
func (c *client) located(s *server) {
	forged := http.Header{"X-Forwarded-For": {"203.0.113.9"}, "Forwarded": {"for=203.0.113.9"}}
	id, err := connected(c.t, c.ctx, c.address, forged)
	if err != nil {
		c.t.Error(err)
		return
	}
	if remote := remoteOf(c.t, s, id); !strings.HasPrefix(remote, elsewhere+":") {
		c.t.Errorf("the client is at %q, says the server", remote)
	}
}

// connected opens /ws, and gives the id of the connection.
func connected(t *testing.T, ctx context.Context, address string, header http.Header) (string, error) {
	t.Helper()
	conn, err := open(t, ctx, address, "/ws", header)
	if err != nil {
		return "", err
	}
	m, err := conn.Read(ctx)
	if err != nil {
		return "", err
	}
	var push struct{ Connected struct{ Client string } }
	if err := json.Unmarshal(m.Data, &push); err != nil {
		return "", fmt.Errorf("%s: %w", m.Data, err)
	}
	if push.Connected.Client == "" {
		return "", fmt.Errorf("not connected, but %s", m.Data)
	}
	return push.Connected.Client, nil
}

// remoteOf is where a client is, "" if the server does not have it.
func remoteOf(t *testing.T, s *server, id string) string {
	t.Helper()
	response, err := http.Get("http://" + s.admin + "/api/v1/connections")
	if err != nil {
		t.Error(err)
		return ""
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Error(err)
	}
	var list struct {
		Connections []struct{ Client, Remote string }
	}
	if err := json.Unmarshal(text, &list); err != nil {
		t.Errorf("%s: %v", text, err)
	}
	for _, c := range list.Connections {
		if c.Client == id {
			return c.Remote
		}
	}
	return ""
}

// refused has the proxy refuse the API, also to who pretends to have a WebSocket: what follows a handshake that the server has refused is another
// request, or nothing, but not the server's to answer.
func (c *client) refused() {
	for _, path := range []string{"/api/v1/info", "/%61pi/v1/info"} {
		response, err := c.request(http.MethodGet, path, "", "")
		if err != nil {
			c.t.Error(err)
			return
		}
		response.Body.Close()
		if response.StatusCode != http.StatusNotFound && response.StatusCode != http.StatusForbidden {
			c.t.Errorf("%s: %s", path, response.Status)
		}
	}
	for _, broken := range []string{
		"GET /c/demo HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 99\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
		"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
	} {
		conn, err := dialElsewhere(c.ctx, "tcp", c.address)
		if err != nil {
			c.t.Error(err)
			return
		}
		_ = conn.SetDeadline(time.Now().Add(patience))
		_, _ = io.WriteString(conn, broken+"GET /api/v1/info HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		text, _ := io.ReadAll(conn)
		conn.Close()
		if !bytes.HasPrefix(text, []byte("HTTP/1.1 ")) || bytes.Contains(text, []byte("101 ")) || bytes.Contains(text, []byte(`"version"`)) {
			c.t.Errorf("after a handshake that was refused: %s", text)
		}
	}
}
