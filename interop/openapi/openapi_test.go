package openapi

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"baro.dev/channel"
	"baro.dev/internal/auth"
	"baro.dev/internal/clients"
	"baro.dev/internal/server"
	"baro.dev/ws"
)

const root = "/api/v1/"

// backend asks the API, and has what it is answered, and what it asked, checked against the document.
type backend struct {
	t        *testing.T
	server   http.Handler
	document *document
	key      string
	seen     map[string]bool // operations and statuses
}

// newBackend starts a server, and reads its document.
func newBackend(t *testing.T) (*backend, *server.Server) {
	t.Helper()
	text, all, err := auth.NewKey("all", auth.Scopes(), nil)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := auth.NewKeys([]auth.APIKey{all})
	if err != nil {
		t.Fatal(err)
	}
	everything, err := channel.ParsePattern("**")
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.New(server.Config{
		Anonymous: true, Keys: keys, Log: slog.New(slog.DiscardHandler),
		Rules: []server.Rule{{Pattern: everything, Access: clients.Rule{Subscribe: clients.Anyone}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	b := &backend{t: t, server: s, key: text, seen: map[string]bool{}}
	b.document = readDocument(t, b.serve(http.MethodGet, "openapi.json", "").body)
	return b, s
}

type answer struct {
	status int
	header http.Header
	body   string
}

func (b *backend) request(method, path, body string, header ...string) *http.Request {
	r := httptest.NewRequestWithContext(b.t.Context(), method, root+path, strings.NewReader(body))
	r.Header.Set("X-API-Key", b.key)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
		if header[i+1] == "" {
			r.Header.Del(header[i])
		}
	}
	return r
}

func (b *backend) serve(method, path, body string, header ...string) answer {
	w := httptest.NewRecorder()
	b.server.ServeHTTP(w, b.request(method, path, body, header...))
	return answer{w.Code, w.Header(), w.Body.String()}
}

// ask wants an answer of a status. What is answered is to be as the document says; so is what is asked, unless it is refused.
func (b *backend) ask(status int, method, path, body string, header ...string) (got struct {
	Call        string
	Connections []struct{ Client string }
}) {
	b.t.Helper()
	a := b.serve(method, path, body, header...)
	if a.status != status {
		b.t.Errorf("%s %s %.200s: %d, %.300s; want %d", method, path, body, a.status, a.body, status)
	}
	name, _, _ := strings.Cut(path, "?")
	if strings.HasPrefix(name, "calls/") {
		name = "calls/{id}"
	}
	if status < 400 || status >= 500 {
		if err := b.document.request(b.request(method, path, body, header...), root+name, []byte(body)); err != nil {
			b.t.Errorf("%s %s %.200s is not in the document: %v", method, path, body, err)
		}
	}
	if err := b.document.response(method, root+name, a.status, a.header, []byte(a.body)); err != nil {
		b.t.Errorf("%s %s: %.300s is not in the document: %v", method, path, a.body, err)
	}
	b.seen[fmt.Sprintf("%s %s%s %d", strings.ToLower(method), root, name, a.status)] = true
	if err := json.Unmarshal([]byte(a.body), &got); err != nil {
		b.t.Error(err)
	}
	return got
}

func (b *backend) post(status int, path, body string, header ...string) string {
	b.t.Helper()
	return b.ask(status, http.MethodPost, path, body, header...).Call
}

func (b *backend) get(status int, path string, header ...string) {
	b.t.Helper()
	b.ask(status, http.MethodGet, path, "", header...)
}

// right are requests that are in order, for each operation.
var right = map[string][]string{
	"publish": {
		`{"channel":"a","data":"x","event":"e","id":"i","key":"k"}`, `{"channel":"a","base64":"AP8="}`,
		`{"channel":"a","json":{"a":[1,null]},"exclude":"nobody"}`, `{"channel":"a","data":"again","key":"k"}`,
	},
	"batch":                                {`{"messages":[{"channel":"a","data":"x"},{"channel":"b","json":1},{"channel":"c","data":"x","event":"baro.reset"}]}`},
	"broadcast":                            {`{"users":["ana","ben"],"message":{"data":"x"}}`, `{"channels":["a"],"message":{"json":{}}}`},
	"subscribe":                            {`{"users":["ana"],"channel":"a"}`, `{"clients":["x"],"channel":"a"}`},
	"unsubscribe":                          {`{"users":["ana"],"channel":"nothing"}`},
	"disconnect":                           {`{"users":["ana"],"reason":"over","reconnect":true}`},
	"call":                                 {`{"user":"ana","method":"open","data":{"a":1},"timeout":"1.5s","hold":"1h"}`},
	"presence?channel=a":                   nil,
	"presence?channel=a&limit=0":           nil,
	"history?channel=a":                    nil,
	"history?channel=a&after=now&limit=10": nil,
	"channels":                             nil,
	"channels?pattern=a&limit=1":           nil,
	"connections":                          nil,
	"connections?user=ana&limit=1":         nil,
	"info":                                 nil,
	"nodes":                                nil,
	"openapi.json":                         nil,
}

// Every operation of the document, and every status of it, is as the document says.
func TestDocument(t *testing.T) {
	b, s := newBackend(t)
	client := b.device()
	b.post(200, "subscribe", `{"clients":["`+client+`"],"channel":"a"}`)
	for path, bodies := range right {
		if bodies == nil {
			b.get(200, path)
			b.get(403, path, "Origin", "https://elsewhere.org")
			if path != "openapi.json" {
				b.get(401, path, "X-API-Key", "baro_all_guessed")
				b.get(400, path+map[bool]string{true: "&", false: "?"}[strings.Contains(path, "?")]+"chanel=a")
			}
			continue
		}
		for _, body := range bodies {
			b.post(map[bool]int{true: 202, false: 200}[path == "call"], path, body)
		}
		b.post(401, path, bodies[0], "X-API-Key", "")
		b.post(403, path, bodies[0], "Origin", "https://elsewhere.org")
		b.post(400, path, `{"chanel":"a"}`)
		b.post(415, path, bodies[0], "Content-Type", "text/plain")
		b.post(413, path, `{"`+strings.Repeat(" ", 17<<20))
	}
	b.get(410, "history?channel=a&after=elsewhere:1")
	b.get(404, "calls/x")
	b.get(400, "calls/x?y=z")
	b.get(401, "calls/x", "X-API-Key", "")
	b.get(403, "calls/x", "Origin", "https://elsewhere.org")
	b.get(200, "calls/"+b.post(202, "call", `{"user":"ana","method":"open","hold":60}`))

	b.post(404, "call", `{"user":"ana","method":"echo"}`)
	b.post(200, "call", `{"client":"`+client+`","method":"echo","data":[1,"x"],"timeout":10}`)
	b.post(422, "call", `{"client":"`+client+`","method":"refuse"}`)
	b.post(504, "call", `{"client":"`+client+`","method":"nothing","timeout":"1ms"}`)
	b.post(502, "call", `{"client":"`+client+`","method":"leave"}`)

	s.Close()
	for path, bodies := range right {
		if bodies != nil {
			b.post(503, path, bodies[0])
		}
	}
	if missing := slices.DeleteFunc(b.documented(), func(s string) bool { return b.seen[s] }); len(missing) > 0 {
		t.Errorf("these are in the document, and not tested: %s", strings.Join(missing, ", "))
	}
}

// What the server refuses for its members' sake the document refuses, too; what it takes, though odd, is in the document.
func TestDocumentOfLists(t *testing.T) {
	b, _ := newBackend(t)
	for _, c := range []struct {
		status     int
		path, body string
	}{
		{400, "subscribe", `{"users":[],"channel":"a"}`},
		{400, "subscribe", `{"clients":[],"channel":"a"}`},
		{400, "unsubscribe", `{"users":[],"clients":[],"channel":"a"}`},
		{400, "disconnect", `{"users":[]}`},
		{400, "broadcast", `{"users":[],"message":{"data":"x"}}`},
		{400, "broadcast", `{"channels":[],"message":{"data":"x"}}`},
		{400, "broadcast", `{"users":["a"],"channels":["a"],"message":{"data":"x"}}`},
		{200, "subscribe", `{"users":[],"clients":["x"],"channel":"a"}`},
		{200, "disconnect", `{"users":["x"],"clients":[]}`},
		{200, "broadcast", `{"users":[],"channels":["a"],"message":{"data":"x"}}`},
		{200, "batch", `{"messages":[]}`},
	} {
		b.post(c.status, c.path, c.body)
		err := b.document.request(b.request(http.MethodPost, c.path, c.body), root+c.path, []byte(c.body))
		if (err == nil) != (c.status == 200) {
			t.Errorf("%s %s is answered with %d; the document says %v", c.path, c.body, c.status, err)
		}
	}
}

// documented are the operations and statuses of the document.
func (b *backend) documented() (all []string) {
	var document struct {
		Paths map[string]map[string]struct {
			Responses map[string]any
		}
	}
	if err := json.Unmarshal([]byte(b.serve(http.MethodGet, "openapi.json", "").body), &document); err != nil {
		b.t.Fatal(err)
	}
	for path, operations := range document.Paths {
		for method, operation := range operations {
			for status := range maps.Keys(operation.Responses) {
				if status != "default" {
					all = append(all, method+" "+path+" "+status)
				}
			}
		}
	}
	slices.Sort(all)
	return all
}

// device connects a device over /ws, which answers calls, and gives its id.
func (b *backend) device() string {
	b.t.Helper()
	front := httptest.NewServer(b.server)
	b.t.Cleanup(front.Close)
	c, _, err := ws.Dial(b.t.Context(), "ws"+strings.TrimPrefix(front.URL, "http")+"/ws", nil)
	if err != nil {
		b.t.Fatal(err)
	}
	over := make(chan struct{})
	b.t.Cleanup(func() { c.CloseNow(); <-over })
	go func() {
		defer close(over)
		defer c.CloseNow()
		for m, err := range c.Messages(b.t.Context()) {
			if err != nil {
				return
			}
			var push struct {
				Call *struct {
					ID, Method string
					Data       json.RawMessage
				}
			}
			if json.Unmarshal(m.Data, &push) != nil || push.Call == nil {
				continue
			}
			var said string
			switch push.Call.Method {
			case "echo":
				said = fmt.Sprintf(`{"answer":{"call":%q,"data":%s}}`, push.Call.ID, push.Call.Data)
			case "refuse":
				said = fmt.Sprintf(`{"answer":{"call":%q,"error":{"code":"jammed","message":"the door is jammed"}}}`, push.Call.ID)
			case "leave":
				return
			default:
				continue
			}
			if c.Write(b.t.Context(), ws.Text, []byte(said)) != nil {
				return
			}
		}
	}()
	for {
		if all := b.ask(200, http.MethodGet, "connections", "").Connections; len(all) == 1 {
			return all[0].Client
		}
		if b.t.Context().Err() != nil {
			b.t.Fatal("the device did not connect")
		}
	}
}
