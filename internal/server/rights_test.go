package server

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"baro.dev/channel"
	"baro.dev/internal/auth"
	"baro.dev/internal/clients"
	"baro.dev/ws"
)

// A house is a server, and those who come to it.
type house struct {
	t      *testing.T
	s      *Server
	tokens map[string]string // of whom
}

func newHouse(t *testing.T) *house {
	t.Helper()
	config := withTokens(t)
	config.Anonymous = true
	config.Rules = nil
	for pattern, who := range map[string]clients.Who{"anyone/**": clients.Anyone, "users/**": clients.Users, "token/**": clients.Token, "nobody/**": clients.Nobody} {
		r := devRule()
		r.Pattern = patternOf(t, pattern)
		r.Access = clients.Rule{Subscribe: who, Publish: who, Presence: who, History: who}
		config.Rules = append(config.Rules, r)
	}
	h := &house{t: t, s: start(t, config), tokens: map[string]string{"nobody": ""}}
	all := []string{"**"}
	for user, change := range map[string]func(*auth.Claims){
		"plain":     nil,
		"all":       func(c *auth.Claims) { c.Subscribe, c.Publish, c.Presence, c.History = all, all, all, all },
		"subscribe": func(c *auth.Claims) { c.Subscribe = all },
		"publish":   func(c *auth.Claims) { c.Publish = all },
		"presence":  func(c *auth.Claims) { c.Presence = all },
		"history":   func(c *auth.Claims) { c.History = all },
		"mail":      func(c *auth.Claims) { c.Subscribe, c.Publish = []string{"@plain"}, []string{"@plain"} },
	} {
		h.tokens[user] = token(t, user, time.Hour, change)
	}
	h.tokens["expired"] = token(t, "all", -time.Hour, func(c *auth.Claims) { c.Subscribe, c.Publish = all, all })
	h.tokens["just expired"] = token(t, "all", -2*time.Second, func(c *auth.Claims) { c.Subscribe, c.Publish = all, all })
	h.tokens["forged"] = strings.TrimRight(h.tokens["all"], "=")[:len(h.tokens["all"])-6] + "AAAAAA"
	return h
}

// want says what an action is to be refused with; "" where it is permitted. It is the rules' meaning in the fewest words.
func (h *house) want(who, action, name string) string {
	user := who
	switch who {
	case "nobody":
		user = ""
	case "expired", "just expired":
		return "token_expired"
	case "forged":
		return "unauthorized"
	}
	kind, _, _ := strings.Cut(name, "/")
	own := name == "@"+user && action != "publish"
	byToken := own || (who == "all" || who == action) && name[0] != '@' || who == "mail" && name == "@plain" && (action == "subscribe" || action == "publish")
	switch {
	case kind == "anyone", kind == "users" && user != "", kind != "nobody" && byToken:
		return ""
	case user == "":
		return "unauthorized"
	}
	return "forbidden"
}

// both is the first of two refusals.
func both(first, second string) string {
	if first != "" {
		return first
	}
	return second
}

const secret = "nobody else's business"

// Through whatever transport, who may not is refused, told the same, and gets nothing.
func TestRightsOverEveryTransport(t *testing.T) {
	h := newHouse(t)
	names := []string{"anyone/x", "users/x", "token/x", "nobody/x", "@plain", "@all", "@other"}
	offsets := map[string]uint64{}
	for _, name := range names {
		offsets[name] = publishText(t, h.s, name, secret).Offset
	}
	for who, token := range h.tokens {
		t.Run(who, func(t *testing.T) {
			h := &house{t, h.s, h.tokens}
			for _, name := range names {
				subscribe := h.want(who, "subscribe", name)
				history := both(subscribe, h.want(who, "history", name))
				for _, accept := range []string{typeSSE, typeNDJSON, typeJSON} {
					h.get(who+" reads "+name+" as "+accept, token, name, "after=now", accept, subscribe)
					h.get(who+" reads the history of "+name+" as "+accept, token, name, "after=oldest", accept, history)
					h.get(who+" guesses a position of "+name+" as "+accept, token, name, "after=0", accept, history)
				}
				h.get(who+" waits for "+name, token, name, "after=now&wait=1ms", typeJSON, subscribe)
				for _, subprotocol := range []string{"", subprotocolJSON} {
					h.socket(who+" has a WebSocket to "+name, token, name, subprotocol, subscribe, h.want(who, "publish", name), offsets)
					h.dial(who+" has a WebSocket to the history of "+name, token, name, "oldest", subprotocol, history)
				}
				h.post(who+" posts to "+name, token, name, h.want(who, "publish", name), offsets)
			}
			overBoth(t, func(t *testing.T, transport string) {
				h := &house{t, h.s, h.tokens}
				h.multiplexed(who, token, transport, names, offsets)
			})
		})
	}
}

func (h *house) request(method, token, name, query, accept, body string) (int, string, string) {
	h.t.Helper()
	ctx, cancel := context.WithCancel(h.t.Context())
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, h.s.url("/c/"+name+"?"+query), strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	if body == "" {
		r.Body, r.ContentLength = nil, 0
	}
	r.Header.Set("Accept", accept)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		h.t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusOK && accept != typeJSON {
		return response.StatusCode, "", response.Header.Get("Baro-Position")
	}
	text, err := io.ReadAll(response.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return response.StatusCode, string(text), response.Header.Get("Baro-Position")
}

// refused checks an answer of HTTP.
func (h *house) refused(what string, status int, text, position, want string) {
	h.t.Helper()
	statuses := map[string]int{"": 200, "forbidden": 403, "unauthorized": 401, "token_expired": 401}
	if status != statuses[want] || want != "" && !strings.Contains(text, fmt.Sprintf(`"code":%q`, want)) {
		h.t.Errorf("%s: status %d, %.300s; want %q", what, status, text, want)
	}
	if want != "" && (strings.Contains(text, secret) || position != "") {
		h.t.Errorf("%s: it was told %.300s, %s", what, text, position)
	}
}

func (h *house) get(what, token, name, query, accept, want string) {
	h.t.Helper()
	status, text, position := h.request(http.MethodGet, token, name, query, accept, "")
	h.refused(what, status, text, position, want)
}

func (h *house) post(what, token, name, want string, offsets map[string]uint64) {
	h.t.Helper()
	status, text, position := h.request(http.MethodPost, token, name, "", typeJSON, "x")
	h.refused(what, status, text, position, want)
	h.published(what, name, want, offsets)
}

// published checks that something was, or was not, published.
func (h *house) published(what, name, want string, offsets map[string]uint64) {
	h.t.Helper()
	if want == "" {
		offsets[name]++
	}
	batch, err := h.s.Hub().Read(name, channel.Now(), 0)
	if err != nil || batch.Next.Offset != offsets[name] {
		h.t.Errorf("%s: the channel is at %v, %v; want %d", what, batch.Next, err, offsets[name])
		offsets[name] = batch.Next.Offset
	}
}

// socket publishes over a WebSocket, where it may have one.
func (h *house) socket(what, token, name, subprotocol, want, wantPublish string, offsets map[string]uint64) {
	h.t.Helper()
	c := h.dial(what, token, name, "now", subprotocol, want)
	if c == nil {
		return
	}
	say := "x"
	if subprotocol != "" {
		say = `{"data":"x"}`
	}
	if err := c.Write(h.t.Context(), ws.Text, []byte(say)); err != nil {
		h.t.Fatal(err)
	}
	m, err := c.Read(h.t.Context())
	switch {
	case wantPublish == "":
		if err != nil || !strings.Contains(string(m.Data), "x") {
			h.t.Errorf("%s, and publishes: %q, %v", what, m.Data, err)
		}
	case subprotocol == "":
		if ws.CloseStatus(err) != statusForbidden {
			h.t.Errorf("%s, and publishes: %v; want %d", what, err, statusForbidden)
		}
	case err != nil || !strings.Contains(string(m.Data), fmt.Sprintf(`"code":%q`, wantPublish)):
		h.t.Errorf("%s, and publishes: %s, %v; want %s", what, m.Data, err, wantPublish)
	}
	h.published(what+", and publishes", name, wantPublish, offsets)
	c.CloseNow()
}

// dial dials a WebSocket; nil where it is refused.
func (h *house) dial(what, token, name, after, subprotocol, want string) *ws.Conn {
	h.t.Helper()
	o := &ws.DialOptions{}
	if subprotocol != "" {
		o.Subprotocols = []string{subprotocol}
	}
	query := "?after=" + after
	if token != "" {
		query += "&access_token=" + url.QueryEscape(token)
	}
	c, response, err := ws.Dial(h.t.Context(), h.s.url("/c/"+name+query), o)
	if want == "" {
		if err != nil {
			h.t.Errorf("%s: %v", what, err)
			return nil
		}
		h.t.Cleanup(func() { c.CloseNow() })
		return c
	}
	if err == nil {
		h.t.Errorf("%s: it has it; want %s", what, want)
		c.CloseNow()
		return nil
	}
	if response == nil {
		h.t.Fatalf("%s: %v", what, err)
	}
	text, _ := io.ReadAll(response.Body)
	h.refused(what, response.StatusCode, string(text), response.Header.Get("Baro-Position"), want)
	return nil
}

// multiplexed does everything over one connection.
func (h *house) multiplexed(who, token, transport string, names []string, offsets map[string]uint64) {
	t := h.t
	k, err := dialTalk(t, h.s, transport, token)
	if stranger := h.want(who, "subscribe", "anyone/x"); stranger != "" {
		if err == nil || !strings.Contains(err.Error(), stranger) {
			t.Errorf("connecting: %v, want %s", err, stranger)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	check := func(want, command, args string) {
		t.Helper()
		if want == "" {
			if err := k.ask(command, args, nil); err != nil {
				t.Errorf("%s %s: %v", command, args, err)
			}
		} else {
			k.refused(want, command, args)
		}
	}
	for _, name := range names {
		at := fmt.Sprintf(`{"channel":%q`, name)
		subscribe, history := h.want(who, "subscribe", name), h.want(who, "history", name)
		presence := h.want(who, "presence", name)
		publish := h.want(who, "publish", name)
		check(both(subscribe, history), "subscribe", at+`,"after":"oldest"}`)
		if both(subscribe, history) == "" {
			check("", "unsubscribe", at+`}`)
		}
		check(both(subscribe, history), "subscribe", at+`,"after":"0"}`)
		if both(subscribe, history) == "" {
			check("", "unsubscribe", at+`}`)
		}
		check(both(subscribe, presence), "subscribe", at+`,"presence":true}`)
		if both(subscribe, presence) == "" {
			check("", "unsubscribe", at+`}`)
		}
		check(subscribe, "subscribe", at+`}`)
		check(history, "history", at+`}`)
		check(presence, "presence", at+`}`)
		check(publish, "publish", at+`,"data":"x"}`)
		h.published(who+" publishes to "+name, name, publish, offsets)
	}
	// Of what is published now it gets what it may, and nothing else.
	news := secret + " but " + who + "'s over " + transport + ": "
	for _, name := range names {
		offsets[name] = publishText(t, h.s, name, news+name).Offset
		if h.want(who, "subscribe", name) != "" {
			continue
		}
		for got := k.next(); !strings.Contains(got.body, news+name+`"`); got = k.next() {
			if strings.Contains(got.body, news) {
				t.Fatalf("instead of a message of %s came %s", name, got.body)
			}
			if got.name == "end" {
				t.Fatal("the connection has ended")
			}
		}
	}
}

// A stream ends within a second of the end of its token, whatever the transport; a poll that waits, too, and comes back with
// nothing. Those whose token has ended are not let in to be cut at once.
func TestExpiryEndsStreams(t *testing.T) {
	config := withTokens(t)
	s := start(t, config)
	h := &house{t: t, s: s}
	ends := time.Now().Truncate(time.Second).Add(3 * time.Second)
	short := token(t, "ana", time.Until(ends)+time.Millisecond, nil)
	header := http.Header{"Authorization": {"Bearer " + short}}
	over := make(chan string, 10)
	read := map[string]func() error{}
	for _, accept := range []string{typeSSE, typeNDJSON, typeJSON} {
		response, err := open(t.Context(), client(t), s.url("/c/@ana?wait=0&after=now"), accept, "Authorization", header.Get("Authorization"))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		read[accept] = func() error {
			response, err := open(t.Context(), client(t), s.url("/c/@ana?wait=30s&after=now"), accept, "Authorization", header.Get("Authorization"))
			if err != nil {
				return err
			}
			defer response.Body.Close()
			text, err := io.ReadAll(response.Body)
			if strings.Contains(string(text), secret) {
				return fmt.Errorf("it was told %s", text)
			}
			return err
		}
	}
	for _, subprotocol := range []string{"plain", subprotocolJSON} {
		c := dialSocket(t, s, "/c/@ana", &ws.DialOptions{Header: header, Subprotocols: []string{subprotocol}})
		read[subprotocol] = func() error {
			m, err := c.Read(context.Background())
			if ws.CloseStatus(err) == 4001 {
				return nil
			}
			return fmt.Errorf("%s, %w", m.Data, err)
		}
	}
	for name, f := range read {
		go func() {
			err := f()
			after := time.Since(ends)
			if err != nil || after < 0 {
				t.Errorf("%s: ended %v after its token: %v", name, after, err)
			}
			over <- fmt.Sprintf("%s: %v", name, after)
		}()
	}
	time.Sleep(time.Until(ends.Add(time.Second)))
	publishText(t, s, "@ana", secret)
	deadline := time.After(5 * time.Second) // less than the poll would wait
	for range read {
		select {
		case what := <-over:
			t.Log(what)
		case <-deadline:
			t.Fatal("some go on")
		}
	}
	for _, accept := range []string{typeSSE, typeNDJSON, typeJSON} {
		status, text, position := h.request(http.MethodGet, short, "@ana", "", accept, "")
		h.refused("coming back for "+accept, status, text, position, "token_expired")
	}
}
