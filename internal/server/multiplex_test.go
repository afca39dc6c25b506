package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"baro.dev/channel"
	"baro.dev/internal/auth"
	"baro.dev/internal/clients"
	"baro.dev/ws"
)

func patternOf(t *testing.T, text string) channel.Pattern {
	t.Helper()
	p, err := channel.ParsePattern(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// startWith starts a server whose registry is changed before anybody comes.
func startWith(t *testing.T, config Config, change func(*clients.Config)) *Server {
	t.Helper()
	config.Listen, config.Log = "127.0.0.1:0", slog.New(slog.DiscardHandler)
	s, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	_, access := split(s.config.rules())
	c := clients.Config{Hub: s.hub, Verifier: s.now().verifier, Anonymous: s.config.Anonymous, Rules: access, Log: s.log}
	change(&c)
	s.registry = clients.New(c)
	serving(t, s)
	return s
}

// What clients can do they can do over both transports, and with the same words.
func TestMultiplexedCommands(t *testing.T) {
	overBoth(t, func(t *testing.T, transport string) {
		s := start(t, Config{})
		a, b := mustTalk(t, s, transport, ""), mustTalk(t, s, transport, "")
		var at struct {
			Epoch  string
			Offset uint64
			Next   string
			ID     string
		}
		a.must("subscribe", `{"channel":"news"}`, &at)
		if at.Epoch == "" || at.Offset != 0 || at.Next != at.Epoch+":0" {
			t.Errorf("it begins at %+v", at)
		}
		a.refused("subscribed", "subscribe", `{"channel":"news"}`)
		a.refused("invalid_position", "subscribe", `{"channel":"x","after":"?"}`)

		b.must("publish", `{"channel":"news","data":"안녕","event":"greeting","id":"m1","key":"k1"}`, &at)
		if at.Offset != 1 || at.ID != "m1" {
			t.Errorf("published at %+v", at)
		}
		a.expect("message", `{"channel":"news","offset":1,`, `"id":"m1"`, `"event":"greeting"`, `"data":"안녕"`)
		b.must("publish", `{"channel":"news","data":"again","key":"k1"}`, &at)
		if at.Offset != 1 {
			t.Errorf("a key published twice is at %+v", at)
		}
		a.must("publish", `{"channel":"news","data":"mine","exclude":true}`, nil)
		a.must("publish", `{"channel":"news","data":"everybody's"}`, nil)
		a.expect("message", `"offset":3,`, `"data":"everybody's"`)

		b.must("subscribe", `{"channel":"news","after":"`+at.Epoch+`:1","presence":true}`, nil)
		b.expect("message", `"offset":2,`, `"mine"`)
		b.expect("message", `"offset":3,`)
		b.expect("present", `{"channel":"news","users":0,"clients":2,"members":[{"client":"`)
		c := mustTalk(t, s, transport, "")
		c.must("subscribe", `{"channel":"news","after":"now"}`, nil)
		b.expect("join", `{"channel":"news","client":"`, `"users":0,"clients":3`)
		c.must("unsubscribe", `{"channel":"news"}`, nil)
		b.expect("leave", `{"channel":"news","client":"`, `"clients":2`)

		var there presenceAnswer
		c.must("presence", `{"channel":"news","limit":1}`, &there)
		if there.Clients != 2 || len(there.Members) != 1 {
			t.Errorf("there are %+v", there)
		}
		c.must("presence", `{"channel":"news","limit":0}`, &there)
		if there.Clients != 2 || len(there.Members) != 0 {
			t.Errorf("there are %+v", there)
		}

		var history struct {
			Messages []channel.Message
			Next     string
			More     bool
		}
		c.must("history", `{"channel":"news","limit":2}`, &history)
		if len(history.Messages) != 2 || !history.More || history.Next != at.Epoch+":2" || string(history.Messages[0].Data) != "안녕" {
			t.Errorf("%+v", history)
		}
		c.must("history", `{"channel":"news","after":"`+history.Next+`"}`, &history)
		if len(history.Messages) != 1 || history.More || history.Next != at.Epoch+":3" {
			t.Errorf("%+v", history)
		}
		var e *asked
		err := c.ask("history", `{"channel":"news","after":"OTHER:7"}`, nil)
		if !errors.As(err, &e) || e.Code != "not_recoverable" || e.Number != 1507 || e.Next != at.Epoch+":3" {
			t.Errorf("%+v", err)
		}
		err = c.ask("subscribe", `{"channel":"news","after":"OTHER:7"}`, nil)
		if !errors.As(err, &e) || e.Code != "not_recoverable" || e.Next != at.Epoch+":3" {
			t.Errorf("%+v", err)
		}
		c.refused("not_offered", "rpc", `{"method":"add","data":1}`)
		c.refused("too_large", "publish", `{"channel":"news","data":"`+strings.Repeat("x", 256<<10+1)+`"}`)
	})
}

// Names that deceive, or are too long, are refused whatever is asked (hostile inputs, group 29).
func TestMultiplexedNames(t *testing.T) {
	overBoth(t, func(t *testing.T, transport string) {
		s := start(t, Config{})
		k := mustTalk(t, s, transport, "")
		for _, name := range []string{"", strings.Repeat("x", 256), "a\x00", "a\r\nb", "a\u202eb", "a\u2028"} {
			quoted, err := json.Marshal(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, command := range []string{"subscribe", "publish", "presence", "history"} {
				k.refused("invalid_name", command, fmt.Sprintf(`{"channel":%s,"data":""}`, quoted))
			}
		}
		for _, name := range []string{strings.Repeat("x", 255), "*", ">", "a b", "**", "ひ/../x"} {
			k.must("subscribe", fmt.Sprintf(`{"channel":%q}`, name), nil)
			k.must("publish", fmt.Sprintf(`{"channel":%q,"data":"to it"}`, name), nil)
			k.expect("message", `"to it"`)
		}
	})
}

// Subscribing to and fro leaves nothing behind (group 25).
func TestMultiplexedFlapping(t *testing.T) {
	overBoth(t, func(t *testing.T, transport string) {
		s := start(t, Config{})
		k := mustTalk(t, s, transport, "")
		for range 200 {
			k.begin("subscribe", `{"channel":"a","presence":true}`)
			k.begin("unsubscribe", `{"channel":"a"}`)
		}
		k.must("presence", `{"channel":"a"}`, nil)
		if i, err := s.hub.Info("a"); err != nil || i.Subscribers != 0 {
			t.Errorf("%+v, %v", i, err)
		}
		k.conn.CloseNow()
		eventually(t, "the client is gone", func() bool {
			n, _ := s.registry.Len()
			return n == 0 && s.used() == 0
		})
	})
}

func TestMultiplexedRights(t *testing.T) {
	overBoth(t, func(t *testing.T, transport string) {
		s := start(t, withTokens(t))
		ana := mustTalk(t, s, transport, token(t, "ana", time.Hour, func(c *auth.Claims) {
			c.Subscribe, c.Publish, c.Presence = []string{"rooms/*", "backend/*"}, []string{"rooms/1"}, []string{"rooms/1"}
			c.Channels, c.Info = []string{"rooms/9"}, json.RawMessage(`{"name":"Ana"}`)
		}))
		ana.expect("subscribed", `{"channel":"rooms/9","epoch":"`, `"next":"`)
		for _, test := range []struct{ command, args, code string }{
			{"subscribe", `{"channel":"rooms/1","presence":true}`, ""},
			{"subscribe", `{"channel":"rooms/2","presence":true}`, "forbidden"},
			{"subscribe", `{"channel":"rooms/2","after":"oldest"}`, "forbidden"}, // it may not read the history
			{"subscribe", `{"channel":"rooms/2"}`, ""},
			{"subscribe", `{"channel":"rooms/2/3"}`, "forbidden"},
			{"subscribe", `{"channel":"backend/1"}`, "forbidden"},
			{"subscribe", `{"channel":"@ana"}`, ""},
			{"subscribe", `{"channel":"@ben"}`, "forbidden"},
			{"publish", `{"channel":"rooms/1","data":"x"}`, ""},
			{"publish", `{"channel":"rooms/2","data":"x"}`, "forbidden"},
			{"publish", `{"channel":"@ana","data":"x"}`, "forbidden"},
			{"publish", `{"channel":"open/1","data":"x"}`, ""},
			{"presence", `{"channel":"rooms/1"}`, ""},
			{"presence", `{"channel":"rooms/2"}`, "forbidden"},
			{"history", `{"channel":"rooms/1"}`, "forbidden"},
			{"history", `{"channel":"open/1"}`, ""},
			{"history", `{"channel":"@ana"}`, ""},
			{"history", `{"channel":"@ben"}`, "forbidden"},
		} {
			if test.code == "" {
				ana.must(test.command, test.args, nil)
			} else {
				ana.refused(test.code, test.command, test.args)
			}
		}
		ana.expect("present", `"users":1,"clients":1,"members":[{"client":"`, `"user":"ana","info":{"name":"Ana"},"since":"`)
		ana.expect("message", `"rooms/1"`, `"user":"ana"`)
	})
}

// Who may not come in is told why, and whether to try again.
func TestMultiplexedRefusals(t *testing.T) {
	overBoth(t, func(t *testing.T, transport string) {
		s := start(t, withTokens(t))
		for bad, code := range map[string]string{
			"nonsense": `"unauthorized"`, token(t, "ana", -time.Hour, nil): `"token_expired"`, "": `"unauthorized"`,
		} {
			if bad == "" && transport == "ws" {
				continue // it is waited for
			}
			k, err := dialTalk(t, s, transport, bad)
			if err == nil || !strings.Contains(err.Error(), strings.Trim(code, `"`)) {
				t.Errorf("%q: %v, want %s", bad, err, code)
			}
			if transport == "ws" {
				if status, reason := k.expectEnd(); status != 4500 || !strings.Contains(reason, strings.Trim(code, `"`)) {
					t.Errorf("%q: closed with %d, %s", bad, status, reason)
				}
			}
		}
		eventually(t, "nobody is there", func() bool {
			n, _ := s.registry.Len()
			return n == 0
		})
	})
}

func TestMultiplexedExpiry(t *testing.T) {
	overBoth(t, func(t *testing.T, transport string) {
		s := start(t, withTokens(t))
		rooms := func(c *auth.Claims) { c.Subscribe = []string{"rooms/*"} }
		stays := mustTalk(t, s, transport, token(t, "ana", 3*time.Second, rooms))
		goes := mustTalk(t, s, transport, token(t, "ben", 3*time.Second, nil))
		stays.must("subscribe", `{"channel":"rooms/1"}`, nil)
		stays.must("subscribe", `{"channel":"open/1"}`, nil)
		stays.refused("user_changed", "refresh", fmt.Sprintf(`{"token":%q}`, token(t, "ben", time.Hour, nil)))
		stays.refused("unauthorized", "refresh", `{"token":"nonsense"}`)
		var answer refreshed
		stays.must("refresh", fmt.Sprintf(`{"token":%q}`, token(t, "ana", time.Hour, nil)), &answer)
		if answer.Expires < 3500 || answer.Expires > 3600 {
			t.Errorf("it expires in %d s", answer.Expires)
		}
		stays.expect("unsubscribed", `{"channel":"rooms/1","error":{"code":"forbidden","number":1503,"message":"`)
		if transport == "ws" {
			if code, reason := goes.expectEnd(); code != 4001 || !strings.Contains(reason, "token_expired") {
				t.Errorf("closed with %d, %s", code, reason)
			}
		} else {
			goes.expect("closing", `{"number":4001,"code":"token_expired"`)
			goes.expect("end") // not told to stay away
		}
		stays.must("publish", `{"channel":"open/1","data":"still here"}`, nil)
		stays.expect("message", "still here")
	})
}

// What a backend does with clients.
func TestMultiplexedBackend(t *testing.T) {
	overBoth(t, func(t *testing.T, transport string) {
		s := start(t, withTokens(t))
		k := mustTalk(t, s, transport, token(t, "ana", time.Hour, nil))
		k.must("publish", `{"channel":"open/1","data":"x"}`, nil) // by now the registry knows it
		ana := clients.Target{Users: []string{"ana"}}
		if n := s.registry.Subscribe(ana, "backend/1"); n != 1 {
			t.Fatal(n)
		}
		k.expect("subscribed", `{"channel":"backend/1","epoch":"`)
		publishText(t, s, "backend/1", "for ana")
		k.expect("message", "for ana")
		s.registry.Unsubscribe(ana, "backend/1")
		k.expect("unsubscribed", `{"channel":"backend/1","error":{`, `"forbidden"`)

		for _, test := range []struct{ said, data, code string }{
			{`{"open":[true,1.50]}`, `{"open":[true,1.50]}`, ""},
			{`null`, `null`, ""},
			{`{"error":{"code":"jammed","message":"the door is jammed"}}`, "", "jammed"},
		} {
			done := make(chan clients.Answer)
			go func() {
				a, err := s.registry.Call(t.Context(), clients.CallRequest{User: "ana", Method: "open", Data: json.RawMessage(`{"door":1}`), Timeout: time.Minute})
				if err != nil {
					t.Error(err)
				}
				done <- a
			}()
			k.reply(k.expect("call", `{"id":"`, `"method":"open","data":{"door":1},"timeout":`), test.said)
			a := <-done
			if a.Error == nil && (test.code != "" || compactJSON(t, string(a.Data)) != test.data) || a.Error != nil && a.Error.Code != test.code {
				t.Errorf("%s: %+v", test.said, a)
			}
		}

		s.registry.Disconnect(ana, clients.EndDisconnected)
		if transport == "ws" {
			if code, reason := k.expectEnd(); code != 4501 || !strings.Contains(reason, "disconnected") {
				t.Errorf("closed with %d, %s", code, reason)
			}
		} else {
			k.expect("closing", `{"number":4501,"code":"disconnected"`)
			k.expect("disconnect")
		}
	})
}

// What waits for the backend does not hold up what follows, and is bounded.
func TestMultiplexedRPC(t *testing.T) {
	overBoth(t, func(t *testing.T, transport string) {
		release := make(chan struct{})
		s := startWith(t, Config{Dev: true}, func(c *clients.Config) {
			c.Ask = func(ctx context.Context, kind string, question, answer any) error {
				q := question.(clients.RPCQuestion)
				if q.Method == "refuse" {
					return clients.Refusal("out_of_stock", "there is none left")
				}
				select {
				case <-release:
				case <-ctx.Done():
					return clients.ErrBackend
				}
				answer.(*clients.RPCAnswer).Data = q.Data
				return nil
			}
		})
		k := mustTalk(t, s, transport, "")
		var answers []<-chan string
		for i := range maxUnderWay {
			answers = append(answers, k.begin("rpc", fmt.Sprintf(`{"method":"echo","data":{"n":%d}}`, i)))
		}
		k.refused("too_many_commands", "rpc", `{"method":"echo"}`)
		k.must("subscribe", `{"channel":"a"}`, nil)
		close(release)
		for i, answer := range answers {
			if got := <-answer; !strings.Contains(got, fmt.Sprintf(`{"n":%d}`, i)) {
				t.Errorf("%d: %s", i, got)
			}
		}
		eventually(t, "there is room again", func() bool {
			var e *asked
			err := k.ask("rpc", `{"method":"refuse"}`, nil)
			return errors.As(err, &e) && e.Code == "out_of_stock" && e.Number == 1510
		})
		k.refused("invalid_method", "rpc", `{"method":""}`)
	})
}

// Who subscribes to many channels in which it missed much gets it all: one after another, as it reads.
func TestMultiplexedCatchUp(t *testing.T) {
	overBoth(t, func(t *testing.T, transport string) {
		const channels, each = 40, 8 // of 30 KB: nine times the queue
		s := start(t, Config{})
		text := strings.Repeat("x", 30_000)
		for i := range channels {
			for range each {
				publishText(t, s, fmt.Sprint(i), text)
			}
		}
		k := mustTalk(t, s, transport, "")
		for i := range channels {
			k.begin("subscribe", fmt.Sprintf(`{"channel":"%d","after":"oldest"}`, i))
		}
		next := map[string]uint64{}
		for range channels * each {
			h := k.next()
			var m struct {
				Channel string
				Offset  uint64
			}
			if err := json.Unmarshal([]byte(h.body), &m); err != nil || h.name != "message" || m.Offset != next[m.Channel]+1 {
				t.Fatalf("%s %.100s after %d, %v", h.name, h.body, next[m.Channel], err)
			}
			next[m.Channel] = m.Offset
		}
		k.must("publish", `{"channel":"7","data":"the end"}`, nil)
		k.expect("message", `"the end"`)
	})
}

// A client that does not read is cut when its queue is full, or when it does not take what it missed; others go on.
func TestMultiplexedSlowReaders(t *testing.T) {
	for _, missed := range []bool{false, true} {
		for _, transport := range multiplexers {
			t.Run(fmt.Sprintf("%s, missed %v", transport, missed), func(t *testing.T) {
				s := start(t, Config{QueueBytes: 64 << 10, HeaderTimeout: time.Second, WriteTimeout: time.Second, Channels: channel.Options{HistoryBytes: 64 << 20}})
				text := strings.Repeat("x", 200_000)
				publish := func() {
					for range 100 {
						publishText(t, s, "a", text)
					}
				}
				if missed {
					publish()
				}
				path := "/ws"
				if transport == "socket.io" {
					path = "/socket.io/?EIO=4&transport=websocket"
				}
				c, _, err := ws.Dial(t.Context(), s.url(path), nil)
				if err != nil {
					t.Fatal(err)
				}
				defer c.CloseNow()
				k := &talk{t: t, socketIO: transport == "socket.io"}
				if k.socketIO {
					_ = c.Send(ws.Text, []byte("40"))
					for !strings.HasPrefix(readSocket(t, c).String(), "40") {
					}
				}
				_ = c.Send(ws.Text, []byte(k.command(1, "subscribe", `{"channel":"a","after":"oldest"}`)))
				eventually(t, "it has come", func() bool { n, _ := s.registry.Len(); return n == 1 })
				if !missed {
					eventually(t, "it has subscribed", func() bool { i, _ := s.hub.Info("a"); return i.Subscribers == 1 })
					publish()
				}
				eventually(t, "it is gone", func() bool { n, _ := s.registry.Len(); return n == 0 && s.used() == 0 })
			})
		}
	}
}

// What a slow client of /ws has got when it is cut is without a gap.
func TestMultiplexTooSlow(t *testing.T) {
	s := start(t, Config{QueueBytes: 64 << 10})
	c := dialSocket(t, s, "/ws", nil)
	_ = c.Send(ws.Text, []byte(`{"subscribe":{"channel":"a"}}`))
	eventually(t, "it has subscribed", func() bool { i, _ := s.hub.Info("a"); return i.Subscribers == 1 })
	text := strings.Repeat("x", 200_000)
	for range 100 { // more than the kernel takes
		publishText(t, s, "a", text)
	}
	offset := uint64(0)
	for {
		m, err := c.Read(t.Context())
		if err != nil {
			if code := ws.CloseStatus(err); code != ws.StatusPolicyViolation && code != ws.StatusAbnormalClosure {
				t.Error(err)
			}
			break
		}
		var f struct{ Message *channel.Message }
		if err := json.Unmarshal(m.Data, &f); err != nil || f.Message != nil && f.Message.Offset != offset+1 {
			t.Fatalf("%.100s after %d, %v", m.Data, offset, err)
		}
		if f.Message != nil {
			offset++
		}
	}
	if offset == 0 || offset == 100 {
		t.Errorf("%d messages came", offset)
	}
}

// A page of another origin may use /ws no more than a channel.
func TestMultiplexOrigins(t *testing.T) {
	s := start(t, Config{AllowOrigins: []string{"https://good.example"}})
	for origin, want := range map[string]int{"https://good.example": 101, "https://evil.example": 403, "null": 403} {
		c, response, err := ws.Dial(t.Context(), s.url("/ws"), &ws.DialOptions{Header: http.Header{"Origin": {origin}}})
		if err == nil {
			c.CloseNow()
		}
		if response == nil || response.StatusCode != want {
			t.Errorf("%s: %v, %v", origin, response, err)
		}
	}
	if response, body := request(t, "GET", s.url("/ws"), ""); response.StatusCode != http.StatusUpgradeRequired || response.Header.Get("Upgrade") != "websocket" {
		t.Errorf("%d %s", response.StatusCode, body)
	}
}

// How a client of /ws comes to be connected.
func TestMultiplexConnecting(t *testing.T) {
	config := withTokens(t)
	config.HeaderTimeout = time.Second
	s := start(t, config)
	ana := token(t, "ana", time.Hour, nil)

	c := dialSocket(t, s, "/ws?access_token="+ana, nil)
	if m := readSocket(t, c); !strings.HasPrefix(m.String(), `{"connected":{"client":"`) || !strings.Contains(m.String(), `"user":"ana","expires":3`) {
		t.Errorf("%s", m.Data)
	}
	_ = c.Send(ws.Text, []byte(`{"id":1,"connect":{"token":"`+ana+`"}}`))
	if m := readSocket(t, c); !strings.Contains(m.String(), `"invalid_request"`) {
		t.Errorf("connected twice: %s", m.Data)
	}
	_, response, err := ws.Dial(t.Context(), s.url("/ws?access_token=nonsense"), nil)
	if err == nil || response == nil || response.StatusCode != http.StatusUnauthorized {
		t.Error("a bad token of a request:", response, err)
	}

	c = dialSocket(t, s, "/ws", nil)
	_ = c.Send(ws.Text, []byte(`{"id":1,"subscribe":{"channel":"open/1"}}`))
	if m := readSocket(t, c); !strings.HasPrefix(m.String(), `{"id":1,"error":{"code":"unauthorized","number":1501,`) {
		t.Errorf("%s", m.Data)
	}
	if _, err := c.Read(t.Context()); ws.CloseStatus(err) != 4500 {
		t.Error("subscribed first:", err)
	}
	c = dialSocket(t, s, "/ws", nil)
	if _, err := c.Read(t.Context()); ws.CloseStatus(err) != 4003 || !strings.Contains(err.Error(), "connect_timeout") {
		t.Error("silence:", err)
	}
	eventually(t, "all but the first are gone", func() bool { return s.used() == 1 })

	// Who is let in without a token may still come with one.
	config = withTokens(t)
	config.Anonymous = true
	left := make(chan string, 10)
	s = startWith(t, config, func(c *clients.Config) {
		c.Notify = func(kind string, data any) {
			if kind == "disconnected" {
				left <- data.(clients.Event).Reason
			}
		}
	})
	k := mustTalk(t, s, "ws", "")
	k.must("connect", `{"token":"`+ana+`"}`, nil)
	k.must("subscribe", `{"channel":"@ana"}`, nil)
	if n, users := s.registry.Len(); n != 1 || users != 1 {
		t.Error(n, users)
	}
	if reason := <-left; reason != "reconnected" {
		t.Error("the anonymous client left:", reason)
	}
	k.refused("invalid_request", "connect", `{"token":"`+ana+`"}`)
	k = mustTalk(t, s, "ws", "")
	k.must("subscribe", `{"channel":"open/1"}`, nil)
	k.refused("invalid_request", "connect", `{"token":"`+ana+`"}`)
}

// A server that stops says so, and clients come back.
func TestMultiplexDrain(t *testing.T) {
	s := start(t, Config{})
	k := mustTalk(t, s, "ws", "")
	k.must("subscribe", `{"channel":"a"}`, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if code, reason := k.expectEnd(); code != ws.StatusServiceRestart {
		t.Errorf("closed with %d, %s", code, reason)
	}
}
