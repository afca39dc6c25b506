//go:build linux

package harness

import (
	"slices"
	"testing"
	"time"

	"baro.dev/bench/internal/peers"
)

// Two servers that a broker joins run for a moment: what one client publishes at the first reaches those at the second.
func TestCluster(t *testing.T) {
	for cell, servers := range map[string][]string{
		"siocluster-128-w3-n20": {"baro-sio", "baro-sio-redis", "baro-sio-sharded", "baro-sio-streams", "baro-sio-nats", "socketio-node-redis"},
		"chcluster-128-w3-n20":  {"baro-plain", "baro-nats", "baro-redis"},
	} {
		t.Run(cell, func(t *testing.T) {
			servers = slices.DeleteFunc(servers, func(name string) bool {
				_, err := Contenders([]string{name}, t.Output())
				if err != nil {
					t.Logf("without %s: %v", name, err)
				}
				return err != nil
			})
			plan := Plan{Cells: []string{cell}, Rounds: 1, Warmup: 20 * time.Millisecond, JITWarmup: 20 * time.Millisecond, Duration: 100 * time.Millisecond}
			report := runCell(t, plan, servers)
			if len(report.Samples) != len(servers) {
				t.Errorf("%d of %d were measured", len(report.Samples), len(servers))
			}
			for _, s := range report.Samples {
				if r := s.Result; s.Error != "" || r.Messages <= 0 || r.Messages%60 != 0 || r.CPU <= 0 {
					t.Errorf("%s: %s %+v", s.Server, s.Error, r)
				}
			}
			c, err := ParseCell(cell)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range Summarize(c, report.Samples) {
				if base, _ := c.base(); (r.Server == base) != (r.BestRaw == 1) {
					t.Errorf("%s is %v of a local delivery", r.Server, r.BestRaw)
				}
			}
		})
	}
}

// Servers that are joined take part in no other cell.
func TestWhoEntersClusters(t *testing.T) {
	for _, s := range peers.All() {
		if s.Broker == "" {
			continue
		}
		c := Contender{Name: s.Name, Joined: true, Speaks: webSocket}
		if s.SocketIO {
			c.Speaks = socketIO
		} else {
			c.Door = &s.Program.Door
		}
		for name, want := range map[string]bool{
			"sioroom-128-n10": false, "chws-128-n10": false, "echo-64": false, "siocluster-128-n10": s.SocketIO, "chcluster-128-n10": !s.SocketIO,
		} {
			cell, err := ParseCell(name)
			if err != nil {
				t.Fatal(err)
			}
			if c.enters(cell) != want {
				t.Errorf("%s in %s: %t", s.Name, name, !want)
			}
		}
	}
}
