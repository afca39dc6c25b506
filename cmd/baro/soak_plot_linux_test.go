package main

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// The size of a plot, in pixels.
const (
	plotWidth, plotHeight = 760, 90
	plotLeft, plotGap     = 60, 34
)

// plotSoak draws the columns of a table of TestSoak over the time, one below the other, with a line where the server was drained. The
// colours suit light and dark backgrounds.
func plotSoak(table []byte) (string, error) {
	lines := strings.Split(strings.TrimSpace(string(table)), "\n")
	rows := make([][]float64, 0, len(lines))
	for _, line := range lines[1:] {
		var row []float64
		for text := range strings.SplitSeq(line, ",") {
			v, err := strconv.ParseFloat(text, 64)
			if err != nil {
				return "", err
			}
			row = append(row, v)
		}
		if len(row) != 7 {
			return "", fmt.Errorf("a row has %d columns", len(row))
		}
		rows = append(rows, row)
	}
	plots := []struct {
		title  string
		column int
		unit   float64
	}{{"Resident memory, MB", 1, 1e6}, {"Heap in use, MB", 2, 1e6}, {"Goroutines", 3, 1}, {"Descriptors", 4, 1}}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img">
<title>A server under a steady load: what it holds</title>
<style>
text{font:12px system-ui,sans-serif;fill:#24292f}
.t{font-weight:600}.e{text-anchor:end}
path{fill:none;stroke:#0969da}.d{stroke:#d4a72c;stroke-dasharray:4 3}.a{stroke:#8c959f}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}path{stroke:#58a6ff}.a{stroke:#818b98}}
</style>
`, plotWidth, len(plots)*(plotHeight+plotGap)+20)
	last := rows[len(rows)-1][0]
	x := func(second float64) float64 { return plotLeft + second/last*(plotWidth-plotLeft-8) }
	for i, p := range plots {
		top := float64(i*(plotHeight+plotGap) + 24)
		most := 0.0
		for _, row := range rows {
			most = max(most, row[p.column]/p.unit)
		}
		y := func(v float64) float64 { return top + plotHeight - v/p.unit/most*plotHeight }
		fmt.Fprintf(&b, `<text class="t" x="%d" y="%.0f">%s</text><text class="e" x="%d" y="%.0f">%.0f</text><text class="e" x="%d" y="%.0f">0</text>`+"\n",
			plotLeft, top-8, p.title, plotLeft-6, top+10, most, plotLeft-6, top+plotHeight)
		fmt.Fprintf(&b, `<path class="a" d="M%d %.0fH%d"/>`, plotLeft, top+plotHeight, plotWidth-8)
		var line strings.Builder
		for j, row := range rows {
			if row[6] == 1 {
				fmt.Fprintf(&b, `<path class="d" d="M%.1f %.0fv%d"/>`, x(row[0]), top, plotHeight)
			}
			fmt.Fprintf(&line, "%c%.1f %.1f", "ML"[min(j, 1)], x(row[0]), y(row[p.column]))
		}
		fmt.Fprintf(&b, "<path d=%q/>\n", line.String())
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d">0</text><text class="e" x="%d" y="%d">%.0f min</text>`+"\n</svg>\n",
		plotLeft, len(plots)*(plotHeight+plotGap)+12, plotWidth-8, len(plots)*(plotHeight+plotGap)+12, last/60)
	return b.String(), nil
}

func TestPlotSoak(t *testing.T) {
	plot, err := plotSoak([]byte("second,rss,heap,goroutines,descriptors,cuts,drained\n1,20000000,4000000,10,14,0,0\n2,30000000,5000000,20,24,3,1\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{">30</text>", ">5</text>", ">20</text>", ">24</text>", `class="d" d="M752.0`, "</svg>"} {
		if !strings.Contains(plot, want) {
			t.Errorf("there is no %s in %s", want, plot)
		}
	}
}
