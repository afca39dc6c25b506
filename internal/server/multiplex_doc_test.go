package server

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"baro.dev/internal/auth"
	"baro.dev/internal/clients"
	"baro.dev/ws"
)

// The session in docs/ws-protocol.md is what happens.
func TestMultiplexTranscript(t *testing.T) {
	text, err := os.ReadFile("../../docs/ws-protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "<!-- transcript -->\n```\n")
	session, _, found := strings.Cut(rest, "\n```")
	if !found {
		t.Fatal("there is no transcript")
	}
	config := withTokens(t)
	room := devRule()
	room.Pattern, room.Access = patternOf(t, "rooms/*"), clients.Rule{}
	config.Rules = append([]Rule{room}, config.Rules...)
	s := start(t, config)
	rooms := []string{"rooms/*"}
	ana := token(t, "ana", time.Hour, func(c *auth.Claims) { c.Subscribe, c.Publish, c.Presence, c.History = rooms, rooms, rooms, rooms })
	c := dialSocket(t, s, "/ws", nil)
	epoch := ""
	for line := range strings.Lines(session) {
		direction, said, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch direction {
		case "→":
			said = strings.Replace(said, `"token":"…"`, `"token":"`+ana+`"`, 1)
			said = strings.Replace(said, `"after":"…:0"`, `"after":"`+epoch+`:0"`, 1)
			if err := c.Write(t.Context(), ws.Text, []byte(said)); err != nil {
				t.Fatal(err)
			}
		case "←":
			pattern := strings.ReplaceAll(regexp.QuoteMeta(said), "…", `[^",]*`)
			m := readSocket(t, c)
			if !regexp.MustCompile("^" + pattern + "$").Match(m.Data) {
				t.Fatalf("the server says\n%s\nand the transcript\n%s", m.Data, said)
			}
			if found := regexp.MustCompile(`"epoch":"(\w+)"`).FindSubmatch(m.Data); found != nil {
				epoch = string(found[1])
			}
		default:
			t.Errorf("%q is neither said nor heard", line)
		}
	}
}
