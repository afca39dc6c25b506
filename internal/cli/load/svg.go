package load

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/go-analyze/charts"
)

// Sizes of the report, in pixels, and of its letters, in points.
const (
	reportWidth  = 960
	reportMargin = 32
	chartHeight  = 220
	// The library measures texts in Roboto. What a browser has in its place may be a sixth wider.
	textWidth = (reportWidth - 2*reportMargin) * 6 / 7

	heading, subheading, plain, small = 17.0, 12.0, 10.5, 9.0
)

var (
	ink   = charts.ColorFromHex("#1f2933")
	faint = charts.ColorFromHex("#616e7c")
	alarm = charts.ColorFromHex("#b3261e")
	blue  = charts.ColorFromHex("#2f6fde")
	pale  = charts.ColorFromHex("#f2f5f9")
)

// A page is a report in the making.
type page struct {
	*charts.Painter
	y   int   // where the next thing begins
	err error // of the first chart that could not be drawn
}

// WriteSVG writes a report with charts: percentiles, a histogram, and how it went. It is one file, without scripts, white also where all around it is dark.
func (r *Result) WriteSVG(w io.Writer) error {
	p := r.draw(r.draw(1).y) // how high it is shows only when it has been drawn
	drawing, err := p.Bytes()
	if p.err != nil {
		err = p.err
	}
	if err != nil {
		return fmt.Errorf("drawing the report: %w", err)
	}
	var title bytes.Buffer
	_ = xml.EscapeText(&title, []byte(r.title()))
	// The library's drawing has neither a size of its own nor a name for those who hear it.
	_, err = fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%[1]d" height="%d" role="img" aria-label="%s">`+"\n%s\n</svg>\n",
		reportWidth, p.y, title.Bytes(), drawing)
	return err
}

// draw draws the report on a page of a height.
func (r *Result) draw(height int) *page {
	p := &page{y: reportMargin, Painter: charts.NewPainter(charts.PainterOptions{OutputFormat: charts.ChartOutputSVG, Width: reportWidth, Height: height})}
	p.FilledRect(0, 0, reportWidth, height, charts.ColorWhite, charts.ColorWhite, 0)
	p.text("baro bench", heading, ink)
	p.text(r.title(), subheading, ink)
	p.text(r.URL+", "+r.Began.UTC().Format("2006-01-02 15:04:05 MST"), plain, faint)
	p.y += 10
	r.drawFacts(p)
	if r.Latency != nil {
		r.drawPercentiles(p)
		r.drawHistogram(p)
	}
	if len(r.Series) > 1 {
		r.drawRate(p)
		r.drawLatencies(p)
	}
	for _, n := range r.Notes {
		p.text(n, plain, faint)
	}
	p.y += reportMargin - 10
	return p
}

// text writes a text in as many lines as it takes; what others wrote is cut off somewhere.
func (p *page) text(s string, size float64, color charts.Color) {
	style := charts.FontStyle{FontSize: size, FontColor: color}
	line := p.MeasureText("M", 0, style).Height()
	p.y += p.TextFit(clip(s, 600), reportMargin, p.y+line, textWidth, style).Height() + 7
}

func clip(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

// part is where the next so many pixels of the page are drawn.
func (p *page) part(height int) *charts.Painter {
	top := p.y
	p.y += height
	return p.Child(charts.PainterBoxOption(charts.NewBox(reportMargin, top, reportWidth-reportMargin, top+height)))
}

// drawn keeps the first error.
func (p *page) drawn(err error) {
	if p.err == nil {
		p.err = err
	}
}

// theme has the colours of charts, the first series in the first of those that are given.
func theme(series ...charts.Color) charts.ColorPalette {
	return charts.GetTheme(charts.ThemeLight).WithBackgroundColor(charts.ColorWhite).WithTextColor(faint).WithTitleTextColor(ink).WithSeriesColors(series)
}

func chartTitle(text string) charts.TitleOption {
	return charts.TitleOption{Text: text, FontStyle: charts.FontStyle{FontSize: subheading}}
}

var labels = charts.FontStyle{FontSize: small}

func (r *Result) drawFacts(p *page) {
	line := fmt.Sprintf("%s %s in %s", number(r.Messages), r.what(), seconds(r.Seconds))
	if r.Scenario != Reconnect {
		line += fmt.Sprintf(", %s a second", number(int64(r.PerSecond)))
	}
	if r.Scenario == FanOut {
		line += fmt.Sprintf("; %s published a second", number(int64(r.Published)))
	}
	p.text(line, subheading, ink)
	color := faint
	if r.ErrorCount+r.Lost+r.Duplicated+r.Reordered+r.Unsent > 0 {
		color = alarm
	}
	p.text(fmt.Sprintf("%s errors, %s lost, %s twice, %s out of order, %s not sent", number(r.ErrorCount), number(r.Lost), number(r.Duplicated),
		number(r.Reordered), number(r.Unsent)), plain, color)
	p.text("Generator: "+r.generatorText(), plain, faint)
	if r.Interrupted {
		p.text("Ended early: "+r.Ended, plain, alarm)
	}
	p.y += 14
}

func (r *Result) drawPercentiles(p *page) {
	p.text("Latency, "+r.since(), subheading, ink)
	p.y += 4
	var names, values, aligns []string
	for _, l := range r.Latency.percentiles() {
		names, values, aligns = append(names, l.Name), append(values, round(l.Value).String()), append(aligns, charts.AlignCenter)
	}
	p.drawn(p.part(70).TableChart(charts.TableChartOption{
		Header: names, Data: [][]string{values}, TextAligns: aligns, Padding: charts.NewBoxEqual(8),
		FontStyle: charts.FontStyle{FontSize: 13.5, FontColor: ink}, HeaderBackgroundColor: pale, RowBackgroundColors: []charts.Color{pale},
		CellModifier: func(c charts.TableCell) charts.TableCell {
			if c.Row == 0 {
				c.FontStyle = charts.FontStyle{FontSize: plain, FontColor: faint}
			}
			return c
		},
	}))
	p.y += 10
}

func (r *Result) drawHistogram(p *page) {
	var total int64
	var counts []float64
	var names []string
	for i, c := range r.Latency.Counts {
		name := "≤ " + c.To.String()
		if i%2 == 1 && len(r.Latency.Counts) > 16 {
			name = "" // there is no room for all of them
		}
		total, counts, names = total+c.Count, append(counts, float64(c.Count)), append(names, name)
	}
	if total == 0 {
		return
	}
	o := charts.NewBarChartOptionWithData([][]float64{counts})
	o.Theme, o.Padding = theme(blue), charts.NewBox(0, 0, 0, 20)
	o.CategoryAxis.Labels, o.CategoryAxis.LabelCount, o.CategoryAxis.LabelFontStyle = names, len(names), labels
	o.ValueAxis[0].Show, o.ValueAxis[0].Min = new(false), new(0.0)
	o.SeriesList[0].Label = charts.SeriesLabel{Show: new(true), FontStyle: labels, ValueFormatter: func(v float64) string {
		if v == 0 {
			return ""
		}
		return share(int64(v), total)
	}}
	p.drawn(p.part(chartHeight).BarChart(o))
}

// overTime is a chart of what was in each second, or so.
func (r *Result) overTime(title string, of ...func(Point) float64) charts.LineChartOption {
	// A point is of the time before it, the first one of all that time since the beginning.
	begin := r.Series[0]
	begin.At = 0
	values := make([][]float64, len(of))
	var times []string
	for _, point := range append([]Point{begin}, r.Series...) {
		for i, f := range of {
			values[i] = append(values[i], f(point))
		}
		times = append(times, fmt.Sprintf("%g s", math.Round(10*point.At)/10))
	}
	o := charts.NewLineChartOptionWithData(values)
	o.Title, o.Padding = chartTitle(title), charts.NewBox(0, 0, 8, 20)
	o.Symbol.Shape = charts.SymbolNone
	o.XAxis.Labels, o.XAxis.LabelFontStyle = times, labels
	o.XAxis.BoundaryGap = new(false)
	for _, parts := range []int{10, 9, 8, 7, 6, 5} {
		if len(r.Series)%parts == 0 {
			o.XAxis.LabelCount = parts + 1 // at even distances
			break
		}
	}
	o.YAxis[0].LabelFontStyle = labels
	return o
}

func (r *Result) drawRate(p *page) {
	what := r.what()
	o := r.overTime(strings.ToUpper(what[:1])+what[1:]+" a second", func(p Point) float64 { return p.PerSecond })
	o.Theme, o.FillArea, o.FillOpacity = theme(blue), new(true), 60
	o.YAxis[0].Min, o.YAxis[0].LabelCountAdjustment = new(0.0), -5
	o.YAxis[0].ValueFormatter = func(v float64) string { return number(int64(v)) }
	p.drawn(p.part(chartHeight).LineChart(o))
}

// drawLatencies draws them by their logarithms: the library's axes are linear.
func (r *Result) drawLatencies(p *page) {
	low, high := math.Inf(1), math.Inf(-1)
	scale := func(d time.Duration) float64 {
		if d <= 0 {
			return charts.GetNullValue() // nothing came in this second
		}
		v := math.Log10(float64(d))
		low, high = min(low, math.Floor(v)), max(high, math.Ceil(v))
		return v
	}
	o := r.overTime("Latency over time", func(p Point) float64 { return scale(p.P50) }, func(p Point) float64 { return scale(p.P99) },
		func(p Point) float64 { return scale(p.Max) })
	if low > high {
		return
	}
	high = max(high, low+1)
	o.Theme = theme(charts.ColorFromHex("#1a7f4b"), charts.ColorFromHex("#c2410c"), charts.ColorFromHex("#9aa5b1"))
	o.Legend = charts.LegendOption{SeriesNames: []string{"p50", "p99", "max"}, Offset: charts.OffsetRight, FontStyle: labels}
	o.YAxis[0].Min, o.YAxis[0].Max, o.YAxis[0].LabelCount = &low, &high, int(high-low)+1
	o.YAxis[0].ValueFormatter = func(v float64) string { return time.Duration(math.Pow(10, math.Round(v))).String() }
	p.drawn(p.part(chartHeight).LineChart(o))
}
