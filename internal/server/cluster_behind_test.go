package server

import (
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"

	"baro.dev/channel/brokertest"
	"baro.dev/internal/cluster/backbone"
	"baro.dev/internal/cluster/membus"
)

// A server that has not got yet what it is to keep is not ready, though the broker is there: were another one stopped, nothing would be kept.
func TestClusterBehind(t *testing.T) {
	t.Parallel()
	var net membus.Network
	var log logged
	var whole atomic.Bool
	shelf := &shelfInMemory{all: map[string]map[string]shelfThing{}}
	s := start(t, Config{Dev: true, Log: slog.New(slog.NewJSONHandler(&log, nil)), Backbone: &backbone.Backbone{
		Broker: brokertest.NewLog().Open(), Bus: net.Bus(), Shelf: shelf,
		Behind: func() error {
			if whole.Load() {
				return nil
			}
			return errors.New("it catches up")
		},
	}})
	const behind, there = "the server is not ready: it has not got yet what it is to keep for all; no other one should go", "the server has what it is to keep for all"
	eventually(t, "the log says so", func() bool { return len(log.lines(t, behind)) == 1 })
	if ok, reasons := s.ready(); ok || !slices.Equal(reasons, []string{"behind"}) {
		t.Errorf("it is ready: %v, %q", ok, reasons)
	}
	whole.Store(true)
	eventually(t, "the log says that it is not any more", func() bool { return len(log.lines(t, there)) == 1 })
	if ok, reasons := s.ready(); !ok {
		t.Errorf("it is not ready: %q", reasons)
	}
}
