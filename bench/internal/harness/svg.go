//go:build linux

package harness

import (
	"bytes"
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
)

// Sizes of a plot, in pixels.
const (
	plotWidth   = 760
	blockWidth  = 360
	barHeight   = 16
	barStep     = 20
	labelWidth  = 84
	valueWidth  = 96
	titleHeight = 40
	gap         = 20
)

const style = `<style>
text{font:12px system-ui,sans-serif;fill:#24292f}
.t{font-weight:600}.u,.v{fill:#57606a}.e{text-anchor:end}
.ours{fill:#0969da}.peer{fill:#afb8c1}.raw{fill:none;stroke:#8c959f}.other{fill:#d4a72c}
@media(prefers-color-scheme:dark){
text{fill:#e6edf3}.u,.v{fill:#9198a1}
.ours{fill:#58a6ff}.peer{fill:#59636e}.raw{stroke:#818b98}.other{fill:#bb8009}}
</style>
`

// Plots draws the bests, a plot for each group of cells, named for it. The colours suit light and dark backgrounds.
func (r *Report) Plots() map[string][]byte {
	groups := make(map[string][]Cell)
	for _, c := range r.cells() {
		groups[c.group()] = append(groups[c.group()], c)
	}
	plots := make(map[string][]byte)
	for name, cells := range groups {
		plots[name] = r.plot(cells)
	}
	return plots
}

// group is the name of the plot that a cell is in.
func (c Cell) group() string {
	name := c.Mode
	switch {
	case c.Rate > 0:
		name = "latency"
	case c.Deflate && c.Mode == echo:
		name = "deflate"
	case c.Deflate:
		name += "-deflate"
	}
	return name + "-" + c.Where
}

// title says in words what a cell is.
func (c Cell) title() string {
	size := fmt.Sprintf("%d B", c.Size)
	if c.Size >= 1024 {
		size = fmt.Sprintf("%d KiB", c.Size/1024)
	}
	var words []string
	switch {
	case c.Mode == chPublish:
		words = []string{"Published, " + size, fmt.Sprintf("%d in a request", c.Depth), fmt.Sprintf("%d at a time", c.Conns)}
	case c.Mode == chSocket, c.Mode == chStream:
		words = []string{"Delivered, " + size, "to " + thousands(int64(c.Conns)) + " subscribers", fmt.Sprintf("%d in flight", c.Depth)}
	case c.Mode == chIdle:
		words = []string{"Idle", thousands(int64(c.Conns)) + " subscribers"}
	case c.Mode == sioAck:
		words = []string{"Acked events, " + size, thousands(int64(c.Conns)) + " clients", fmt.Sprintf("%d in flight", c.Depth)}
	case c.Mode == sioRoom:
		words = []string{"Broadcast, " + size, "to a room of " + thousands(int64(c.Conns)), fmt.Sprintf("%d in flight", c.Depth)}
	case c.Mode == sioPoll:
		words = []string{"Acked events by polling, " + size, thousands(int64(c.Conns)) + " clients"}
	case c.Mode == sioIdle:
		words = []string{"Idle", thousands(int64(c.Conns)) + " clients"}
	case c.Mode == sioOpen:
		words = []string{"Connect, one acked event, leave", fmt.Sprintf("%d at a time", c.Conns)}
	case c.Mode == idle:
		words = []string{"Idle", thousands(int64(c.Conns)) + " connections"}
	case c.Mode == churn:
		words = []string{"Connect, echo, close", fmt.Sprintf("%d at a time", c.Conns)}
	case c.Mode == fanOut:
		words = []string{"Fan-out, " + size, "to " + thousands(int64(c.Conns)), fmt.Sprintf("%d in flight", c.Depth)}
	case c.Rate > 0:
		words = []string{"Echo, " + size, thousands(int64(c.Rate)) + " a second"}
	default:
		words = []string{"Echo, " + size, thousands(int64(c.Conns)) + " connections", fmt.Sprintf("%d in flight", c.Depth)}
	}
	if c.Deflate {
		words[0] += " deflated"
		words = append(words, map[bool]string{true: "context", false: "no context"}[c.Context])
	}
	return strings.Join(words, ", ")
}

func (r *Report) plot(cells []Cell) []byte {
	var b bytes.Buffer
	y, height := gap/2, 0
	for i, c := range cells {
		rows := Summarize(c, r.Samples)
		rows = slices.DeleteFunc(rows, func(r Row) bool { return math.IsNaN(r.Best) })
		m := c.metric()
		slices.SortStableFunc(rows, func(a, b Row) int {
			switch {
			case m.better(a.Best, b.Best):
				return -1
			case m.better(b.Best, a.Best):
				return 1
			}
			return 0
		})
		x := gap/2 + i%2*(blockWidth+gap)
		fmt.Fprintf(&b, `<g transform="translate(%d,%d)">`+"\n", x, y)
		block(&b, c, rows)
		b.WriteString("</g>\n")
		height = max(height, titleHeight+len(rows)*barStep+gap)
		if i%2 == 1 || i == len(cells)-1 {
			y, height = y+height, 0
		}
	}
	legend := "In brackets: times the best of the peers in Go. Outlined: raw TCP."
	if !cells[0].hasRaw() {
		legend = "In brackets: times the best server that is not this project's."
	}
	fmt.Fprintf(&b, `<text class="u" x="%d" y="%d">%s</text>`+"\n", gap/2, y+4, legend)
	y += gap
	svg := fmt.Appendf(nil, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img">`+"\n", plotWidth, y, plotWidth, y)
	svg = append(svg, style...)
	svg = append(svg, b.Bytes()...)
	return append(svg, "</svg>\n"...)
}

// block draws the bars of one cell, and beside each its value and its ratio to the best peer.
func block(b *bytes.Buffer, c Cell, rows []Row) {
	m := c.metric()
	direction := "more is better"
	if m.lower {
		direction = "less is better"
	}
	fmt.Fprintf(b, `<text class="t" y="12">%s</text><text class="u" y="28">%s; %s</text>`+"\n", html.EscapeString(c.title()), html.EscapeString(m.name), direction)
	largest := 0.0
	for _, r := range rows {
		largest = max(largest, r.Best)
	}
	for i, r := range rows {
		y := titleHeight + i*barStep
		width := max(1, max(r.Best, 0)/largest*(blockWidth-labelWidth-valueWidth))
		class := []string{"other", "ours", "peer", "raw"}[r.Kind]
		fmt.Fprintf(b, `<text class="e" x="%d" y="%d">%s</text><rect class="%s" x="%d" y="%d" width="%.1f" height="%d"/>`,
			labelWidth-8, y+barHeight-4, html.EscapeString(r.Server), class, labelWidth, y, width, barHeight)
		value := number(r.Best)
		if !math.IsNaN(r.BestPeer) {
			value += " (" + times(r.BestPeer) + "×)"
		}
		fmt.Fprintf(b, `<text class="v" x="%.1f" y="%d">%s</text>`+"\n", labelWidth+width+6, y+barHeight-4, value)
	}
}
