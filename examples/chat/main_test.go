package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"baro.dev/ws"
)

// guest speaks Socket.IO over WebSocket, as its clients do.
type guest struct {
	*ws.Conn
	t *testing.T
}

func arrive(t *testing.T, url, auth string) *guest {
	c, _, err := ws.Dial(t.Context(), url+"/socket.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseNow() })
	g := &guest{c, t}
	g.hear("0{")
	g.say("40" + auth)
	return g
}

func (g *guest) say(packet string) {
	g.t.Helper()
	if err := g.Write(g.t.Context(), ws.Text, []byte(packet)); err != nil {
		g.t.Fatal(err)
	}
}

// hear waits for packets that begin like this.
func (g *guest) hear(packets ...string) {
	g.t.Helper()
	for _, want := range packets {
		m, err := g.Read(g.t.Context())
		if err != nil || !strings.HasPrefix(m.String(), want) {
			g.t.Fatalf("heard %q, %v; want %s", m, err, want)
		}
	}
}

func TestChat(t *testing.T) {
	server := httptest.NewServer(newChat())
	defer server.Close()

	resp, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || string(body) != page || resp.Header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("%.60q, %v, %v", body, resp.Header, err)
	}

	nobody := arrive(t, server.URL, "{}")
	nobody.hear(`44{"message":"a name is needed, of up to 30 bytes"}`)

	ada := arrive(t, server.URL, `{"name":"ada"}`)
	ada.hear(`40{"sid":`)
	ada.say(`421["enter","nowhere"]`)
	ada.hear(`431[{"error":{"message":"there is no such room"}}]`)
	ada.say(`422["enter","go"]`)
	ada.hear(`42["people",["ada"],"`, `432[]`)
	bo := arrive(t, server.URL, `{"name":"bo"}`)
	bo.hear(`40{"sid":`)
	bo.say(`42["enter","go"]`)
	bo.hear(`42["people",["ada","bo"],"`)
	ada.hear(`42["people",["ada","bo"],"`, `42["came","bo","`)

	bo.say(`42["typing"]`)
	ada.hear(`42["typing","bo"]`)
	bo.say(`42["say","<b>안녕</b>"]`)
	for _, g := range []*guest{ada, bo} {
		g.hear(`42["said",{"from":"bo","text":"`)
	}
	bo.say(`451-["image",{"type":"image/png","data":{"_placeholder":true,"num":0}}]`)
	if err := bo.Write(t.Context(), ws.Binary, []byte("\x89PNG")); err != nil {
		t.Fatal(err)
	}
	for _, g := range []*guest{ada, bo} {
		g.hear(`451-["image",{"from":"bo","type":"image/png","data":{"_placeholder":true,"num":0}},"`, "\x89PNG")
	}

	bo.CloseNow()
	ada.hear(`42["left","bo","`, `42["people",["ada"],"`)
}
