//go:build linux

package harness

import (
	"slices"
	"strings"
	"testing"
	"time"

	"baro.dev/bench/internal/load"
	"baro.dev/bench/internal/peers"
)

// channelServers are those that are there.
func channelServers(t *testing.T) (names []string) {
	for _, s := range peers.All() {
		if s.Program == nil {
			continue
		}
		if _, err := s.Program.Find(); err != nil {
			t.Logf("without %s: %v", s.Name, err)
			continue
		}
		names = append(names, s.Name)
	}
	return names
}

// The stand-alone servers run for a moment, over each of their doors, and what is counted is what there was.
func TestChannels(t *testing.T) {
	servers := channelServers(t)
	for _, c := range []struct {
		cell   string
		ours   string // some of those that take part
		divide int    // messages come in multiples of it
		bytes  int64  // that come from the server for each message, at least
	}{
		{"chpub-128-p1-c3", "baro-post baro-api", 1, 50},
		{"chpub-128-p100-c3", "baro-api", 100, 10},
		{"chws-128-w1-n20", "baro-plain baro-json baro-ws baro-channels-sio", 20, 128},
		{"chws-128-w3-n20", "baro-plain baro-json baro-ws baro-channels-sio", 60, 128},
		{"chsse-128-w3-n20", "baro-sse", 60, 128},
		{"chidle-128-n50", "baro-plain baro-json baro-ws baro-sse baro-channels-sio", 50, 0},
	} {
		t.Run(c.cell, func(t *testing.T) {
			plan := Plan{Cells: []string{c.cell}, Rounds: 1, Warmup: 20 * time.Millisecond, Duration: 200 * time.Millisecond}
			report := runCell(t, plan, servers)
			var names []string
			for _, s := range report.Samples {
				names = append(names, s.Server)
				r := s.Result
				switch {
				case s.Error != "":
					t.Errorf("%s: %s", s.Server, s.Error)
				case r.Messages <= 0 || r.Messages%c.divide != 0 || r.Seconds <= 0 || r.CPU <= 0:
					t.Errorf("%s: %+v", s.Server, r)
				case r.BytesIn < int64(r.Messages)*c.bytes:
					t.Errorf("%s: %d bytes for %d messages", s.Server, r.BytesIn, r.Messages)
				}
			}
			for name := range strings.FieldsSeq(c.ours) {
				if !slices.Contains(names, name) {
					t.Errorf("%s was not measured, but %v", name, names)
				}
			}
		})
	}
}

// In a cell of channels the peer is the best server that is not ours, and each server takes part in what it can.
func TestWhoEntersChannels(t *testing.T) {
	publishes, subscribes, streams := &load.Door{}, &load.Door{Subscribe: &load.Subscribe{}}, &load.Door{Subscribe: &load.Subscribe{Stream: true}}
	batches := &load.Door{Publish: load.Publish{Batch: func(string, int) string { return "" }}}
	for _, c := range []struct {
		cell string
		want []bool // of publishes, batches, subscribes, streams and a server of WebSockets
	}{
		{"chpub-128-p1-c16", []bool{true, true, false, false, false}},
		{"chpub-128-p100-c1", []bool{false, true, false, false, false}},
		{"chws-128-n10", []bool{false, false, true, false, false}},
		{"chsse-128-n10", []bool{false, false, false, true, false}},
		{"chidle-128-n10", []bool{false, false, true, true, false}},
		{"echo-64", []bool{false, false, false, false, true}},
	} {
		cell, err := ParseCell(c.cell)
		if err != nil {
			t.Fatal(err)
		}
		for i, d := range []*load.Door{publishes, batches, subscribes, streams, nil} {
			s := Contender{Door: d, Speaks: webSocket}
			if got := s.enters(cell); got != c.want[i] {
				t.Errorf("%s, server %d: %v", c.cell, i, got)
			}
		}
		if c.cell != "echo-64" && cell.hasRaw() {
			t.Errorf("%s has raw TCP", c.cell)
		}
	}
	for _, name := range []string{"chpub-128-noctx", "chws-128-r10", "chat-64"} {
		if _, err := ParseCell(name); err == nil {
			t.Errorf("%s is a cell", name)
		}
	}
}
