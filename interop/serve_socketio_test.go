package interop

import (
	"crypto/sha256"
	"encoding/pem"
	"os"
	"strings"
	"testing"
)

// TestServeSocketIO has the official clients of all versions subscribe to channels of `baro serve` and publish to them.
func TestServeSocketIO(t *testing.T) {
	url := strings.TrimSuffix(baroServe(t), "/")
	for _, version := range []int{4, 3, 2} {
		for _, transports := range transports {
			t.Run("v"+string(rune('0'+version))+"/"+strings.Join(transports, " to "), func(t *testing.T) {
				checks(t, node(t, "socketio/channels.mjs", map[string]any{
					"version":    version,
					"transports": transports,
					"url":        url,
				}))
			})
		}
	}
}

// TestServeWebTransport has pages do the same over WebTransport, with a certificate that they know by its hash, and a client of version 2
// by scripts (JSONP).
func TestServeWebTransport(t *testing.T) {
	files := newCertificate(t)
	content, err := os.ReadFile(files.cert)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(content)
	hash := sha256.Sum256(block.Bytes)
	url := strings.TrimSuffix(baroServe(t, "--tls-cert", files.cert, "--tls-key", files.key, "--http3"), "/")
	checks(t, browser(t, "chromium", "socketio/channels_pages.mjs", map[string]any{
		"url":    strings.Replace(url, "localhost", "127.0.0.1", 1), // which the server listens on: nothing falls back from ::1 over UDP
		"hash":   hash,                                              // an array: numbers
		"client": clientFiles(t) + "/socket.io.min.js",
	}))
}
