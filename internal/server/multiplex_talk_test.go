package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"baro.dev/internal/auth"
	"baro.dev/internal/clients"
	"baro.dev/ws"
)

// The two transports that multiplex channels.
var multiplexers = []string{"ws", "socket.io"}

// heard is what a server said of its own accord.
type heard struct {
	name string // "message" and so on; "connected", too, for /ws
	body string // JSON
	ack  int    // of an event of Socket.IO that is to be acknowledged
}

// talk is a client over /ws or over Socket.IO, which both can do the same.
type talk struct {
	t        *testing.T
	socketIO bool
	conn     *ws.Conn
	pushes   chan heard // closed when the connection has ended

	mu    sync.Mutex
	last  int
	wait  map[int]chan string
	ended error
}

// dialTalk connects. A refusal is an error.
func dialTalk(t *testing.T, s *Server, transport, token string) (*talk, error) {
	t.Helper()
	path := "/ws"
	if transport == "socket.io" {
		path = "/socket.io/?EIO=4&transport=websocket"
	}
	c, _, err := ws.Dial(t.Context(), s.url(path), &ws.DialOptions{Limits: ws.Limits{MaxMessageSize: 8 << 20}})
	if err != nil {
		t.Fatal(err)
	}
	k := &talk{t: t, socketIO: transport == "socket.io", conn: c, pushes: make(chan heard, 10_000), wait: map[int]chan string{}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		k.read()
	}()
	t.Cleanup(func() {
		c.CloseNow()
		<-done
	})
	return k, k.connect(token)
}

func (k *talk) connect(token string) error {
	if !k.socketIO {
		if token == "" {
			k.expect("connected")
			return nil
		}
		var welcome struct{ Client string }
		return k.ask("connect", `{"token":"`+token+`"}`, &welcome)
	}
	k.say(`40{"token":"` + token + `"}`)
	if h := k.next(); h.name != "connect" {
		return fmt.Errorf("%s", h.body)
	}
	return nil
}

// mustTalk connects a client that is let in.
func mustTalk(t *testing.T, s *Server, transport, token string) *talk {
	t.Helper()
	k, err := dialTalk(t, s, transport, token)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (k *talk) read() {
	defer func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		close(k.pushes)
		for _, c := range k.wait {
			close(c)
		}
		k.wait = nil
	}()
	for {
		m, err := k.conn.Read(context.Background())
		if err != nil {
			k.mu.Lock()
			k.ended = err
			k.mu.Unlock()
			return
		}
		if k.socketIO {
			k.packet(string(m.Data))
		} else {
			k.frame(m.Data)
		}
	}
}

func (k *talk) frame(data []byte) {
	var f map[string]json.RawMessage
	if err := json.Unmarshal(data, &f); err != nil {
		k.t.Errorf("%s: %v", data, err)
		return
	}
	id, _ := strconv.Atoi(string(f["id"]))
	delete(f, "id")
	for name, body := range f {
		if id > 0 {
			if name == "ok" {
				k.answer(id, string(body))
			} else {
				k.answer(id, `!`+string(body))
			}
			return
		}
		k.pushes <- heard{name: name, body: string(body)}
	}
}

func (k *talk) packet(p string) {
	kind, rest := p[:min(2, len(p))], p[min(2, len(p)):]
	digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
	id, _ := strconv.Atoi(rest[:digits])
	switch {
	case p == "2":
		k.say("3")
	case kind == "40":
		k.pushes <- heard{name: "connect"}
	case kind == "44":
		k.pushes <- heard{name: "connect_error", body: rest}
	case kind == "41":
		k.pushes <- heard{name: "disconnect"}
	case kind == "42":
		var event []json.RawMessage
		var name string
		if json.Unmarshal([]byte(rest[digits:]), &event) != nil || json.Unmarshal(event[0], &name) != nil {
			k.t.Errorf("%s", p)
			return
		}
		if digits == 0 {
			id = -1
		}
		k.pushes <- heard{name, string(event[1]), id}
	case kind == "43":
		var args []json.RawMessage
		if err := json.Unmarshal([]byte(rest[digits:]), &args); err != nil || len(args) != 1 {
			k.t.Errorf("%s: %v", p, err)
			return
		}
		var failed struct {
			Error *struct {
				Message string
				Data    map[string]json.RawMessage
			}
		}
		if json.Unmarshal(args[0], &failed) == nil && failed.Error != nil {
			failed.Error.Data["message"], _ = json.Marshal(failed.Error.Message)
			body, _ := json.Marshal(failed.Error.Data)
			k.answer(id, "!"+string(body))
			return
		}
		k.answer(id, string(args[0]))
	}
}

func (k *talk) answer(id int, body string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if c := k.wait[id]; c != nil {
		delete(k.wait, id)
		c <- body
	}
}

func (k *talk) say(text string) { _ = k.conn.Write(context.Background(), ws.Text, []byte(text)) }

// command is a command as /ws has it, said as the transport does.
func (k *talk) command(id int, name, args string) string {
	if !k.socketIO {
		return fmt.Sprintf(`{"id":%d,%q:%s}`, id, name, args)
	}
	var a map[string]json.RawMessage
	if err := json.Unmarshal([]byte(args), &a); err != nil {
		k.t.Fatal(err)
	}
	list := []any{name}
	for _, first := range map[string][]string{
		"subscribe": {"channel"}, "unsubscribe": {"channel"}, "publish": {"channel", "data"}, "presence": {"channel"},
		"history": {"channel"}, "rpc": {"method", "data"}, "refresh": {"token"},
	}[name] {
		list = append(list, a[first])
		delete(a, first)
	}
	if len(a) > 0 {
		list = append(list, a)
	}
	said, _ := json.Marshal(list)
	return fmt.Sprintf("42%d%s", id, said)
}

// begin gives a command; the answer comes by the channel.
func (k *talk) begin(name, args string) <-chan string {
	k.mu.Lock()
	k.last++
	id := k.last
	c := make(chan string, 1)
	if k.wait == nil {
		close(c)
	} else {
		k.wait[id] = c
	}
	k.mu.Unlock()
	k.say(k.command(id, name, args))
	return c
}

// asked is an error as a client gets it.
type asked struct {
	Number  int
	Code    string
	Message string
	Next    string
}

func (e *asked) Error() string { return fmt.Sprintf("%d %s: %s", e.Number, e.Code, e.Message) }

// ask gives a command and waits for the answer.
func (k *talk) ask(name, args string, into any) error {
	k.t.Helper()
	select {
	case body, ok := <-k.begin(name, args):
		if !ok {
			return fmt.Errorf("the connection has ended: %w", k.ended)
		}
		if said, failed := strings.CutPrefix(body, "!"); failed {
			e := new(asked)
			if err := json.Unmarshal([]byte(said), e); err != nil {
				return err
			}
			return e
		}
		if into == nil {
			return nil
		}
		return json.Unmarshal([]byte(body), into)
	case <-time.After(20 * time.Second):
		k.t.Fatalf("no answer to %s %s", name, args)
		return nil
	}
}

func (k *talk) must(name, args string, into any) {
	k.t.Helper()
	if err := k.ask(name, args, into); err != nil {
		k.t.Fatalf("%s %s: %v", name, args, err)
	}
}

// refused gives a command that is to be refused with a code.
func (k *talk) refused(code, name, args string) {
	k.t.Helper()
	err := k.ask(name, args, nil)
	if e, ok := err.(*asked); !ok || e.Code != code || e.Message == "" || e.Number < 1000 || e.Number > 1999 {
		k.t.Errorf("%s %s: %v, want %s", name, args, err, code)
	}
}

// next waits for what the server says of its own accord.
func (k *talk) next() heard {
	k.t.Helper()
	select {
	case h, ok := <-k.pushes:
		if !ok {
			h.name = "end"
		}
		return h
	case <-time.After(20 * time.Second):
		k.t.Fatal("nothing came")
		return heard{}
	}
}

// expect waits for something that has all parts, in order.
func (k *talk) expect(name string, parts ...string) heard {
	k.t.Helper()
	h := k.next()
	rest, ok := h.body, h.name == name
	for _, part := range parts {
		_, after, found := strings.Cut(rest, part)
		rest, ok = after, ok && found
	}
	if !ok {
		k.t.Fatalf("%s %s, want %s with %q", h.name, h.body, name, parts)
	}
	return h
}

// expectEnd waits for the end, and gives the code and reason of the close frame. What was to be read before is skipped.
func (k *talk) expectEnd() (ws.StatusCode, string) {
	k.t.Helper()
	for k.next().name != "end" {
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	code := ws.CloseStatus(k.ended)
	reason := k.ended.Error()
	return code, reason
}

// reply answers a call.
func (k *talk) reply(h heard, answer string) {
	k.t.Helper()
	if k.socketIO {
		k.say(fmt.Sprintf("43%d[%s]", h.ack, answer))
		return
	}
	var q struct{ ID string }
	_ = json.Unmarshal([]byte(h.body), &q)
	var refusal struct{ Error json.RawMessage }
	if json.Unmarshal([]byte(answer), &refusal) == nil && refusal.Error != nil {
		k.must("answer", fmt.Sprintf(`{"call":%q,"error":%s}`, q.ID, refusal.Error), nil)
		return
	}
	k.must("answer", fmt.Sprintf(`{"call":%q,"data":%s}`, q.ID, answer), nil)
}

const tokenSecret = "0123456789abcdef0123456789abcdef0123456789abcdef"

// withTokens is a configuration with tokens, and the rules of a small house.
func withTokens(t *testing.T) Config {
	t.Helper()
	key, err := auth.ParseSigningKey([]byte(tokenSecret))
	if err != nil {
		t.Fatal(err)
	}
	rule := func(p string, a clients.Rule) Rule {
		r := devRule()
		r.Pattern = patternOf(t, p)
		r.Access = a
		return r
	}
	return Config{
		Auth: &auth.Config{Keys: []auth.Key{key.Key()}, Log: slog.New(slog.DiscardHandler)},
		Rules: []Rule{
			rule("open/**", clients.Rule{Subscribe: clients.Anyone, Publish: clients.Users, Presence: clients.Users, History: clients.Users}),
			rule("backend/**", clients.Rule{Subscribe: clients.Nobody}),
			rule("@**", clients.Rule{}),
			rule("**", clients.Rule{}),
		},
	}
}

// token is that of a user, for a time.
func token(t *testing.T, user string, lasts time.Duration, change func(*auth.Claims)) string {
	t.Helper()
	key, err := auth.ParseSigningKey([]byte(tokenSecret))
	if err != nil {
		t.Fatal(err)
	}
	c := auth.Claims{User: user, Expires: time.Now().Add(lasts)}
	if change != nil {
		change(&c)
	}
	text, err := auth.Mint(key, c)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// overBoth runs a test over each of the two transports.
func overBoth(t *testing.T, test func(t *testing.T, transport string)) {
	t.Helper()
	for _, transport := range multiplexers {
		t.Run(transport, func(t *testing.T) { test(t, transport) })
	}
}

func compactJSON(t *testing.T, s string) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(s)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
