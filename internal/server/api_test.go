package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"baro.dev/channel"
	"baro.dev/internal/auth"
	"baro.dev/internal/clients"
)

// keyring makes API keys for a server: one with each scope, one with all, and one with all for the channels below shop/ and of the
// user ana.
func keyring(t *testing.T) (*auth.Keys, map[string]string) {
	t.Helper()
	texts := map[string]string{}
	var list []auth.APIKey
	add := func(name string, scopes []auth.Scope, channels ...string) {
		text, key, err := auth.NewKey("", scopes, channels)
		if err != nil {
			t.Fatal(err)
		}
		texts[name] = text
		list = append(list, key)
	}
	for _, scope := range auth.Scopes() {
		add(string(scope), []auth.Scope{scope})
	}
	add("all", auth.Scopes())
	add("limited", auth.Scopes(), "shop/**", "@ana")
	keys, err := auth.NewKeys(list)
	if err != nil {
		t.Fatal(err)
	}
	return keys, texts
}

// backend asks a server's API.
type backend struct {
	t   *testing.T
	s   *Server
	key string
}

func startAPI(t *testing.T, config Config) (*Server, func(key string) *backend) {
	t.Helper()
	keys, texts := keyring(t)
	config.Keys = keys
	s := start(t, config)
	return s, func(key string) *backend { return &backend{t, s, texts[key]} }
}

// ask sends a request: a POST if it has a body.
func (b *backend) ask(path, body string, header ...string) (answer, string) {
	b.t.Helper()
	method := http.MethodGet
	if body != "" {
		method = http.MethodPost
		if !slices.Contains(header, "Content-Type") {
			header = append(header, "Content-Type", "application/json")
		}
	}
	if b.key != "" {
		header = append(header, "Authorization", "Bearer "+b.key)
	}
	return request(b.t, method, b.s.url(apiRoot+path), body, header...)
}

// do wants an answer of a status, and decodes it.
func do[T any](b *backend, status int, path, body string, header ...string) (v T) {
	b.t.Helper()
	a, text := b.ask(path, body, header...)
	if a.StatusCode != status || a.Header.Get("Content-Type") != typeJSON || a.Header.Get("Cache-Control") != "no-store" {
		b.t.Fatalf("%s %s: %d, %v, %s; want %d", path, body, a.StatusCode, a.Header, text, status)
	}
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		b.t.Fatalf("%s: %v", text, err)
	}
	return v
}

func (b *backend) refused(status int, code, path, body string, header ...string) {
	b.t.Helper()
	a, text := b.ask(path, body, header...)
	b.t.Logf("%s %.100s: %.300s", path, body, text)
	wantError(b.t, a, text, status, code)
}

// device is a client that can be called, and has many channels.
type device struct {
	*clients.Client
	mu     sync.Mutex
	log    []string
	answer func(*device, clients.Call)
}

func connectDevice(t *testing.T, s *Server, user string, answer func(*device, clients.Call)) *device {
	t.Helper()
	d := &device{answer: answer}
	d.Client, _ = s.registry.Enter(&clients.Identity{Identity: auth.Identity{User: user}}, clients.Hello{Transport: "test"}, d)
	d.Begin(t.Context())
	t.Cleanup(func() { d.Gone("over") })
	return d
}

func (d *device) note(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.log = append(d.log, fmt.Sprintf(format, args...))
}

func (d *device) take() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	log := strings.Join(d.log, ", ")
	d.log = nil
	return log
}

func (d *device) Close(why clients.Reason) {
	d.note("closed %d %s: %s", why.Number, why.Code, why.Text)
}
func (d *device) Message(name string, m *channel.Message)      { d.note("%s: %s", name, m.Data) }
func (d *device) Presence(*channel.PresenceEvent)              {}
func (d *device) Present(string, channel.Presence)             {}
func (d *device) Subscribed(name string, _ clients.Start)      { d.note("in %s", name) }
func (d *device) Unsubscribed(name string, why *clients.Error) { d.note("out of %s", name) }
func (d *device) Room(context.Context) error                   { return nil }
func (d *device) HasRoom() bool                                { return true }
func (d *device) Call(c clients.Call) {
	if d.answer != nil {
		go d.answer(d, c)
	}
}

func TestAPIPublish(t *testing.T) {
	s, as := startAPI(t, Config{})
	b := as("publish")
	ana := connectDevice(t, s, "ana", nil)
	if n := s.registry.Subscribe(clients.Target{Users: []string{"ana"}}, "a/b c"); n != 1 {
		t.Fatal(n)
	}
	first := do[apiPublished](b, 200, "publish", `{"channel":"a/b c","data":"há \u0000\n","event":"e","id":"i","key":"k"}`)
	again := do[apiPublished](b, 200, "publish", `{"channel":"a/b c","data":"other","key":"k"}`)
	if first.Offset != 1 || first.ID != "i" || first.Epoch == "" || first.Duplicate || !again.Duplicate || again.Offset != first.Offset || again.ID != first.ID {
		t.Errorf("%+v, %+v", first, again)
	}
	again = do[apiPublished](b, 200, "publish", `{"channel":"a/b c","data":"other"}`, "Idempotency-Key", "k")
	if !again.Duplicate || again.Offset != first.Offset || again.ID != first.ID {
		t.Errorf("%+v", again)
	}
	do[apiPublished](b, 200, "publish", `{"channel":"a/b c","base64":"AP8="}`)
	do[apiPublished](b, 200, "publish", `{"channel":"a/b c","json":{ "x" : [1, "y z", null] },"exclude":"`+ana.ID()+`"}`)
	do[apiPublished](b, 200, "publish", `{"channel":"a/b c","json":null}`)
	do[apiPublished](b, 200, "publish", `{"channel":"a/b c","data":""}`, "Content-Type", "application/json; charset=UTF-8")
	batch, err := s.Hub().Read("a/b c", channel.Oldest(), 0)
	if err != nil || len(batch.Messages) != 5 {
		t.Fatal(batch, err)
	}
	var got []string
	for _, m := range batch.Messages {
		got = append(got, fmt.Sprintf("%s %q %v", m.Event, m.Data, m.Binary))
	}
	want := []string{`e "há \x00\n" false`, ` "\x00\xff" true`, ` "{\"x\":[1,\"y z\",null]}" false`, ` "null" false`, ` "" false`}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if log := ana.take(); strings.Contains(log, "y z") || !strings.Contains(log, "null") {
		t.Errorf("somebody who was excluded was told %q", log)
	}

	b.refused(400, "invalid_name", "publish", `{"data":"x"}`)
	b.refused(400, "invalid_name", "publish", `{"channel":"","data":"x"}`)
	b.refused(400, "invalid_name", "publish", `{"channel":"a\nb","data":"x"}`)
	b.refused(400, "invalid_data", "publish", `{"channel":"a"}`)
	b.refused(400, "invalid_data", "publish", `{"channel":"a","data":"x","json":1}`)
	b.refused(400, "invalid_data", "publish", `{"channel":"a","base64":"?"}`)
	b.refused(400, "invalid_event", "publish", `{"channel":"a","data":"x","event":"baro.reset"}`)
	b.refused(400, "invalid_id", "publish", `{"channel":"a","data":"x","id":"\u0007"}`)
	b.refused(400, "invalid_key", "publish", `{"channel":"a","data":"x","key":"a"}`, "Idempotency-Key", "b")
	b.refused(400, "invalid_key", "publish", `{"channel":"a","data":"x"}`, "Idempotency-Key", "a", "Idempotency-Key", "a")
	b.refused(413, "too_large", "publish", `{"channel":"a","data":"`+strings.Repeat("x", 256<<10+1)+`"}`)
	b.refused(400, "invalid_body", "publish", `{"chanel":"a","data":"x"}`)
}

func TestAPIBatch(t *testing.T) {
	s, as := startAPI(t, Config{})
	b := as("publish")
	body := `{"messages":[{"channel":"a","data":"1"},{"channel":"","data":"2"},{"channel":"b","json":2},{"channel":"a","data":"3"},{"channel":"a"}]}`
	r := do[apiResults](b, 200, "batch", body, "Idempotency-Key", "once").Results
	if len(r) != 5 || r[0].Offset != 1 || r[1].Error.Code != "invalid_name" || r[2].Offset != 1 || r[3].Offset != 2 || r[4].Error.Code != "invalid_data" || r[1].Error.Number != 1500 {
		t.Fatalf("%+v", r)
	}
	again := do[apiResults](b, 200, "batch", body, "Idempotency-Key", "once").Results
	for _, i := range []int{0, 2, 3} {
		if !again[i].Duplicate || again[i].ID != r[i].ID {
			t.Errorf("%d: %+v", i, again[i])
		}
	}
	if i, _ := s.Hub().Info("a"); i.Messages != 2 {
		t.Error(i)
	}
	if r := do[apiResults](b, 200, "batch", `{"messages":[]}`).Results; r == nil || len(r) != 0 {
		t.Error(r)
	}

	r = do[apiResults](b, 200, "broadcast", `{"users":["ana","ben"],"message":{"data":"hi","key":"k"}}`).Results
	if len(r) != 2 || r[0].Offset != 1 || r[1].Offset != 1 {
		t.Errorf("%+v", r)
	}
	if batch, _ := s.Hub().Read("@ben", channel.Oldest(), 0); len(batch.Messages) != 1 {
		t.Error(batch)
	}
	r = do[apiResults](b, 200, "broadcast", `{"channels":["c","\u0001","d"],"message":{"base64":"AA=="}}`, "Idempotency-Key", "h").Results
	if len(r) != 3 || r[0].Offset != 1 || r[1].Error.Code != "invalid_name" || r[2].Offset != 1 {
		t.Errorf("%+v", r)
	}
	for _, body := range []string{
		`{"message":{"data":"x"}}`, `{"users":["a"],"channels":["b"],"message":{"data":"x"}}`, `{"users":[],"message":{"data":"x"}}`,
	} {
		b.refused(400, "invalid_broadcast", "broadcast", body)
	}
	b.refused(400, "invalid_data", "broadcast", `{"users":["a"]}`)
	b.refused(400, "invalid_user", "broadcast", `{"users":[""],"message":{"data":"x"}}`)
	b.refused(413, "too_large", "broadcast", `{"users":["u`+strings.Repeat(`","u`, 999)+`"],"message":{"data":"`+strings.Repeat("x", 100_000)+`"}}`)
}

func TestAPIClients(t *testing.T) {
	s, as := startAPI(t, Config{})
	b := as("manage")
	one, two, ben := connectDevice(t, s, "ana", nil), connectDevice(t, s, "ana", nil), connectDevice(t, s, "ben", nil)
	reached := func(want int, path, body string) {
		t.Helper()
		if got := do[apiReached](b, 200, path, body); got.Clients != want {
			t.Errorf("%s %s: %d", path, body, got.Clients)
		}
	}
	both := `{"users":["ana","nobody"],"clients":["` + one.ID() + `","` + ben.ID() + `","x"],"channel":"private"}`
	reached(3, "subscribe", both)
	publishText(t, s, "private", "psst")
	reached(1, "unsubscribe", `{"clients":["`+ben.ID()+`"],"channel":"private"}`)

	c := do[apiConnections](as("read"), 200, "connections?user=ana", "")
	if len(c.Connections) != 2 || c.More || c.Connections[0].Client != one.ID() || !slices.Equal(c.Connections[0].Channels, []string{"private"}) {
		t.Errorf("%+v", c)
	}
	if c := do[apiConnections](as("read"), 200, "connections?limit=2", ""); len(c.Connections) != 2 || !c.More {
		t.Errorf("%+v", c)
	}
	if c := do[apiConnections](as("read"), 200, "connections?user=nobody", ""); c.Connections == nil || len(c.Connections) != 0 {
		t.Errorf("%+v", c)
	}

	reached(2, "disconnect", `{"users":["ana"],"reason":"go"}`)
	reached(1, "disconnect", `{"clients":["`+ben.ID()+`"],"reconnect":true}`)
	for _, d := range []*device{one, two} {
		if log := d.take(); log != "in private, private: psst, closed 4501 disconnected: go" {
			t.Error(log)
		}
	}
	if log := ben.take(); !strings.HasPrefix(log, "in private, private: psst, out of private, closed 4002 reconnect: ") {
		t.Error(log)
	}
	b.refused(400, "invalid_target", "subscribe", `{"channel":"a"}`)
	b.refused(400, "invalid_target", "disconnect", `{"users":[],"clients":[]}`)
	b.refused(400, "invalid_name", "unsubscribe", `{"users":["ana"]}`)
	b.refused(400, "invalid_reason", "disconnect", `{"users":["ana"],"reason":"`+strings.Repeat("x", 124)+`"}`)
	b.refused(400, "invalid_reason", "disconnect", `{"users":["ana"],"reason":"\u001b[2J"}`)
	as("read").refused(400, "invalid_user", "connections?user=", "")
}

func TestAPIRead(t *testing.T) {
	s, as := startAPI(t, Config{Version: "v9"})
	b := as("read")
	connectDevice(t, s, "ana", nil)
	s.registry.Subscribe(clients.Target{Users: []string{"ana"}}, "a")
	publishText(t, s, "a", "1", "2", "3")
	publishText(t, s, "b", "x")

	if p := do[apiPresence](b, 200, "presence?channel=a", ""); len(p.Members) != 1 || p.Members[0].User != "ana" || p.Users != 1 || p.Clients != 1 {
		t.Errorf("%+v", p)
	}
	if p := do[apiPresence](b, 200, "presence?channel=a&limit=0", ""); p.Members == nil || len(p.Members) != 0 || p.Clients != 1 {
		t.Errorf("%+v", p)
	}
	type history struct {
		Messages []channel.Message
		Next     string
		More     bool
	}
	var texts []string
	for after, more := "oldest", true; more; {
		h := do[history](b, 200, "history?channel=a&limit=2&after="+after, "")
		for _, m := range h.Messages {
			texts = append(texts, string(m.Data))
		}
		after, more = h.Next, h.More
	}
	if !slices.Equal(texts, []string{"1", "2", "3"}) {
		t.Error(texts)
	}
	if h := do[history](b, 200, "history?channel=a&limit=0", ""); len(h.Messages) != 0 || !h.More {
		t.Errorf("%+v", h)
	}
	if h := do[history](b, 200, "history?channel=a&after=now", ""); len(h.Messages) != 0 || h.More {
		t.Errorf("%+v", h)
	}
	b.refused(410, "not_recoverable", "history?channel=a&after=elsewhere:1", "")
	b.refused(400, "invalid_position", "history?channel=a&after=x", "")

	if c := do[apiChannels](b, 200, "channels", ""); len(c.Channels) != 2 || c.Channels[0].Name != "a" || c.Channels[0].Offset != 3 || c.Channels[0].Users != 1 || c.More {
		t.Errorf("%+v", c)
	}
	if c := do[apiChannels](b, 200, "channels?limit=1", ""); len(c.Channels) != 1 || !c.More {
		t.Errorf("%+v", c)
	}
	if c := do[apiChannels](b, 200, "channels?pattern=x/*", ""); c.Channels == nil || len(c.Channels) != 0 || c.More {
		t.Errorf("%+v", c)
	}
	b.refused(400, "invalid_pattern", "channels?pattern=***", "")
	if i := do[apiInfo](b, 200, "info", ""); i.Version != "v9" || i.Clients != 1 || i.Users != 1 || i.Channels < 2 || i.Bytes == 0 || i.Started.IsZero() {
		t.Errorf("%+v", i)
	}
	for _, path := range []string{"presence", "history", "presence?channel=", "history?channel=%00", "presence?channel=%ff"} {
		b.refused(400, "invalid_name", path, "")
	}
	for _, path := range []string{"presence?channel=a", "history?channel=a", "channels", "connections"} {
		for _, limit := range []string{"-1", "10001", "x", "", "1e3", "99999999999999999999"} {
			path, separator := path, "?"
			if strings.Contains(path, "?") {
				separator = "&"
			}
			b.refused(400, "invalid_limit", path+separator+"limit="+limit, "")
		}
	}
}

func TestAPICall(t *testing.T) {
	s, as := startAPI(t, Config{MaxWait: 20 * time.Second, BodyTimeout: 100 * time.Millisecond, WriteTimeout: 20 * time.Second})
	b := as("call")
	connectDevice(t, s, "ana", func(d *device, c clients.Call) {
		switch c.Method {
		case "echo":
			_ = d.Answer(c.ID, c.Data, nil)
		case "slow": // longer than a body may take
			time.Sleep(300 * time.Millisecond)
			_ = d.Answer(c.ID, nil, nil)
		case "refuse":
			_ = d.Answer(c.ID, nil, &clients.Refused{Code: "timeout", Message: "the door is jammed"})
		case "leave":
			d.Gone("over")
		}
	})
	ask := func(status int, state clients.State, body string) apiCallAnswer {
		t.Helper()
		a := do[apiCallAnswer](b, status, "call", body)
		if a.Call == "" || a.State != state || (a.Error != nil) != (state == clients.Failed) {
			t.Errorf("%s: %+v, %+v", body, a, a.Error)
		}
		return a
	}
	if a := ask(200, clients.Answered, `{"user":"ana","method":"echo","data":{"a":[null]},"timeout":"20s"}`); string(a.Data) != `{"a":[null]}` || a.User != "ana" || a.Client == "" {
		t.Errorf("%+v", a)
	}
	ask(200, clients.Answered, `{"user":"ana","method":"slow"}`)
	if a := ask(422, clients.Failed, `{"user":"ana","method":"refuse"}`); *a.Error != (errorBody{"timeout", 1510, "the door is jammed"}) {
		t.Errorf("%+v", a.Error)
	}
	if a := ask(504, clients.Failed, `{"user":"ana","method":"nothing","timeout":0.01}`); a.Error.Code != "timeout" || a.Error.Number != 1006 {
		t.Errorf("%+v", a.Error)
	}
	client := do[apiConnections](as("read"), 200, "connections", "").Connections[0].Client
	if a := ask(502, clients.Failed, `{"client":"`+client+`","method":"leave"}`); a.Error.Code != "client_gone" {
		t.Errorf("%+v", a.Error)
	}
	b.refused(404, "not_found", "call", `{"user":"ana","method":"echo"}`)
	b.refused(404, "not_found", "call", `{"client":"`+client+`","method":"echo"}`)

	held := ask(202, clients.Held, `{"user":"ana","method":"echo","data":1,"hold":"1h"}`)
	if got := do[apiCallAnswer](b, 200, "calls/"+held.Call, ""); got.State != clients.Held || got.User != "ana" {
		t.Errorf("%+v", got)
	}
	connectDevice(t, s, "ana", func(d *device, c clients.Call) { _ = d.Answer(c.ID, c.Data, nil) })
	deadline := time.Now().Add(30 * time.Second)
	for {
		got := do[apiCallAnswer](b, 200, "calls/"+held.Call, "")
		if got.State == clients.Answered && string(got.Data) == "1" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%+v", got)
		}
	}
	b.refused(404, "not_found", "calls/x", "")
	b.refused(404, "not_found", "calls/", "")
	b.refused(404, "not_found", "calls/a/b", "")
	b.refused(404, "not_found", "calls/%7Bid%7D", "")

	for _, body := range []string{
		`{"method":"echo"}`, `{"user":"ana","client":"x","method":"echo"}`, `{"user":"ana"}`, `{"user":"ana","method":"` + strings.Repeat("m", 129) + `"}`,
		`{"client":"x","method":"echo","hold":1}`,
	} {
		b.refused(400, "invalid_call", "call", body)
	}
	for _, timeout := range []string{`0`, `"0s"`, `21`, `"1h"`} {
		b.refused(400, "invalid_timeout", "call", `{"user":"ana","method":"echo","timeout":`+timeout+`}`)
	}
	for _, timeout := range []string{`-1`, `"-1s"`, `"soon"`, `1e300`, `[]`, `null`, `"1"`} {
		b.refused(400, "invalid_body", "call", `{"user":"ana","method":"echo","timeout":`+timeout+`}`)
	}
	b.refused(400, "invalid_hold", "call", `{"user":"ana","method":"echo","hold":"25h"}`)
	b.refused(400, "invalid_key", "call", `{"user":"ana","method":"echo"}`, "Idempotency-Key", "k")
	b.refused(413, "too_large", "call", `{"user":"ana","method":"echo","data":"`+strings.Repeat("x", 256<<10)+`"}`)
}
