package server

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"baro.dev/channel"
	"baro.dev/channel/brokertest"
	"baro.dev/ws"
)

// gap is a server whose channels are those of a broker, and how to have it miss a message.
type gap struct {
	*Server
	t      *testing.T
	log    *brokertest.Log
	broker *brokertest.Broker
	other  *channel.Hub // of another node
}

func startGap(t *testing.T) *gap {
	log := brokertest.NewLog()
	g := &gap{t: t, log: log, broker: log.Open(), other: channel.NewHub(&channel.Options{Broker: log.Open()})}
	t.Cleanup(func() { _ = g.other.Close() })
	g.Server = start(t, Config{Channels: channel.Options{Broker: g.broker}})
	return g
}

func (g *gap) say(text string) *channel.Message {
	g.t.Helper()
	m, err := g.other.Publish("a", channel.Message{Data: []byte(text)})
	if err != nil {
		g.t.Fatal(err)
	}
	return m
}

// joined waits until a client has caught up.
func (g *gap) joined() {
	g.t.Helper()
	for late := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		if i, err := g.Hub().Info("a"); err != nil || i.Subscribers > 0 {
			return
		}
		if time.Now().After(late) {
			g.t.Fatal("nobody has subscribed")
		}
	}
}

// lose has a message be lost on its way, and gives the one after it, which is not lost but for those who are connected.
func (g *gap) lose() *channel.Message {
	g.broker.Cut(true)
	g.say("lost")
	g.log.Forget("a")
	m := g.say("not seen")
	g.broker.Cut(false)
	return m
}

func (g *gap) get(accept, query string) *http.Response {
	g.t.Helper()
	r, err := http.NewRequestWithContext(g.t.Context(), http.MethodGet, g.url("/c/a"+query), nil)
	if err != nil {
		g.t.Fatal(err)
	}
	r.Header.Set("Accept", accept)
	response, err := client(g.t).Do(r)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { response.Body.Close() })
	return response
}

// Whoever is connected when messages are lost learns of it, before it gets what follows.
func TestLost(t *testing.T) {
	t.Run("SSE", func(t *testing.T) {
		g := startGap(t)
		stream := newEvents(g.get(typeSSE, "?after=oldest").Body)
		expect := func(name, data, id string) {
			t.Helper()
			if e, err := stream.next(); err != nil || e.name != name || e.data != data || e.id != id {
				t.Fatalf("%+v, %v; want %s %s at %s", e, err, name, data, id)
			}
		}
		expect("message", "one", g.say("one").Position().String())
		g.joined()
		last := g.lose()
		expect("baro.reset", fmt.Sprintf(`{"epoch":%q,"offset":%d}`, last.Epoch, last.Offset), last.Position().String())
		expect("message", "two", g.say("two").Position().String())
	})
	t.Run("NDJSON", func(t *testing.T) {
		g := startGap(t)
		lines := bufio.NewReader(g.get(typeNDJSON, "?after=oldest").Body)
		one := g.say("one")
		if line, err := lines.ReadString('\n'); err != nil || !strings.Contains(line, `"one"`) {
			t.Fatalf("%q, %v", line, err)
		}
		g.joined()
		g.lose()
		g.say("two")
		if rest, err := io.ReadAll(lines); err != nil || strings.TrimSpace(string(rest)) != "" {
			t.Errorf("after the gap came %q, %v", rest, err)
		}
		if r := g.get(typeNDJSON, "?after="+one.Position().String()); r.StatusCode != http.StatusGone {
			t.Errorf("who comes back gets %s", r.Status)
		}
	})
	t.Run("poll", func(t *testing.T) {
		g := startGap(t)
		one := g.say("one")
		answered := make(chan *http.Response, 1)
		go func() { answered <- g.get(typeJSON, "?wait=30s&after="+one.Position().String()) }()
		for g.broker.Following() == 0 {
			if r := g.get(typeJSON, "?after="+one.Position().String()); r.StatusCode != http.StatusOK {
				t.Fatal(r.Status)
			}
		}
		last := g.lose()
		r := <-answered
		body, err := io.ReadAll(r.Body)
		if err != nil || r.StatusCode != http.StatusGone || !strings.Contains(string(body), last.Position().String()) {
			t.Errorf("%s, %s, %v", r.Status, body, err)
		}
	})
	t.Run("WebSocket", func(t *testing.T) {
		g := startGap(t)
		c := dialSocket(t, g.Server, "/c/a?after=oldest", nil)
		g.say("one")
		if m := readSocket(t, c); m.String() != "one" {
			t.Fatalf("%q", m)
		}
		g.joined()
		g.lose()
		g.say("two")
		if err := readToEnd(t, c); ws.CloseStatus(err) != statusNotRecoverable {
			t.Errorf("it ended with %v", err)
		}
	})
	t.Run("WebSocket with envelopes", func(t *testing.T) {
		g := startGap(t)
		c := dialSocket(t, g.Server, "/c/a?after=oldest", envelopes)
		g.say("one")
		if m := readSocket(t, c); !strings.Contains(m.String(), `"data":"one"`) {
			t.Fatalf("%s", m)
		}
		g.joined()
		last := g.lose().Position()
		two := g.say("two").Position()
		for _, want := range []string{fmt.Sprintf(`{"event":"baro.reset","epoch":%q,"offset":%d,"next":%q}`, last.Epoch, last.Offset, last), fmt.Sprintf(`"id":%q`, two)} {
			if m := readSocket(t, c); !strings.Contains(m.String(), want) {
				t.Errorf("%s, want %s", m, want)
			}
		}
	})
	for _, transport := range multiplexers {
		t.Run(transport, func(t *testing.T) {
			g := startGap(t)
			k := mustTalk(t, g.Server, transport, "")
			k.must("subscribe", `{"channel":"a"}`, nil)
			one := g.say("one").Position()
			k.expect("message")
			g.joined()
			g.lose()
			g.say("two")
			if h := k.next(); h.name != "unsubscribed" || !strings.Contains(h.body, `"not_recoverable"`) {
				t.Errorf("told %+v", h)
			}
			k.refused("not_recoverable", "subscribe", fmt.Sprintf(`{"channel":"a","after":%q}`, one))
		})
	}
}
