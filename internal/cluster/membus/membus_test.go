package membus_test

import (
	"testing"

	"baro.dev/internal/cluster"
	"baro.dev/internal/cluster/bustest"
	"baro.dev/internal/cluster/membus"
)

func TestBus(t *testing.T) {
	bustest.Run(t, func(t *testing.T) (a, b cluster.Bus) {
		w := new(membus.Network)
		a, b = w.Bus(), w.Bus()
		t.Cleanup(func() { _, _ = a.Close(), b.Close() })
		return a, b
	})
}
