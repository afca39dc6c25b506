package interop

import (
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"baro.dev/interop/roles"
)

// TestPages has pages use the official client that the server serves: over each transport, from other origins, and through
// proxies that hinder it.
func TestPages(t *testing.T) {
	overUDP := listenWebTransport(t)
	for name := range browsers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			handler, end := roles.Pages(os.DirFS(clientFiles(t)))
			server := httptest.NewServer(handler)
			t.Cleanup(func() {
				end()
				server.Close()
			})
			checks(t, browser(t, name, "socketio/pages.mjs", map[string]string{
				"browser":      name,
				"url":          server.URL,
				"webtransport": overUDP,
			}))
		})
	}
}

// listenWebTransport starts a server over TCP and UDP and returns its URL.
func listenWebTransport(t *testing.T) string {
	t.Helper()
	client, err := filepath.Abs(clientFiles(t))
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "webtransport")
	if out, err := exec.Command("go", "-C", "webtransport", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return await(t, "server", startPeer(t, client, program, "serve"), "listening").URL
}

// clientFiles is the folder that `make client` fetches.
func clientFiles(t *testing.T) string {
	t.Helper()
	const dist = "../socketio/bundle/dist"
	if _, err := os.Stat(dist + "/socket.io.js"); err != nil {
		lacks(t, "the Socket.IO client for browsers")
	}
	return dist
}
