package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"baro.dev/channel"
	"baro.dev/channel/client"
	"baro.dev/internal/testkit"
	"baro.dev/ws"
)

// fake is a server of /ws that says what a test wants.
func fake(t *testing.T, serve func(ctx context.Context, n int64, r *http.Request, c *ws.Conn)) string {
	t.Helper()
	var n atomic.Int64
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := ws.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		serve(ctx, n.Add(1), r, c)
	}))
	t.Cleanup(site.Close)
	return site.URL
}

func say(ctx context.Context, c *ws.Conn, texts ...string) {
	for _, text := range texts {
		_ = c.Write(ctx, ws.Text, []byte(text))
	}
}

const connected = `{"connected":{"client":"c","version":"1","ping":25}}`

// The server says when to come back, and that not to.
func TestAdvice(t *testing.T) {
	testkit.NoLeaks(t)
	times := make(chan time.Time, 10)
	url := fake(t, func(ctx context.Context, n int64, _ *http.Request, c *ws.Conn) {
		times <- time.Now()
		say(ctx, c, connected)
		if n == 1 {
			say(ctx, c, `{"disconnect":{"number":1012,"code":"stopping","message":"","after":0.5}}`)
			_ = c.Close(ctx, 1012, "stopping: come back")
			return
		}
		_ = c.Close(ctx, 4501, "disconnected: by the backend")
	})
	c := dial(t, url, over(client.WebSocket))
	s := subscribe(t, c, "a", func(*channel.Message) {}, nil)
	first := testkit.Within(t, "the first time", times)
	if d := testkit.Within(t, "the second time", times).Sub(first); d < 500*time.Millisecond {
		t.Errorf("it has come back after %v", d)
	}
	testkit.Within(t, "the end", s.Done())
	refused := new(client.Error)
	if !errors.As(s.Err(), &refused) || refused.Number != 4501 || refused.Code != "disconnected" {
		t.Error(s.Err())
	}
	if err := c.Connected(soon(t)); !errors.As(err, &refused) {
		t.Error(err)
	}
	_ = c.Close()
	if len(times) > 0 {
		t.Error("it has come back")
	}
}

// A token is replaced before it expires, and when the server says that it has.
func TestToken(t *testing.T) {
	said := make(chan string, 10)
	url := fake(t, func(ctx context.Context, n int64, r *http.Request, c *ws.Conn) {
		said <- r.Header.Get("Authorization")
		if n == 1 {
			_ = c.Close(ctx, 4500, "token_expired: it has")
			return
		}
		say(ctx, c, strings.Replace(connected, `"ping"`, `"expires":0.05,"ping"`, 1))
		for {
			m, err := c.Read(ctx)
			if err != nil {
				return
			}
			var f struct {
				ID      int
				Refresh struct{ Token string }
			}
			if err := json.Unmarshal(m.Data, &f); err != nil {
				t.Error(err)
			}
			said <- f.Refresh.Token
			say(ctx, c, fmt.Sprintf(`{"id":%d,"ok":{}}`, f.ID))
		}
	})
	n := 0
	o := over(client.WebSocket)
	o.Token = func(context.Context) (string, error) {
		n++
		return fmt.Sprint("token", n), nil
	}
	c := dial(t, url, o)
	for _, want := range []string{"Bearer token1", "Bearer token2", "token3"} {
		if got := testkit.Within(t, want, said); got != want {
			t.Errorf("%q instead of %q", got, want)
		}
	}
	_ = c.Close()
}

// The backend asks, over our own server; a call that comes twice is asked once.
func TestCalls(t *testing.T) {
	_, url := start(t, nil)
	o := over(client.WebSocket)
	o.OnCall = func(_ context.Context, call client.Call) (any, error) {
		if call.Method != "open" {
			return nil, &client.Error{Code: "jammed", Message: "the door is jammed"}
		}
		return map[string]json.RawMessage{"opened": call.Data}, nil
	}
	c := dial(t, url, o)
	subscribe(t, c, "a", func(*channel.Message) {}, nil)
	p, err := c.Presence(soon(t), "a", 1)
	if err != nil || len(p.Members) != 1 {
		t.Fatalf("%+v, %v", p, err)
	}
	for method, want := range map[string]string{"open": `"opened":7`, "close": "the door is jammed"} {
		body := fmt.Sprintf(`{"client":%q,"method":%q,"data":7,"timeout":20}`, p.Members[0].Client, method)
		resp, err := http.Post(url+"/api/v1/call", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		answer, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if !strings.Contains(string(answer), want) {
			t.Errorf("%s: %s", method, answer)
		}
	}

	var asked atomic.Int64
	answers := make(chan string, 10)
	twice := fake(t, func(ctx context.Context, n int64, _ *http.Request, c *ws.Conn) {
		say(ctx, c, connected, `{"call":{"id":"k","method":"open","timeout":20}}`)
		m, err := c.Read(ctx)
		if err != nil {
			return
		}
		answers <- string(m.Data)
		if n > 1 {
			_, _ = c.Read(ctx)
		}
	})
	o.OnCall = func(context.Context, client.Call) (any, error) { return asked.Add(1), nil }
	d := dial(t, twice, o)
	for range 2 {
		if got := testkit.Within(t, "an answer", answers); got != `{"answer":{"call":"k","data":1}}` {
			t.Error(got)
		}
	}
	_ = d.Close()
}

// A server may say anything: the client goes on, or comes back, and ends when it is closed.
func TestHostileServer(t *testing.T) {
	deep := strings.Repeat("[", 100_000)
	for name, frames := range map[string][]string{
		"nothing":              {},
		"no JSON":              {"hello"},
		"another beginning":    {`{"message":{}}`},
		"deep":                 {connected, `{"message":` + deep},
		"a message of nothing": {connected, `{"message":{"channel":"a"}}`},
		"an answer unasked":    {connected, `{"id":99,"ok":{}}`, `{"id":1,"ok":7}`, `{"id":1,"error":{}}`},
		"no such channel":      {connected, `{"message":{"channel":"b","offset":1,"epoch":"E","data":""}}`, `{"unsubscribed":{"channel":"b","error":{}}}`},
		"gaps without end":     {connected, strings.Repeat(`{"unsubscribed":{"channel":"a","error":{"code":"not_recoverable","number":1507}}}`, 1)},
		"come back in a year":  {connected, `{"disconnect":{"after":1e300}}`},
		"a large frame":        {connected, `{"x":"` + strings.Repeat("x", 200_000) + `"}`},
		"a call of no time":    {connected, `{"call":{"id":"x","method":"m","timeout":-1e300}}`},
		"all that is there":    {`{"connected":{"expires":-1e300}}`, `{"present":{"channel":"a"}}`, `{"join":{}}`, `{"error":{"code":"x"}}`, `{}`, `[]`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var times atomic.Int64
			url := fake(t, func(ctx context.Context, n int64, _ *http.Request, c *ws.Conn) {
				times.Store(n)
				say(ctx, c, frames...)
				_ = c.CloseNow()
			})
			o := over(client.WebSocket)
			o.MaxMessage, o.Timeout = 100_000, 5*time.Second
			o.OnCall = func(ctx context.Context, _ client.Call) (any, error) { return nil, ctx.Err() }
			c, err := client.New(url, o)
			if err != nil {
				t.Fatal(err)
			}
			subscribe(t, c, "a", func(m *channel.Message) { t.Errorf("a message: %+v", m) }, &client.SubscribeOptions{OnPresence: func(client.PresenceEvent) {}})
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			_, _ = c.Publish(ctx, "a", channel.Message{})
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			if times.Load() == 0 {
				t.Error("it has not come")
			}
		})
	}
}
