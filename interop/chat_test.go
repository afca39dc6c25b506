package interop

import (
	"bufio"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// chat runs examples/chat, which has the client for browsers in it, until the end of the test and returns its URL.
func chat(t *testing.T) string {
	t.Helper()
	clientFiles(t)
	program := filepath.Join(t.TempDir(), "chat")
	build := exec.Command("go", "build", "-tags", "socketioclient", "-o", program, "./examples/chat")
	build.Dir = ".."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), program, "-listen", "127.0.0.1:0")
	cmd.Stderr = t.Output()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Wait() }) // it has been killed
	url, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(url)
}

// A guest is a page of the chat, used as somebody would.
type guest struct{ *page }

func enter(t *testing.T, url, name string, v viewport) guest {
	t.Helper()
	g := guest{newPage(t, "chromium", v)}
	g.do("goto", map[string]string{"url": url})
	g.do("fill", map[string]string{"selector": "dialog input", "text": name})
	g.do("click", map[string]string{"selector": "dialog button"})
	g.sees("#state", "over websocket")
	return g
}

// sees waits until an element has the text in it.
func (g guest) sees(selector, text string) {
	g.t.Helper()
	g.until(fmt.Sprintf("document.querySelector(%q)?.textContent.includes(%q)", selector, text))
}

func (g guest) types(text string) {
	g.t.Helper()
	g.do("fill", map[string]string{"selector": "#say input[type=text]", "text": text})
}

func (g guest) says(text string) {
	g.t.Helper()
	g.types(text)
	g.do("click", map[string]string{"selector": "#say button"})
}

// sends draws an image and chooses it.
func (g guest) sends() {
	g.t.Helper()
	g.until(`(async () => {
		const canvas = new OffscreenCanvas(480, 320), c = canvas.getContext("2d");
		c.fillStyle = "#3056d3"; c.fillRect(0, 0, 480, 320);
		c.fillStyle = "#ffd166"; c.beginPath(); c.arc(240, 160, 90, 0, 7); c.fill();
		const files = new DataTransfer(), input = document.querySelector("input[type=file]");
		files.items.add(new File([await canvas.convertToBlob()], "sun.png", { type: "image/png" }));
		input.files = files.files;
		input.dispatchEvent(new Event("change"));
		return true;
	})()`)
}

// TestChat has two people use examples/chat.
func TestChat(t *testing.T) {
	t.Parallel()
	url := chat(t)
	ada := enter(t, url, "Ada", viewport{Width: 1280, Height: 800})
	bo := enter(t, url, "보", viewport{Width: 390, Height: 844, dark: true})
	ada.sees("#log", "보 has come.")
	ada.sees("#people", "보")
	bo.sees("#people", "보 (you)")
	bo.sees("#count", "2 here") // phones have no room for the names

	bo.types("안")
	ada.sees("#typing", "보 is typing…")
	bo.says("안녕하세요! <b>bold</b>")
	ada.says("Hello, right away. What a fine day this is for a rather longer line that has to be wrapped somewhere, on phones at least.")
	for _, g := range []guest{ada, bo} {
		g.sees("#log", "안녕하세요! <b>bold</b>")
		g.sees("#log", "Hello, right away.")
	}
	ada.sends()
	for _, g := range []guest{ada, bo} {
		g.until(`document.querySelector(".said img")?.naturalWidth === 480`)
	}
	bo.says("😀 A picture!")
	ada.sees("#log", "A picture!")
	for name, g := range map[string]guest{"chat-desktop.png": ada, "chat-phone-dark.png": bo} {
		g.until(`document.documentElement.scrollWidth <= innerWidth && document.querySelector("#log").scrollWidth <= document.querySelector("#log").clientWidth`)
		g.until(`(() => { const l = document.querySelector("#log"); return l.scrollHeight - l.scrollTop - l.clientHeight < 2 })()`) // the last is seen
		g.screenshot(name)
	}

	ada.do("click", map[string]string{"selector": `#rooms button[value="music"]`})
	ada.sees("#where", "music")
	bo.sees("#log", "Ada has left.")
	bo.says("of no concern to Ada")
	bo.sees("#log", "of no concern to Ada")
	ada.says("alone")
	ada.sees("#log", "alone")
	ada.until(`document.querySelectorAll(".said").length === 1`)
}
