//go:build linux

package harness

import (
	"fmt"
	"io"
	"math"
	"strings"
	"unicode/utf8"

	"baro.dev/bench/internal/load"
)

// column is one of the columns beside the metric: medians.
type column struct {
	name string
	of   func(load.Result) string
}

func (c Cell) columns() []column {
	cores := column{"CPU share", func(r load.Result) string { return fmt.Sprintf("%.2f", r.CPU/r.Seconds) }}
	latencies := []column{
		{"p50 µs", func(r load.Result) string { return number(micros(r.P50)) }},
		{"p99 µs", func(r load.Result) string { return number(micros(r.P99)) }},
		{"p99.9 µs", func(r load.Result) string { return number(micros(r.P999)) }},
	}
	switch {
	case c.isIdle():
		columns := []column{
			{"kernel, a pair", func(r load.Result) string { return number(float64(r.KernelMem)) }},
			{"opens/CPU-s", func(r load.Result) string { return number(perCPU(r)) }},
		}
		if !c.channels() {
			columns = append([]column{{"given back", func(r load.Result) string { return number(float64(r.RSSFreed)) }}}, columns...)
		}
		if c.socketIO() {
			columns = append(columns, column{"heartbeats", func(r load.Result) string { return thousands(int64(r.Beats)) }})
		}
		return columns
	case c.Rate > 0:
		return append(latencies, cores)
	}
	perSecond := column{"a second", func(r load.Result) string { return number(float64(r.Messages) / r.Seconds) }}
	columns := append([]column{perSecond, cores}, latencies...)
	if c.Deflate {
		columns = append(columns, column{"bytes/message", func(r load.Result) string {
			return number(float64(r.BytesIn) / float64(r.Messages))
		}})
	}
	return columns
}

// Table prints the rows of a cell, as Markdown.
func Table(w io.Writer, c Cell, rows []Row) {
	m := c.metric()
	direction := "higher"
	if m.lower {
		direction = "lower"
	}
	fmt.Fprintf(w, "\n**%s**: %s, %s is better\n\n", c.Name, m.name, direction)
	if c.isIdle() {
		fmt.Fprintf(w, "Resident memory with the connections open, beyond that after 200 had come and gone")
		if !c.channels() {
			fmt.Fprintf(w, " and memory was given back")
		}
		fmt.Fprintf(w, ".")
		if c.socketIO() {
			fmt.Fprintf(w, " Each has answered a heartbeat.")
		}
		fmt.Fprintf(w, "\n\n")
	}
	_, base := c.base()
	base = "÷ " + base
	lines := [][]string{{"server", "best", "÷ peer", base, "median", "÷ peer", base}}
	if !c.hasBase() {
		lines = [][]string{{"server", "best", "÷ peer", "median", "÷ peer"}}
	}
	for _, column := range c.columns() {
		lines[0] = append(lines[0], column.name)
	}
	for _, r := range rows {
		if r.Failed == r.Runs {
			lines = append(lines, []string{r.Server, "failed"})
			continue
		}
		name := r.Server
		if r.Failed > 0 {
			name += fmt.Sprintf(" (failed %d of %d)", r.Failed, r.Runs)
		}
		line := []string{name, number(r.Best), times(r.BestPeer), times(r.BestRaw), number(r.Median), times(r.MedianPeer), times(r.MedianRaw)}
		if !c.hasBase() {
			line = []string{name, number(r.Best), times(r.BestPeer), number(r.Median), times(r.MedianPeer)}
		}
		for _, column := range c.columns() {
			line = append(line, column.of(r.Middle))
		}
		lines = append(lines, line)
	}
	markdown(w, lines)
}

func markdown(w io.Writer, lines [][]string) {
	widths := make([]int, len(lines[0]))
	for _, line := range lines {
		for i, cell := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for n, line := range lines {
		for i, width := range widths {
			cell := ""
			if i < len(line) {
				cell = line[i]
			}
			space := strings.Repeat(" ", width-utf8.RuneCountInString(cell))
			if i == 0 {
				fmt.Fprintf(w, "| %s%s ", cell, space)
			} else {
				fmt.Fprintf(w, "| %s%s ", space, cell)
			}
		}
		fmt.Fprintln(w, "|")
		if n > 0 {
			continue
		}
		fmt.Fprintf(w, "|%s", strings.Repeat("-", widths[0]+2))
		for _, width := range widths[1:] {
			fmt.Fprintf(w, "|%s:", strings.Repeat("-", width+1))
		}
		fmt.Fprintln(w, "|")
	}
}

// number has three digits that count.
func number(v float64) string {
	switch abs := math.Abs(v); {
	case math.IsNaN(v), math.IsInf(v, 0):
		return "–"
	case abs >= 1000:
		return thousands(int64(math.Round(v)))
	case abs >= 100:
		return fmt.Sprintf("%.0f", v)
	case abs >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

func thousands(n int64) string {
	if n < 0 {
		return "-" + thousands(-n)
	}
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}

func times(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "–"
	}
	return fmt.Sprintf("%.2f", v)
}
