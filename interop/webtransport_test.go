package interop

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestWebTransport has the official client connect from a page in Chromium, which knows the hash of the server's certificate.
func TestWebTransport(t *testing.T) {
	client, err := filepath.Abs("node_modules/engine.io-client/dist/engine.io.min.js")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(client); err != nil {
		lacks(t, "the npm packages of interop/")
	}
	program := filepath.Join(t.TempDir(), "webtransport")
	if out, err := exec.Command("go", "-C", "webtransport", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	server := startPeer(t, client, program, "serve")
	url := await(t, "server", server, "listening").URL
	page := browser(t, "socketio/webtransport.mjs", options{Role: "client", URL: url})
	for ev := range page.events() {
		switch ev.Event {
		case "check":
			t.Run(ev.Name, func(t *testing.T) {
				if ev.Message != "" {
					t.Error(ev.Message)
				}
			})
		case "done":
			return
		default:
			t.Errorf("the page tells of %s", ev)
		}
	}
	t.Error("the page is gone")
}
