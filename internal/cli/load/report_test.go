package load

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// A result is JSON, text for a terminal of any width, and a drawing that is XML, without scripts, whatever servers say.
func TestReport(t *testing.T) {
	r := sample()
	b, err := json.Marshal(r)
	var back Result
	if err != nil || json.Unmarshal(b, &back) != nil || back.Lost != r.Lost || back.Latency.P99 != r.Latency.P99 {
		t.Errorf("%s, %v", b, err)
	}
	checkSVG(t, r)
	for _, columns := range []int{20, 40, 80, 400} {
		var b strings.Builder
		if err := r.WriteText(&b, columns); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"1,000,000 in 10 s", "7 lost", "HTTP status 503: 4", "p99.9", "from when the message was due", "late"} {
			if !strings.Contains(strings.ReplaceAll(b.String(), "\n", " "), want) {
				t.Errorf("%d columns: no %q in\n%s", columns, want, b.String())
			}
		}
		if strings.ContainsAny(b.String(), "\x1b\x07") {
			t.Errorf("control characters of the server: %q", b.String())
		}
		checkHistogram(t, b.String(), columns)
	}
}

// checkHistogram looks at the bars in a text: they fit, there is one wherever something was counted, and the longest is of the most.
func checkHistogram(t *testing.T, text string, columns int) {
	t.Helper()
	var bars, last, longest int
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if !strings.Contains(line, "≤") {
			continue
		}
		bars++
		last = strings.Count(line, "█")
		longest = max(longest, last)
		if utf8.RuneCountInString(line) > columns {
			t.Errorf("%d columns are not enough for %q", columns, line)
		}
		if !strings.ContainsAny(line, "█▏▎▍▌▋▊▉") {
			t.Errorf("there is no bar in %q", line)
		}
	}
	if bars != 13 || last != longest || longest == 0 {
		t.Errorf("%d columns: %d bars, the last of %d, the longest of %d:\n%s", columns, bars, last, longest, text)
	}
}

// checkSVG looks at the report: it is the same each time, all in one file, and nothing in it is an element that a server, or a URL, put there.
func checkSVG(t *testing.T, r *Result) {
	t.Helper()
	var svg, again bytes.Buffer
	if err := errors.Join(r.WriteSVG(&svg), r.WriteSVG(&again)); err != nil {
		t.Fatal(err)
	}
	if svg.String() != again.String() {
		t.Error("the report of one result is not the same twice")
	}
	if strings.Contains(svg.String(), "url(") {
		t.Error("something in the report comes from elsewhere")
	}
	var texts strings.Builder
	for d := xml.NewDecoder(&svg); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			if !slices.Contains([]string{"svg", "path", "circle", "text"}, e.Name.Local) {
				t.Errorf("there is a <%s>", e.Name.Local)
			}
			for _, a := range e.Attr {
				if strings.HasPrefix(a.Name.Local, "on") || a.Name.Local == "href" {
					t.Errorf("<%s> has %s", e.Name.Local, a.Name.Local)
				}
			}
		case xml.CharData:
			texts.Write(e)
			texts.WriteString(" ")
		}
	}
	for _, want := range []string{
		r.title(), r.URL, "1,000,000 messages in 10 s", "7 lost", "from when the message was due", "p99.9", round(r.Latency.P999).String(),
		"≤ " + r.Latency.Counts[0].To.String(), share(r.Latency.Counts[0].Count, 1000), "Messages a second", "Latency over time", "10 s", r.Notes[0],
	} {
		if !strings.Contains(texts.String(), want) {
			t.Errorf("no %q in the report: %s", want, texts.String())
		}
	}
}

// A report is drawn of whatever was measured: nothing, one second, buckets of all sizes, a second in which nothing came, a text that is one long word.
func TestReportOfLittleAndMuch(t *testing.T) {
	r := sample()
	r.URL = "ws://" + strings.Repeat("x", 1000) + "/"
	for i := range 30 {
		r.Latency.Counts = append(r.Latency.Counts, Bucket{To: time.Duration(i+2) * time.Second, Count: int64(i)})
	}
	for i := range 600 {
		r.Series = append(r.Series, Point{At: float64(i + 11), PerSecond: float64(i % 2), P50: time.Duration(i % 2), P99: time.Duration(i % 2), Max: time.Duration(i % 2)})
	}
	checkDrawn(t, "much", r)
	r.Series = r.Series[:2]
	checkDrawn(t, "two seconds", r)
	r.Series[0], r.Series[1] = Point{At: 1}, Point{At: 2}
	checkDrawn(t, "nothing in two seconds", r)
	r.Series, r.Latency = nil, nil
	checkDrawn(t, "no latency", r)
	checkDrawn(t, "nothing", &Result{Scenario: Connect})
}

func checkDrawn(t *testing.T, what string, r *Result) {
	t.Helper()
	var svg strings.Builder
	if err := r.WriteSVG(&svg); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if strings.Contains(svg.String(), "NaN") || strings.Contains(svg.String(), "Inf") {
		t.Errorf("%s: there is something drawn nowhere: %s", what, svg.String())
	}
	if err := xml.Unmarshal([]byte(svg.String()), new(struct{})); err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

// sample is a result with all there is in it, some of it of a hostile server.
func sample() *Result {
	h := newHistogram()
	for i := range int64(1000) {
		record(h, (i*i+50)*int64(time.Microsecond))
	}
	r := &Result{
		Scenario: Echo, URL: `ws://x/?a=<script>&b="`, Transports: []Transport{WebSocket}, Loop: "open", Rate: 1000, Size: 64, Connections: 10, Seconds: 10,
		Messages: 1_000_000, PerSecond: 100_000, Latency: latencyOf(h, true), Answers: latencyOf(h, false), Lost: 7, ErrorCount: 5,
		Errors:      map[string]int64{"HTTP status 503": 4, "closed <by> \x1b[2Jthe server\x07": 1},
		Interrupted: true, Ended: "a\x1bb", Notes: []string{"The generator was late."},
		Generator: Generator{Workers: 1, CPU: 1.5, Busy: 0.5, Waited: 0.2, Late: latencyOf(h, false)},
	}
	for i := range 10 {
		r.Series = append(r.Series, Point{At: float64(i + 1), PerSecond: float64(90_000 + 1000*i), P50: time.Millisecond, P99: time.Duration(i+1) * 10 * time.Millisecond, Max: time.Second})
	}
	return r
}
