package socketio_test

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"baro.dev/socketio"
	"baro.dev/ws"
)

// Whoever breaks the protocol is logged once, whichever layer notices.
func TestViolationsBelowAreLoggedOnce(t *testing.T) {
	text := func(p *peer, s string) { _ = p.c.Write(context.Background(), ws.Text, []byte(s)) }
	for name, breaks := range map[string]func(p *peer){
		"packet of Socket.IO":              func(p *peer) { p.send("2[", "2[") },
		"type of packet":                   func(p *peer) { p.send("9") },
		"packet for another namespace":     func(p *peer) { p.send(`2/other,["e"]`, `2/other,["e"]`) },
		"second CONNECT":                   func(p *peer) { p.send("0", "0") },
		"event with a reserved name":       func(p *peer) { p.send(`2["connect"]`) },
		"acknowledgement that is none":     func(p *peer) { p.send("3[]") },
		"binary that nobody expects":       func(p *peer) { p.send("b:x") },
		"text while an attachment is due":  func(p *peer) { p.send(`51-["e",{"_placeholder":true,"num":0}]`, `2["e"]`) },
		"packet of Engine.IO":              func(p *peer) { text(p, "9"); text(p, "9") },
		"heartbeat in the wrong direction": func(p *peer) { text(p, "2") },
		"message that is too long":         func(p *peer) { p.send(strings.Repeat("x", 1_100_000)) },
		"frame that is not masked":         func(p *peer) { _, _ = p.c.UnderlyingConn().Write([]byte("\x81\x02hi")) },
		"message that is not UTF-8":        func(p *peer) { _, _ = p.c.UnderlyingConn().Write([]byte("\x81\x82\x00\x00\x00\x004\xff")) },
	} {
		t.Run(name, func(t *testing.T) {
			log := make(recorder, 100)
			o := &socketio.Options{}
			o.Engine.Logger = slog.New(log)
			io, url := start(t, o)
			p := dial(t, url)
			p.connect("0")
			breaks(p)
			eventually(t, "the session has ended", func() bool { return io.ClientsCount() == 0 })
			p.close()
			if l := got(t, log); l.level != slog.LevelDebug || l.attrs["error"] == "" {
				t.Errorf("%+v", l)
			}
			if len(log) > 0 {
				t.Errorf("logged twice: %+v", <-log)
			}
		})
	}
}

// A request that is refused is logged once.
func TestRefusalsAreLoggedOnce(t *testing.T) {
	log := make(recorder, 100)
	o := &socketio.Options{}
	o.Engine.Logger = slog.New(log)
	_, url := start(t, o)
	for _, header := range []http.Header{{}, {"Origin": {"http://elsewhere"}}} {
		_, _, err := ws.Dial(t.Context(), strings.Replace(url, "http", "ws", 1)+"/socket.io/?EIO=7&transport=websocket", &ws.DialOptions{Header: header})
		if err == nil {
			t.Fatal("it was let in")
		}
		got(t, log)
		if len(log) > 0 {
			t.Errorf("logged twice: %+v", <-log)
		}
	}
}
