package server

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"baro.dev/channel"
	"baro.dev/internal/auth"
	"baro.dev/internal/clients"
	"baro.dev/ws"
)

func mustReload(t *testing.T, s *Server, c Config) {
	t.Helper()
	c.Listen = "127.0.0.1:0"
	if unchanged, err := s.Reload(c); err != nil || len(unchanged) > 0 {
		t.Fatalf("Reload: %v, unchanged %q", err, unchanged)
	}
}

func open1(t *testing.T, pattern string, who clients.Who) Rule {
	t.Helper()
	return Rule{Pattern: patternOf(t, pattern), Access: clients.Rule{Subscribe: who, Publish: who, Presence: who, History: who}}
}

// What a reload says it cannot change it does not, and everything else it does.
func TestReloadOfEachSetting(t *testing.T) {
	var settings []string
	var each func(v reflect.Value, path string, visit func(path string, v reflect.Value))
	each = func(v reflect.Value, path string, visit func(string, reflect.Value)) {
		for i := range v.NumField() {
			f, at := v.Field(i), path+v.Type().Field(i).Name
			if f.Kind() == reflect.Struct && !slices.Contains([]string{"Auth", "Webhooks"}, at) {
				each(f, at+".", visit)
				continue
			}
			visit(at, f)
		}
	}
	var all Config
	each(reflect.ValueOf(&all).Elem(), "", func(at string, v reflect.Value) { settings = append(settings, at) })

	// What is neither the operator's, nor to be set by the kind of its value.
	others := []string{"AdminOptional", "Backbone", "Version", "Log", "Traces", "Auth", "Keys", "Webhooks", "Rules", "AllowOrigins", "Channels.Rules",
		"Channels.Store", "Channels.Broker", "Channels.Peers", "Channels.Peers", "Channels.OnOccupied", "ACME.Retry", "ACME.Check", "TLSClients.Valid"}
	for _, name := range settings {
		if slices.Contains(others, name) {
			continue
		}
		changed := false
		change := func(c *Config) (was, now any) {
			each(reflect.ValueOf(c).Elem(), "", func(at string, v reflect.Value) {
				if at != name {
					return
				}
				was = v.Interface()
				switch v.Kind() {
				case reflect.String:
					v.SetString("another")
				case reflect.Bool:
					v.SetBool(!v.Bool())
				case reflect.Int, reflect.Int64:
					v.SetInt(v.Int() + 1)
				case reflect.Slice:
					v.Set(reflect.ValueOf([]string{"another.example.com"}))
				default:
					t.Fatalf("%s: a setting of another kind than there was", name)
				}
				now, changed = v.Interface(), true
			})
			return was, now
		}
		c := Config{Dev: true, Log: slog.New(slog.DiscardHandler)}.withDefaults()
		old := c
		_, want := change(&c)
		unchanged := c.keep(&old)
		_, isFixed := want, false
		each(reflect.ValueOf(&c).Elem(), "", func(at string, v reflect.Value) {
			if at == name {
				isFixed = !reflect.DeepEqual(v.Interface(), want)
			}
		})
		if !changed || isFixed != (len(unchanged) == 1) {
			t.Errorf("%s: fixed %v, unchanged %q", name, isFixed, unchanged)
		}
	}
}

// Development cannot be switched on while a server runs, nor any of what comes with it.
func TestReloadToDev(t *testing.T) {
	c := withTokens(t)
	s := start(t, c)
	c.Dev = true
	unchanged, err := s.Reload(c)
	if err != nil || !slices.Contains(unchanged, "dev") {
		t.Fatalf("%v, unchanged %q", err, unchanged)
	}
	if now := s.now(); now.Dev || now.Anonymous {
		t.Errorf("development %v, anonymous clients %v", now.Dev, now.Anonymous)
	}
	if response, body := request(t, "GET", s.url("/c/a"), ""); response.StatusCode != http.StatusUnauthorized {
		t.Errorf("nobody reads: status %d, %s", response.StatusCode, body)
	}
}

// A configuration that is wrong changes nothing, and what cannot change is named.
func TestReloadIsAtomic(t *testing.T) {
	c := Config{Anonymous: true, Rules: []Rule{open1(t, "a", clients.Anyone)}, AllowOrigins: []string{"https://one.example"}}
	s := start(t, c)
	publish := func(name, origin string) int {
		response, _ := request(t, "POST", s.url("/c/"+name), "x", "Origin", origin)
		return response.StatusCode
	}
	check := func(when string, a, b, one, two int) {
		t.Helper()
		got := []int{publish("a", "https://one.example"), publish("b", "https://one.example"), publish("a", "https://one.example"), publish("a", "https://two.example")}
		if want := []int{a, b, one, two}; !slices.Equal(got, want) {
			t.Errorf("%s: %d, want %d", when, got, want)
		}
	}
	check("at first", 200, 401, 200, 403)
	next := c
	next.Rules, next.AllowOrigins = []Rule{open1(t, "b", clients.Anyone)}, []string{"https://two.example"}
	for name, spoil := range map[string]func(*Config){
		"origin":   func(c *Config) { c.AllowOrigins = []string{"two.example"} },
		"negative": func(c *Config) { c.MaxWait = -1 },
		"nobody":   func(c *Config) { c.Anonymous = false },
		"rule":     func(c *Config) { c.Rules = []Rule{{}} },
		"key":      func(c *Config) { c.Auth = &auth.Config{} },
		"webhook": func(c *Config) {
			c.Webhooks.Events.Endpoints = append(c.Webhooks.Events.Endpoints, endpoint("ftp://x"))
		},
	} {
		wrong := next
		spoil(&wrong)
		if _, err := s.Reload(wrong); err == nil {
			t.Errorf("%s: it is taken", name)
		}
		check(name, 200, 401, 200, 403)
	}
	next.Data, next.QueueBytes, next.Channels.MaxMessageBytes, next.Listen = "/tmp", 5, 7, "127.0.0.1:0"
	unchanged, err := s.Reload(next)
	if err != nil || !slices.Equal(unchanged, []string{"data", "max_message_bytes", "queue_bytes"}) {
		t.Errorf("%v, unchanged %q", err, unchanged)
	}
	response, _ := request(t, "POST", s.url("/c/b"), "x", "Origin", "https://two.example")
	if response.StatusCode != 200 || s.now().QueueBytes != s.config.QueueBytes {
		t.Errorf("status %d, %d", response.StatusCode, s.now().QueueBytes)
	}
	response, _ = request(t, "GET", s.url("/socket.io/?EIO=4&transport=polling"), "", "Origin", "https://two.example")
	if response.StatusCode != 200 || response.Header.Get("Access-Control-Allow-Origin") != "https://two.example" {
		t.Errorf("Socket.IO: status %d, %v", response.StatusCode, response.Header)
	}
	if response, _ = request(t, "GET", s.url("/socket.io/?EIO=4&transport=polling"), "", "Origin", "https://one.example"); response.StatusCode != 403 {
		t.Errorf("Socket.IO, an origin that is gone: status %d", response.StatusCode)
	}
}

// Who may not any more loses what a rule gave, and nothing else.
func TestReloadTakesRightsAway(t *testing.T) {
	overBoth(t, func(t *testing.T, transport string) {
		all := Config{Anonymous: true, Rules: []Rule{open1(t, "**", clients.Anyone)}}
		s := start(t, all)
		k := mustTalk(t, s, transport, "")
		k.must("subscribe", `{"channel":"a"}`, nil)
		k.must("subscribe", `{"channel":"b"}`, nil)
		plain := map[string]*ws.Conn{"a": dialSocket(t, s, "/c/a", nil), "b": dialSocket(t, s, "/c/b", nil)}
		stream := map[string]*http.Response{}
		for name := range plain {
			response, err := open(t.Context(), client(t), s.url("/c/"+name), typeNDJSON)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			stream[name] = response
		}
		eventually(t, "all are there", func() bool { n, _ := s.registry.Len(); return n == 5 })
		mustReload(t, s, Config{Anonymous: true, Rules: []Rule{open1(t, "a", clients.Anyone)}})
		k.expect("unsubscribed", `"channel":"b"`, `"code":"forbidden"`)
		if _, err := plain["b"].Read(t.Context()); ws.CloseStatus(err) != statusForbidden {
			t.Errorf("the WebSocket of b: %v", err)
		}
		eventually(t, "the stream of b has ended", func() bool { n, _ := s.registry.Len(); return n == 3 })
		publishText(t, s, "a", "x")
		k.expect("message", `"channel":"a"`)
		if m := readSocket(t, plain["a"]); string(m.Data) != "x" {
			t.Errorf("the WebSocket of a got %s", m.Data)
		}
		k.refused("unauthorized", "subscribe", `{"channel":"b"}`)
	})
}

// Who came by a key that is gone, or by none where one is needed now, is told to come back.
func TestReloadTakesKeysAway(t *testing.T) {
	first := withTokens(t)
	second := first
	other := strings.Repeat("another secret! ", 4)
	key, err := auth.SecretKey([]byte(other))
	if err != nil {
		t.Fatal(err)
	}
	first.Anonymous = true
	ana := token(t, "ana", time.Hour, func(c *auth.Claims) { c.Subscribe = []string{"@ana"} })
	s := start(t, first)
	known, anonymous := mustTalk(t, s, "ws", ana), mustTalk(t, s, "ws", "")
	anonymous.must("subscribe", `{"channel":"open/1"}`, nil)

	// Another key beside it: nobody notices.
	both := first
	both.Auth = &auth.Config{Keys: append(slices.Clone(first.Auth.Keys), key), AllowNoExpiry: true}
	mustReload(t, s, both)
	known.must("subscribe", `{"channel":"@ana"}`, nil)

	second.Auth, second.Anonymous = &auth.Config{Keys: []auth.Key{key}}, false
	mustReload(t, s, second)
	for name, k := range map[string]*talk{"by a key that is gone": known, "by none": anonymous} {
		if code, reason := k.expectEnd(); code != 4002 || !strings.Contains(reason, "reconnect: the configuration") {
			t.Errorf("%s: %d, %s", name, code, reason)
		}
	}
	for _, token := range []string{ana, ""} {
		if response, _ := request(t, "GET", s.url("/c/open/1"), "", "Authorization", "Bearer "+token); response.StatusCode != 401 {
			t.Errorf("status %d", response.StatusCode)
		}
	}
}

// What is published after a reload is not for polls that waited before it, by a right that it took away.
func TestReloadTakesRightsOfWaitingPolls(t *testing.T) {
	first := withTokens(t)
	first.Anonymous, first.Rules = true, []Rule{open1(t, "**", clients.Anyone)}
	noRule, noAnonymous, noKey := first, first, first
	noRule.Rules = []Rule{open1(t, "other", clients.Anyone)}
	noAnonymous.Anonymous = false
	key, err := auth.SecretKey([]byte(strings.Repeat("another secret! ", 4)))
	if err != nil {
		t.Fatal(err)
	}
	noKey.Auth = &auth.Config{Keys: []auth.Key{key}, AllowNoExpiry: true}
	ana := token(t, "ana", time.Hour, func(*auth.Claims) {})
	for _, c := range []struct {
		name   string
		then   Config
		header []string
		status int
	}{
		{"the rule", noRule, nil, http.StatusUnauthorized},
		{"the rule of users", noRule, []string{"Authorization", "Bearer " + ana}, http.StatusForbidden},
		{"anonymous", noAnonymous, nil, http.StatusUnauthorized},
		{"the key", noKey, []string{"Authorization", "Bearer " + ana}, http.StatusUnauthorized},
		{"nothing", first, nil, http.StatusOK},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, first)
			type result struct {
				answer answer
				body   string
			}
			answered := make(chan result, 1)
			go func() {
				a, body := request(t, "GET", s.url("/c/a?wait=30s"), "", c.header...)
				answered <- result{a, body}
			}()
			eventually(t, "the poll waits", func() bool { return s.used() == 1 })
			mustReload(t, s, c.then)
			publishText(t, s, "a", "later")
			r := <-answered
			if r.answer.StatusCode != c.status || strings.Contains(r.body, "later") != (c.status == http.StatusOK) {
				t.Errorf("status %d, %s", r.answer.StatusCode, r.body)
			}
		})
	}
}

// What histories and polls are bounded by changes at once.
func TestReloadOfBounds(t *testing.T) {
	rules := []Rule{devRule()}
	s := start(t, Config{})
	for range 20 {
		publishText(t, s, "a", "x")
	}
	bounds := Config{Anonymous: true, Rules: rules, Channels: channel.Options{HistoryCount: 5}, MaxWait: 50 * time.Millisecond}
	mustReload(t, s, bounds)
	if b, err := s.Hub().Read("a", channel.Oldest(), 0); err != nil || len(b.Messages) != 5 {
		t.Errorf("%d messages are kept, %v", len(b.Messages), err)
	}
	began := time.Now()
	response, body := request(t, "GET", s.url("/c/a?wait=50s&after=now"), "")
	if took := time.Since(began); response.StatusCode != 200 || took > 25*time.Second {
		t.Errorf("a poll: status %d, %s, after %v", response.StatusCode, body, took)
	}
	dialSocket(t, s, "/c/a", nil)
	bounds.MaxConnections = 1
	mustReload(t, s, bounds)
	response, body = request(t, "GET", s.url("/c/a"), "", "Accept", typeSSE)
	wantError(t, response, body, 503, "too_many_clients")
}

// Reloads are no trouble to those who publish and come and go meanwhile, whatever is wrong with them.
func TestReloadUnderLoad(t *testing.T) {
	right := Config{Anonymous: true, Rules: []Rule{devRule()}}
	s := start(t, right)
	c := dialSocket(t, s, "/c/a", envelopes)
	done := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		defer close(done)
		for i := range 100 {
			next := right
			next.Channels.HistoryCount = 500 + i
			if i%3 == 0 {
				next.AllowOrigins = []string{"?"}
			}
			if _, err := s.Reload(next); (err != nil) != (i%3 == 0) {
				t.Errorf("reload %d: %v", i, err)
			}
		}
	})
	all.Go(func() {
		for isDone := false; !isDone; {
			select {
			case <-done:
				isDone = true
			default:
			}
			_, _ = s.Reload(right)
		}
	})
	published := 0
	for isDone := false; !isDone; published++ {
		select {
		case <-done:
			isDone = true
		default:
		}
		if response, body := request(t, "POST", s.url("/c/a"), fmt.Sprint(published)); response.StatusCode != 200 {
			t.Fatalf("status %d, %s", response.StatusCode, body)
		}
	}
	all.Wait()
	for i := range published {
		if m := readSocket(t, c); !strings.Contains(string(m.Data), fmt.Sprintf(`"data":"%d"`, i)) {
			t.Fatalf("message %d is %s", i, m.Data)
		}
	}
	// A server that stops is not reloaded any more.
	if err := s.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if _, err := s.Reload(right); err == nil {
		t.Error("it has stopped")
	}
}

// A question that is being asked is answered by whom it was asked; the next one is for whoever the new configuration says.
func TestReloadOfQuestions(t *testing.T) {
	asked, release := make(chan struct{}), make(chan struct{})
	backend := func(name string, hang bool) string {
		b := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if hang {
				close(asked)
				<-release
			}
			fmt.Fprintf(w, `{"data":%q}`, name)
		}))
		t.Cleanup(b.Close)
		return b.URL
	}
	rules := []Rule{devRule()}
	config := Config{Anonymous: true, Rules: rules, Webhooks: Webhooks{RPC: asker(backend("first", true))}}
	s := start(t, config)
	k := mustTalk(t, s, "ws", "")
	waiting := k.begin("rpc", `{"method":"who"}`)
	<-asked
	config.Webhooks.RPC = asker(backend("second", false))
	mustReload(t, s, config)
	var answer struct{ Data string }
	if k.must("rpc", `{"method":"who"}`, &answer); answer.Data != "second" {
		t.Errorf("after the reload %q answers", answer.Data)
	}
	close(release)
	if got := <-waiting; !strings.Contains(got, "first") {
		t.Errorf("what was asked before is answered %s", got)
	}
	config.Webhooks.RPC = nil
	mustReload(t, s, config)
	k.refused("not_offered", "rpc", `{"method":"who"}`)
}
