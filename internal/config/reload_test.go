package config

import (
	"slices"
	"testing"

	"baro.dev/internal/server"
)

// What the page says about reloads the server does.
func TestReloadsAreMarked(t *testing.T) {
	fixed := append(server.Fixed(), "log.format", "trace.endpoint", "trace.sample")
	for _, k := range Keys() {
		if i := slices.Index(fixed, k.Name); i >= 0 == k.Reloads {
			t.Errorf("%s: marked %v, and the server changes it: %v", k.Name, k.Reloads, i < 0)
		}
	}
}
