//go:build linux

package harness

import (
	"io"
	"strings"
	"testing"

	"baro.dev/bench/internal/load"
	"baro.dev/bench/internal/peers"
)

// checkAnswers is checkBytes for acknowledgements: 430["..."].
func checkAnswers(t *testing.T, c Cell, r load.Result) {
	c.Size += len(`430[""]`)
	header := 0
	if c.Size > 125 {
		header = 2
	}
	c.Size += header
	checkBytes(t, c, r)
}

// socketIOServers are those that are there.
func socketIOServers(t *testing.T) (names []string) {
	for _, s := range peers.All() {
		if !s.SocketIO || s.Broker != "" { // these have modes of their own
			continue
		}
		if s.Command != nil {
			if _, err := s.Command(); err != nil {
				t.Logf("without %s: %v", s.Name, err)
				continue
			}
		}
		names = append(names, s.Name)
	}
	return names
}

// In a cell of Socket.IO the peer is the best server that is not ours, also one that somebody brings.
func TestSummarizeSocketIO(t *testing.T) {
	c, err := ParseCell("sioroom-128-w1-n1000")
	if err != nil {
		t.Fatal(err)
	}
	var list []Sample
	for server, cpu := range map[string]float64{"baro-sio": 1, "socketio-node": 5, "mine": 4} {
		list = append(list, Sample{Cell: c.Name, Server: server, Result: load.Result{Messages: 1e6, CPU: cpu, Seconds: 1}})
	}
	for _, r := range Summarize(c, list) {
		want := map[string]float64{"baro-sio": 0.25, "socketio-node": 1.25, "mine": 1}[r.Server]
		if r.BestPeer != want || r.MedianPeer != want {
			t.Errorf("%s: %v and %v, want %v", r.Server, r.BestPeer, r.MedianPeer, want)
		}
	}
	var table strings.Builder
	Table(&table, c, Summarize(c, list))
	if !strings.Contains(table.String(), "CPU-µs a delivery") || strings.Contains(table.String(), "÷ raw") {
		t.Error(table.String())
	}
	if plots := (&Report{Samples: list}).Plots(); !strings.Contains(string(plots["sioroom-twocores"]), "room of 1,000") {
		t.Errorf("%s", plots["sioroom-twocores"])
	}
}

// Servers take part in what they speak.
func TestWhoEnters(t *testing.T) {
	list, err := Contenders([]string{"baro-sio", "gws", "gobwas", "mine=x"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ cell, want string }{
		{"echo-64", "gws gobwas mine"},
		{"echo-64-ctx", "gws mine"},
		{"sioack-64", "baro-sio mine"},
	} {
		cell, err := ParseCell(c.cell)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, s := range list {
			if s.enters(cell) {
				names = append(names, s.Name)
			}
		}
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("%s: %s, want %s", c.cell, got, c.want)
		}
	}
}
