package interop

import (
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"testing"
)

type viewport struct {
	Width  int  `json:"width"`
	Height int  `json:"height"`
	dark   bool // what the user likes
}

// A page is one in a browser that a test looks at and uses.
type page struct {
	t *testing.T
	*peer
}

func newPage(t *testing.T, name string, v viewport) *page {
	t.Helper()
	return &page{t, browser(t, name, "page.mjs", map[string]any{"browser": name, "viewport": v, "dark": v.dark})}
}

// do carries out an order of page.mjs. Anything that has gone wrong on the page until it is done fails the test.
func (p *page) do(order string, fields map[string]string) {
	p.t.Helper()
	line := map[string]string{"order": order}
	maps.Copy(line, fields)
	if err := p.stdin.Encode(line); err != nil {
		p.t.Fatal(err)
	}
	await(p.t, "page, "+order, p.peer, "done")
}

func (p *page) until(script string) { p.t.Helper(); p.do("until", map[string]string{"script": script}) }

// screenshot keeps a picture where `go test -artifacts` can be told to leave it.
func (p *page) screenshot(name string) {
	p.t.Helper()
	p.do("screenshot", map[string]string{"path": filepath.Join(p.t.ArtifactDir(), name)})
}

// TestConsole uses the page of `baro serve` as a person would, and finds what was sent on each transport.
func TestConsole(t *testing.T) {
	files := newCertificate(t)
	desktop, phone := viewport{Width: 1280, Height: 900}, viewport{Width: 390, Height: 844}
	tests := []struct {
		name, browser string
		view          viewport
		args          []string
	}{
		{"desktop", "chromium", desktop, nil},
		{"phone", "chromium", phone, nil},
		{"desktop over HTTP2", "chromium", desktop, []string{"--tls-cert", files.cert, "--tls-key", files.key}},
		{"firefox", "firefox", desktop, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := newPage(t, test.browser, test.view)
			p.do("goto", map[string]string{"url": baroServe(t, test.args...)})
			p.until(`document.querySelectorAll("#cards article").length === 5`)
			for i, by := range []string{"post", "websocket"} {
				text := fmt.Sprintf("메세지 by %s", by)
				p.do("click", map[string]string{"selector": fmt.Sprintf(`label:has(input[value="%s"])`, by)})
				p.do("fill", map[string]string{"selector": "#text", "text": text})
				p.do("click", map[string]string{"selector": `button[type="submit"]`})
				p.until(fmt.Sprintf(`[...document.querySelectorAll("#cards article")].every((card) =>
					card.querySelector(".count").textContent === "%d" && card.querySelector(".messages").textContent.includes("%s"))`, i+1, text))
			}
			p.screenshot(strings.ReplaceAll(test.name, " ", "-") + ".png")
			p.until(`document.documentElement.scrollWidth <= innerWidth`) // nothing to scroll to the side
		})
	}
}

// TestServe has a channel of `baro serve` carry messages, plain frames, between everybody's clients.
func TestServe(t *testing.T) {
	address := baroServe(t)
	channel := strings.Replace(address, "http", "ws", 1) + "c/demo"
	clients := map[string]end{
		"browser": dialBrowser(t, options{Page: address, URL: channel}),
		"node":    node(t, "node.mjs", options{Role: "client", URL: channel}),
		"python":  python(t, options{Role: "client", URL: channel}),
		"baro":    dialBaro(t, options{Role: "client", URL: channel}),
	}
	for who, c := range clients {
		await(t, who, c, "open")
	}
	for from, sender := range clients {
		for _, m := range []message{
			{kind: "text", parts: [][]byte{[]byte("메세지 of " + from)}},
			{kind: "binary", parts: [][]byte{everyByte()}},
		} {
			sender.send(m.kind, m.parts...)
			for who, c := range clients {
				awaitMessage(t, who+", from "+from, c, m.kind, join(m))
			}
		}
	}
}
