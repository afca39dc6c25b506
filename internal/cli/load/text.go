package load

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"github.com/NimbleMarkets/ntcharts/v2/barchart"

	"baro.dev/internal/cli/terminal"
)

// what is what is counted.
func (r *Result) what() string {
	switch r.Scenario {
	case Connect:
		return "connections"
	case Reconnect:
		return "reconnections"
	case FanOut:
		return "deliveries"
	}
	return "messages"
}

// title says what was done.
func (r *Result) title() string {
	names := make([]string, len(r.Transports))
	for i, t := range r.Transports {
		names[i] = string(t)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s over %s, ", r.Scenario, strings.Join(names, ", "))
	switch r.Scenario {
	case Echo:
		fmt.Fprintf(&b, "%s connections, %s, ", number(int64(r.Connections)), bytesText(r.Size))
	case FanOut:
		fmt.Fprintf(&b, "%s, %s, %s, %s, ", plural(r.Publishers, "publisher"), plural(r.Channels, "channel"), plural(r.Connections, "subscriber"),
			bytesText(r.Size))
	default:
		fmt.Fprintf(&b, "%s connections, ", number(int64(r.Connections)))
	}
	if r.Loop == "open" {
		if r.Rate > 0 {
			fmt.Fprintf(&b, "%s a second", number(int64(r.Rate)))
		} else {
			b.WriteString("evenly")
		}
	} else if r.InFlight > 1 {
		fmt.Fprintf(&b, "closed loop, %d in flight", r.InFlight)
	} else {
		b.WriteString("closed loop")
	}
	return b.String()
}

// since is what latencies are measured from.
func (r *Result) since() string {
	switch {
	case r.Scenario == Reconnect:
		return "from the cut until the connection is back"
	case r.Scenario == Connect && r.Loop == "open":
		return "from when the connection was due until it is open"
	case r.Scenario == Connect:
		return "from the beginning of an attempt; what would have come meanwhile is not in it"
	case r.Loop == "open":
		return "from when the message was due"
	}
	return "closed loop: from sending, with no correction for what was not sent while others waited"
}

// WriteText writes the result for people, with a histogram that fits so many columns.
func (r *Result) WriteText(w io.Writer, columns int) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s\n\n", r.URL, r.title())
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-14s %s\n", name, fmt.Sprintf(format, args...))
	}
	if r.Interrupted {
		line("ended early", "%s", terminal.SafeLine(r.Ended))
	}
	if r.Scenario == Reconnect {
		line(r.what(), "%s in %s", number(r.Messages), seconds(r.Seconds))
	} else {
		line(r.what(), "%s in %s, %s a second", number(r.Messages), seconds(r.Seconds), number(int64(r.PerSecond)))
	}
	if r.Scenario == FanOut {
		line("published", "%s a second", number(int64(r.Published)))
	}
	if r.Held != nil {
		line("held", "%s connections were there after %s", number(int64(r.Held.Connections)), seconds(r.Held.Seconds))
	}
	for i, s := range r.Storms {
		if all := "not all came back"; s.All > 0 {
			all = fmt.Sprintf("all %s back after %v", number(int64(s.Connections)), round(s.All))
			line(fmt.Sprintf("storm %d", i+1), "%s, %d attempts failed", all, s.Errors)
		} else {
			line(fmt.Sprintf("storm %d", i+1), "%s, %d attempts failed", all, s.Errors)
		}
	}
	line("errors", "%s", r.errorsText())
	if r.Scenario == Echo || r.Scenario == FanOut {
		line("", "%s lost, %s twice, %s out of order", number(r.Lost), number(r.Duplicated), number(r.Reordered))
	}
	if r.Unsent > 0 {
		line("not sent", "%s that were due: too many before them waited, or the connection was gone", number(r.Unsent))
	}
	if r.Latency != nil {
		fmt.Fprintf(&b, "\nlatency, %s\n%s", r.since(), latencyText(r.Latency))
		b.WriteString(histogramText(r.Latency, columns))
	}
	if r.Answers != nil {
		fmt.Fprintf(&b, "\nanswers to publishers\n%s", latencyText(r.Answers))
	}
	b.WriteString("\n")
	const indent = 15
	line("generator", "%s", strings.ReplaceAll(fold(r.generatorText(), columns-indent), "\n", "\n"+strings.Repeat(" ", indent)))
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "\n%s\n", fold(n, columns))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Result) errorsText() string {
	if r.ErrorCount == 0 {
		return "none"
	}
	kinds := slices.SortedFunc(maps.Keys(r.Errors), func(a, b string) int {
		if d := r.Errors[b] - r.Errors[a]; d != 0 {
			return int(max(-1, min(1, d)))
		}
		return strings.Compare(a, b)
	})
	for i, k := range kinds {
		kinds[i] = fmt.Sprintf("%s: %s", terminal.SafeLine(k), number(r.Errors[k]))
	}
	return fmt.Sprintf("%s\n%15s", number(r.ErrorCount), "") + strings.Join(kinds, "\n"+strings.Repeat(" ", 15))
}

func (r *Result) generatorText() string {
	g := &r.Generator
	text := fmt.Sprintf("%s, %.2f s of processor time", plural(g.Workers, "worker"), g.CPU)
	if g.CPU > 0 && r.Messages > 0 {
		text += fmt.Sprintf(" (%s %s a second of it)", number(int64(float64(r.Messages)/g.CPU)), r.what())
	}
	text += fmt.Sprintf(", busy %.0f %%", 100*g.Busy)
	if g.Waited > 0.005 {
		text += fmt.Sprintf(", %.0f %% without a processor", 100*g.Waited)
	}
	if g.Late != nil {
		text += fmt.Sprintf(", late by %v (p99)", round(g.Late.P99))
	}
	return text
}

// percentiles are those that are shown.
func (l *Latency) percentiles() []struct {
	Name  string
	Value time.Duration
} {
	return []struct {
		Name  string
		Value time.Duration
	}{{"min", l.Min}, {"p50", l.P50}, {"p75", l.P75}, {"p90", l.P90}, {"p99", l.P99}, {"p99.9", l.P999}, {"max", l.P100}}
}

func latencyText(l *Latency) string {
	var names, values strings.Builder
	for _, p := range l.percentiles() {
		fmt.Fprintf(&names, "%10s", p.Name)
		fmt.Fprintf(&values, "%10v", round(p.Value))
	}
	return names.String() + "\n" + values.String() + "\n"
}

// histogramText is how many there were of each length, with bars, in so many columns.
func histogramText(l *Latency, columns int) string {
	var most, total int64
	for _, c := range l.Counts {
		most, total = max(most, c.Count), total+c.Count
	}
	if total == 0 {
		return ""
	}
	var labels strings.Builder
	t := tabwriter.NewWriter(&labels, min(10, columns/8), 0, 1, ' ', tabwriter.AlignRight)
	for _, c := range l.Counts {
		fmt.Fprintf(t, "≤ %v\t%s\t\n", c.To, share(c.Count, total))
	}
	_ = t.Flush() // a Builder takes everything
	lines := strings.Split(strings.TrimSuffix(labels.String(), "\n"), "\n")

	width := min(60, max(1, columns-utf8.RuneCountInString(lines[0])-2))
	chart := barchart.New(width, len(lines), barchart.WithHorizontalBars(), barchart.WithNoAxis(), barchart.WithBarGap(0),
		barchart.WithNoAutoMaxValue(), barchart.WithMaxValue(float64(most)))
	least := float64(most) / float64(8*width) // a bar of an eighth of a column, which is the least that can be seen
	for _, c := range l.Counts {
		bar := float64(c.Count)
		if bar > 0 {
			bar = max(bar, least)
		}
		chart.Push(barchart.BarData{Values: []barchart.BarValue{{Value: bar}}})
	}
	chart.Draw()
	for i, bar := range strings.Split(chart.View(), "\n") {
		lines[i] = strings.TrimRight(lines[i]+" "+bar, " ")
	}
	return "\n" + strings.Join(lines, "\n") + "\n"
}

// share is a part in percent, with as many digits as it takes to see that it is not nothing.
func share(n, total int64) string {
	p := 100 * float64(n) / float64(total)
	switch {
	case n == 0:
		return "-"
	case p >= 10:
		return fmt.Sprintf("%.1f %%", p)
	case p >= 0.01:
		return fmt.Sprintf("%.2f %%", p)
	}
	return number(n)
}

// number has commas.
func number(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return number(int64(n)) + " " + what + "s"
}

func seconds(s float64) string { return fmt.Sprintf("%.4g s", s) }

func bytesText(n int) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<10 && n%(1<<10) == 0:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d B", n)
}

// fold breaks a text into lines.
func fold(text string, columns int) string {
	var b strings.Builder
	at := 0
	for word := range strings.FieldsSeq(text) {
		if at > 0 && at+1+len(word) > max(columns, 20) {
			b.WriteString("\n")
			at = 0
		} else if at > 0 {
			b.WriteString(" ")
			at++
		}
		b.WriteString(word)
		at += len(word)
	}
	return b.String()
}
