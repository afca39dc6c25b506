//go:build linux

package harness

import (
	"encoding/xml"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"baro.dev/bench/internal/load"
	"baro.dev/bench/internal/peers"
)

// The test binary is also the program that serves.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		if err := peers.Main(os.Args[2:]); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// Each mode runs for a moment against this project, a peer and raw TCP, and what is counted is what there was.
func TestEachMode(t *testing.T) {
	servers := []string{"baro", "baro-inline", "gws", "tcpepoll"}
	for _, c := range []struct {
		cell  string
		check func(t *testing.T, c Cell, r load.Result)
	}{
		{"echo-64-p1-c10-onecore", checkBytes},
		{"echo-64-p16-c10-twocores", checkBytes},
		{"echo-65536-p4-c3-twocores", checkBytes},
		{"echo-64-r1000-c10-apart", func(t *testing.T, c Cell, r load.Result) {
			checkBytes(t, c, r)
			// What was late in the warm-up may be answered now.
			if float64(r.Messages) > 2000*r.Seconds {
				t.Errorf("%d messages in %.2f s", r.Messages, r.Seconds)
			}
		}},
		{"fanout-128-w3-n20-onecore", func(t *testing.T, _ Cell, r load.Result) {
			if r.Messages%(3*20) != 0 {
				t.Errorf("%d deliveries are not of whole publications", r.Messages)
			}
		}},
		{"churn-64-c4-twocores", func(*testing.T, Cell, load.Result) {}},
		{"echo-4096-c4-noctx-twocores", checkCompressed},
		{"echo-4096-c4-ctx-twocores", checkCompressed},
		{"idle-64-n50-twocores", checkIdle},
		{"idle-4096-n20-ctx-twocores", checkIdle},
		{"sioack-64-p1-c10-onecore", checkAnswers},
		{"sioack-64-p8-c10-twocores", checkAnswers},
		{"sioack-300-p2-c10-twocores", checkAnswers}, // a frame with a longer header
		{"sioroom-128-w3-n20-onecore", func(t *testing.T, _ Cell, r load.Result) {
			if r.Messages%(3*20) != 0 {
				t.Errorf("%d deliveries are not of whole publications", r.Messages)
			}
		}},
		{"siopoll-64-c5-twocores", func(t *testing.T, c Cell, r load.Result) {
			// A response has the acknowledgement, "ok", and two heads of a hundred bytes at least.
			if each := r.BytesIn / int64(r.Messages); each < int64(c.Size)+209 || each > 2000 {
				t.Errorf("%d bytes for each of %d rounds", each, r.Messages)
			}
		}},
		{"sioopen-64-c4-twocores", func(*testing.T, Cell, load.Result) {}},
		{"sioidle-64-n50-twocores", func(t *testing.T, c Cell, r load.Result) {
			checkIdle(t, c, r)
			if r.Beats < c.Conns {
				t.Errorf("%d heartbeats of %d clients", r.Beats, c.Conns)
			}
		}},
	} {
		t.Run(c.cell, func(t *testing.T) {
			servers := servers
			if strings.HasPrefix(c.cell, "sio") {
				servers = socketIOServers(t)
			}
			if strings.Contains(c.cell, idle) {
				t.Parallel() // it mostly waits
			}
			plan := Plan{
				Cells: []string{c.cell}, Rounds: 1, Warmup: 20 * time.Millisecond, Duration: 200 * time.Millisecond,
				JITWarmup: 20 * time.Millisecond, Heartbeat: time.Second,
			}
			report := runCell(t, plan, servers)
			cell := report.cells()[0]
			want := len(servers)
			if cell.Deflate {
				want-- // raw TCP does not compress
			}
			if len(report.Samples) != want {
				t.Errorf("%d samples, want %d", len(report.Samples), want)
			}
			for _, s := range report.Samples {
				r := s.Result
				if s.Error != "" {
					t.Errorf("%s: %s", s.Server, s.Error)
					continue
				}
				if r.Messages <= 0 || r.Seconds <= 0 || r.CPU <= 0 || !cell.isIdle() && (r.P50 <= 0 || r.P50 > r.P99 || r.P99 > r.P999) {
					t.Errorf("%s: %+v", s.Server, r)
				}
				if s.Server != "tcpepoll" {
					c.check(t, cell, r)
				}
			}
		})
	}
}

// runCell runs a plan of one cell, for longer where the machine stood still while it was measured, or before: then all that was
// due meanwhile comes at once.
func runCell(t *testing.T, plan Plan, servers []string) *Report {
	t.Helper()
	cell, err := ParseCell(plan.Cells[0])
	if err != nil {
		t.Fatal(err)
	}
	disturbed := func(s Sample) bool {
		return strings.Contains(s.Error, load.ErrNoReply.Error()) || strings.Contains(s.Error, load.ErrTooSlow.Error()) ||
			cell.Rate > 0 && float64(s.Result.Messages) > 2*float64(cell.Rate)*s.Result.Seconds
	}
	for {
		report, err := Run(plan, servers, io.Discard, t.Output())
		if err != nil {
			t.Fatal(err)
		}
		if plan.Duration >= 5*time.Second || !slices.ContainsFunc(report.Samples, disturbed) {
			return report
		}
		plan.Duration *= 5
	}
}

// checkBytes compares the bytes that came with the messages counted: no more than what was in flight can be between.
func checkBytes(t *testing.T, c Cell, r load.Result) {
	header := int64(2)
	if c.Size > 65535 {
		header = 10
	}
	frame := int64(c.Size) + header
	slack := int64(c.Conns*c.Depth) * frame
	if d := r.BytesIn - int64(r.Messages)*frame; max(d, -d) > slack {
		t.Errorf("%d messages and %d bytes", r.Messages, r.BytesIn)
	}
}

func checkCompressed(t *testing.T, c Cell, r load.Result) {
	if !strings.HasPrefix(r.Extensions, "permessage-deflate") || c.Context == strings.Contains(r.Extensions, "server_no_context_takeover") {
		t.Errorf("agreed to %q", r.Extensions)
	}
	if size := r.BytesIn / int64(r.Messages); size > int64(c.Size)/2 {
		t.Errorf("%d bytes for each message of %d", size, c.Size)
	}
}

func checkIdle(t *testing.T, c Cell, r load.Result) {
	if r.Messages != c.Conns {
		t.Errorf("%d connections, want %d", r.Messages, c.Conns)
	}
}

func TestAnotherProgram(t *testing.T) {
	program := filepath.Join(t.TempDir(), "server")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, []byte("#!/bin/sh\nexec "+self+" serve \"$@\" -server gws\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	plan := Plan{Cells: []string{"echo-64-p1-c3-twocores"}, Rounds: 1, Duration: 50 * time.Millisecond}
	report := runCell(t, plan, []string{"mine=" + program})
	if len(report.Samples) != 1 || report.Samples[0].Error != "" || report.Samples[0].Server != "mine" {
		t.Errorf("%+v", report)
	}
}

func TestParseCell(t *testing.T) {
	for _, name := range slices.Concat(mustPlan(t, "socketio").Cells, mustPlan(t, "quick").Cells, mustPlan(t, "full").Cells) {
		if _, err := ParseCell(name); err != nil {
			t.Error(err)
		}
	}
	c, err := ParseCell("echo-4096-p2-c7-r9-ctx-onecore")
	want := Cell{Name: c.Name, Mode: echo, Size: 4096, Conns: 7, Depth: 2, Rate: 9, Deflate: true, Context: true, Where: oneCore}
	if err != nil || c != want {
		t.Errorf("%+v, %v", c, err)
	}
	for _, name := range []string{"", "sioack-64-ctx", "siopoll-64-r100", "ech-64", "echo-x", "echo-64-p", "echo-0", "echo-64-p-1", "echo--64"} {
		if c, err := ParseCell(name); err == nil {
			t.Errorf("%q is %+v", name, c)
		}
	}
}

func mustPlan(t *testing.T, name string) Plan {
	p, err := PlanNamed(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// samples are of three rounds, of which the second is slow for all.
func samples() (list []Sample) {
	for server, messages := range map[string][]int{
		"baro-inline": {3000, 1500, 3100}, "gws": {2000, 1000, 2000}, "gorilla": {2100, 800, 1900}, "tcpepoll": {4000, 2000, 4000},
	} {
		for round, n := range messages {
			list = append(list, Sample{Cell: "echo-64-c9", Server: server, Round: round, Result: load.Result{Messages: n, CPU: 1, Seconds: 1}})
		}
	}
	return append(list, Sample{Cell: "echo-64-c9", Server: "nbio", Error: "broken"})
}

func TestSummarize(t *testing.T) {
	c, err := ParseCell("echo-64-c9")
	if err != nil {
		t.Fatal(err)
	}
	rows := Summarize(c, samples())
	i := slices.IndexFunc(rows, func(r Row) bool { return r.Server == "baro-inline" })
	r := rows[i]
	for _, v := range []struct{ got, want float64 }{
		{r.Best, 3.1}, {r.Median, 3}, {r.BestPeer, 3.1 / 2.1}, {r.MedianPeer, 1.5}, {r.BestRaw, 3.1 / 4}, {r.MedianRaw, 0.75},
	} {
		if math.Abs(v.got-v.want) > 1e-9 {
			t.Errorf("%+v", r)
		}
	}
	for _, r := range rows {
		if r.Server == "nbio" && (r.Failed != 1 || !math.IsNaN(r.Best)) {
			t.Errorf("%+v", r)
		}
	}
}

// What is written can be read, and the plots are XML.
func TestReport(t *testing.T) {
	report := &Report{Machine: ThisMachine(), Samples: samples()}
	dir := t.TempDir()
	if err := report.Write(dir); err != nil {
		t.Fatal(err)
	}
	again, err := Read(filepath.Join(dir, "results.json"))
	if err != nil || !slices.Equal(again.Samples, report.Samples) {
		t.Errorf("%+v, %v", again, err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "echo-twocores.svg"))
	if err != nil {
		t.Fatal(err)
	}
	for d := xml.NewDecoder(strings.NewReader(string(b))); ; {
		if _, err := d.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	for _, word := range []string{"baro-inline", "3.10 (1.48×)", "prefers-color-scheme:dark"} {
		if !strings.Contains(string(b), word) {
			t.Errorf("the plot has no %q", word)
		}
	}
	if text, err := os.ReadFile(filepath.Join(dir, "results.md")); err != nil || !strings.Contains(string(text), "| gws ") {
		t.Errorf("%s, %v", text, err)
	}
}
