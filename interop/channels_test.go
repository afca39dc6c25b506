package interop

import "testing"

// TestChannelClients has clients of others use the channels of baro serve: over /ws, and over Socket.IO.
func TestChannelClients(t *testing.T) {
	checks(t, node(t, "channels.mjs", map[string]string{"url": baroServe(t)}))
}
