package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"baro.dev/channel"
	"baro.dev/internal/clients"
)

// tenKept is a configuration by which ten messages of each user are kept.
func tenKept(t *testing.T) Config {
	t.Helper()
	config := withTokens(t)
	for i := range config.Rules {
		if config.Rules[i].Pattern.String() == "@**" {
			config.Rules[i].HistoryCount = 10
		}
	}
	return config
}

// send has the backend publish to a user: messages from one number to another.
func (b *backend) send(user string, from, to int) {
	b.t.Helper()
	for i := from; i <= to; i++ {
		do[apiPublished](b, 200, "publish", fmt.Sprintf(`{"channel":"@%s","data":"%d"}`, user, i))
	}
}

// hold has the backend call a user that is away, with numbers, and gives the ids.
func (b *backend) hold(user string, from, to int) (ids []string) {
	b.t.Helper()
	for i := from; i <= to; i++ {
		a := do[apiCallAnswer](b, 202, "call", fmt.Sprintf(`{"user":%q,"method":"do","data":%d,"hold":"1h","timeout":"20s"}`, user, i))
		if a.State != clients.Held {
			b.t.Fatalf("%+v", a)
		}
		ids = append(ids, a.Call)
	}
	return ids
}

// TestAway has a device that has never been there, and one that was and went away, get what was sent and asked meanwhile: in order,
// once, and not again when it has said so.
func TestAway(t *testing.T) {
	s, as := startAPI(t, tenKept(t))
	b := as("all")
	overBoth(t, func(t *testing.T, transport string) {
		b := &backend{t, s, b.key}
		user := "door-" + strings.Trim(transport, ".io")
		b.send(user, 1, 3)
		calls := b.hold(user, 1, 5)

		secret := token(t, user, time.Hour, nil)
		k := mustTalk(t, s, transport, secret)
		for i, id := range calls {
			h := k.expect("call", `"id":"`+id+`"`, fmt.Sprintf(`"data":%d`, i+1))
			if i < 2 { // it leaves without a word about the others
				k.reply(h, `"done"`)
				eventually(t, "the answer", func() bool {
					return do[apiCallAnswer](b, 200, "calls/"+id, "").State == clients.Answered
				})
			}
		}
		k.must("subscribe", `{"channel":"@`+user+`","after":"oldest"}`, nil)
		var next string
		for i := 1; i <= 3; i++ {
			var m channel.Message
			if err := json.Unmarshal([]byte(k.expect("message", fmt.Sprintf(`"data":"%d"`, i)).body), &m); err != nil {
				t.Fatal(err)
			}
			next = m.Position().String()
		}
		k.conn.CloseNow()
		for _, id := range calls[2:] {
			eventually(t, "the call is held again", func() bool {
				return do[apiCallAnswer](b, 200, "calls/"+id, "").State == clients.Held
			})
		}

		b.send(user, 4, 6)
		calls = append(calls, b.hold(user, 6, 7)...)
		k = mustTalk(t, s, transport, secret)
		for i, id := range calls[2:] {
			k.reply(k.expect("call", `"id":"`+id+`"`, fmt.Sprintf(`"data":%d`, i+3)), `"done"`)
		}
		k.must("subscribe", `{"channel":"@`+user+`","after":"`+next+`"}`, nil)
		for i := 4; i <= 6; i++ {
			k.expect("message", fmt.Sprintf(`"data":"%d"`, i))
		}
		for _, id := range calls {
			eventually(t, "the answer", func() bool { return do[apiCallAnswer](b, 200, "calls/"+id, "").State == clients.Answered })
		}
		k.must("unsubscribe", `{"channel":"@`+user+`"}`, nil)

		// Beyond the bound it is told.
		b.send(user, 7, 14)
		k.refused("not_recoverable", "subscribe", `{"channel":"@`+user+`","after":"`+next+`"}`)
		var begun place
		k.must("subscribe", `{"channel":"@`+user+`","after":"oldest"}`, &begun)
		if begun.Offset != 4 {
			t.Errorf("what is kept begins after %d", begun.Offset)
		}
		for i := 5; i <= 14; i++ {
			k.expect("message", fmt.Sprintf(`"data":"%d"`, i))
		}
		k.conn.CloseNow()
	})
}

// bearer sends a token with each request.
type bearer struct {
	token string
	http.RoundTripper
}

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r.Header.Set("Authorization", "Bearer "+b.token)
	return b.RoundTripper.RoundTrip(r)
}

// TestAwayOverHTTP is the same over the transports of one channel: the position is all that a device needs to keep.
func TestAwayOverHTTP(t *testing.T) {
	s, as := startAPI(t, tenKept(t))
	for name, read := range readers {
		t.Run(name, func(t *testing.T) {
			b := &backend{t, s, as("all").key}
			user := strings.ReplaceAll(name, " ", "-")
			c := client(t)
			secret := token(t, user, time.Hour, nil)
			c.Transport = bearer{secret, c.Transport}
			url := s.url("/c/@" + user)
			var next string
			get := func(after string, from, to int) error {
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				want := from
				if name == "WebSocket" {
					if after == "" {
						after = "oldest"
					}
					after += "&access_token=" + secret
				}
				return read(ctx, c, url, after, func(m channel.Message) bool {
					if string(m.Data) != fmt.Sprint(want) {
						t.Errorf("got %s, want %d", m.Data, want)
					}
					want++
					next = m.Position().String()
					return want <= to
				})
			}
			b.send(user, 1, 3)
			if err := get("", 1, 3); err != nil {
				t.Fatal(err)
			}
			seen := next
			b.send(user, 4, 6)
			if err := get(seen, 4, 6); err != nil {
				t.Fatal(err)
			}
			if err := get("", 1, 6); err != nil { // who has forgotten where it was gets what is kept
				t.Fatal(err)
			}
			b.send(user, 7, 14)
			if err := get(seen, 0, 0); err == nil { // it is told, and gets no part of it
				t.Error("what is beyond the bound is not told")
			}
		})
	}
}

// TestAwayTooLong has the backend be told that a device did not come in time, which then is not asked.
func TestAwayTooLong(t *testing.T) {
	s, as := startAPI(t, tenKept(t))
	b := as("all")
	call := do[apiCallAnswer](b, 202, "call", `{"user":"late","method":"do","hold":"10ms"}`).Call
	eventually(t, "the end of the call", func() bool { return do[apiCallAnswer](b, 200, "calls/"+call, "").State == clients.Failed })
	if a := do[apiCallAnswer](b, 200, "calls/"+call, ""); a.Error == nil || a.Error.Code != "timeout" {
		t.Errorf("%+v", a)
	}
	overBoth(t, func(t *testing.T, transport string) {
		k := mustTalk(t, s, transport, token(t, "late", time.Hour, nil))
		eventually(t, "it is there", func() bool { return len(s.registry.OfUser("late")) == 1 })
		later := make(chan error, 1)
		go func() {
			a, text := b.ask("call", `{"user":"late","method":"now","timeout":"20s"}`)
			if a.StatusCode != 200 {
				later <- errors.New(text)
			}
			close(later)
		}()
		k.reply(k.expect("call", `"method":"now"`), `1`) // and none before
		if err := <-later; err != nil {
			t.Error(err)
		}
		k.conn.CloseNow()
		eventually(t, "it has left", func() bool { return len(s.registry.OfUser("late")) == 0 })
	})
}
