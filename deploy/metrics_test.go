package deploy_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	metricName = regexp.MustCompile(`\b(?:baro|process|go)_[a-z_]+\b`)
	described  = regexp.MustCompile("(?m)^\\| `(baro_[a-z_]+)` ")
)

// metrics are those that docs/metrics.md describes, which a test of the server compares with what it exposes.
func metrics(t *testing.T) (names []string) {
	for _, found := range described.FindAllStringSubmatch(read(t, "../docs/metrics.md"), -1) {
		names = append(names, found[1])
	}
	if len(names) < 25 {
		t.Fatalf("the page describes %d metrics", len(names))
	}
	return names
}

// used are the metrics that a text names, and of which there are those others that every process has.
func used(t *testing.T, text string, known []string) (names []string) {
	t.Helper()
	ofProcesses := []string{"process_open_fds", "process_max_fds", "process_resident_memory_bytes", "process_cpu_seconds_total", "go_goroutines"}
	for _, name := range metricName.FindAllString(text, -1) {
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			if base := strings.TrimSuffix(name, suffix); slices.Contains(known, base) {
				name = base
			}
		}
		if !slices.Contains(known, name) && !slices.Contains(ofProcesses, name) {
			t.Errorf("there is no metric %s", name)
		}
		names = append(names, name)
	}
	return names
}

// Alerts name metrics that there are, each is tested by promtool (interop/), and described.
func TestAlerts(t *testing.T) {
	known := metrics(t)
	text := read(t, "prometheus/alerts.yml")
	if all := used(t, text, known); len(all) < 9 {
		t.Errorf("alerts use %v", all)
	}
	used(t, read(t, "prometheus/alerts_test.yml"), known)
	page := read(t, "../docs/metrics.md")
	for _, found := range regexp.MustCompile(`(?m)^      - alert: (\w+)$`).FindAllStringSubmatch(text, -1) {
		if !strings.Contains(read(t, "prometheus/alerts_test.yml"), found[1]) {
			t.Errorf("%s is not tested", found[1])
		}
		if !strings.Contains(page, "`"+found[1]+"`") {
			t.Errorf("%s is not in docs/metrics.md", found[1])
		}
	}
}

// The dashboard shows metrics that there are, and all of them.
func TestDashboard(t *testing.T) {
	known := metrics(t)
	text := read(t, "grafana/baro.json")
	var dashboard struct {
		Panels []struct {
			ID      int
			Title   string
			Type    string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(text), &dashboard); err != nil {
		t.Fatal(err)
	}
	var shown []string
	ids := map[int]bool{}
	for _, p := range dashboard.Panels {
		if ids[p.ID] || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("%s: id %d, place %+v", p.Title, p.ID, p.GridPos)
		}
		ids[p.ID] = true
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("%s shows nothing", p.Title)
		}
		for _, target := range p.Targets {
			shown = append(shown, used(t, target.Expr, known)...)
			if strings.Count(target.Expr, "(") != strings.Count(target.Expr, ")") || !strings.Contains(target.Expr, "$instance") {
				t.Errorf("%s: %s", p.Title, target.Expr)
			}
		}
	}
	for _, name := range known {
		if !slices.Contains(shown, name) {
			t.Errorf("%s is not shown", name)
		}
	}
}
