package doctor

import (
	"fmt"
	"io"
	"strings"

	"baro.dev/internal/cli/terminal"
)

// Text writes results for people, as they come, and what follows from them. What a server has sent is made harmless.
type Text struct {
	Out    io.Writer
	Colors terminal.Colors
	// Columns is how wide lines may be. 0: as wide as they are.
	Columns int
	// Verbose shows the handshake even where nothing is wrong with it, and what there was nothing to check for.
	Verbose bool
}

var looks = map[Status]terminal.Style{OK: terminal.Green, Warn: terminal.Yellow, Fail: terminal.Red, Skipped: terminal.Dim}

// nameWidth is that of the longest name of a check.
const nameWidth = len("socketio-webtransport")

// Result writes one.
func (t *Text) Result(r *Result) {
	if r.moot && !t.Verbose {
		return
	}
	status := map[Status]string{OK: "ok  ", Warn: "warn", Fail: "FAIL", Skipped: "-   "}[r.Status]
	line := fmt.Sprintf("%s  %-*s  ", t.Colors.Paint(looks[r.Status], status), nameWidth, r.Name)
	detail := terminal.SafeLine(r.Detail)
	if r.Status == Skipped {
		detail = t.Colors.Paint(terminal.Dim, detail)
	}
	t.wrapped(line, detail, len("ok    ")+nameWidth+2)
	if h, isHandshake := r.Data.(*Handshake); isHandshake && (t.Verbose || r.Status == Fail || r.Status == Warn) {
		t.handshake(h)
	}
}

// handshake writes it line by line, with what is wrong with one below it.
func (t *Text) handshake(h *Handshake) {
	for _, line := range h.Lines {
		sign, style := ">", terminal.Cyan
		if line.Direction == "response" {
			sign, style = "<", terminal.Blue
		}
		text := terminal.SafeLine(line.Text)
		if line.Problem == "" {
			fmt.Fprintf(t.Out, "        %s %s\n", t.Colors.Paint(style, sign), text)
			continue
		}
		if text != "" {
			fmt.Fprintf(t.Out, "        %s %s\n", t.Colors.Paint(style, sign), t.Colors.Paint(terminal.Red, text))
		}
		fmt.Fprintf(t.Out, "        %s %s\n", t.Colors.Paint(terminal.Red, "!"), t.Colors.Paint(terminal.Red, terminal.SafeLine(line.Problem)))
	}
}

// Conclusion writes what can be done, what weighs most first.
func (t *Text) Conclusion(r *Report) {
	fmt.Fprintln(t.Out)
	if r.Interrupted {
		fmt.Fprintln(t.Out, "Interrupted: this is what was known by then.")
	}
	if len(r.Problems) == 0 {
		if !r.Interrupted {
			fmt.Fprintln(t.Out, t.Colors.Paint(terminal.Green, "Everything works."))
		}
		return
	}
	if r.Status == Warn {
		fmt.Fprintln(t.Out, "It works, but:")
	}
	told := map[string]int{}
	for i, name := range r.Problems {
		result := r.Result(name)
		number := fmt.Sprintf("%2d. ", i+1)
		t.wrapped(number+t.Colors.Paint(terminal.Bold, name)+": ", terminal.SafeLine(result.Detail), len(number))
		indent := strings.Repeat(" ", len(number))
		switch before, again := told[result.Advice]; {
		case result.Advice == "":
		case again:
			fmt.Fprintf(t.Out, "%sWhat helps with %d helps here, too.\n", indent, before+1)
		default:
			told[result.Advice] = i
			t.wrapped(indent, terminal.SafeLine(result.Advice), len(number))
		}
	}
}

// wrapped writes text behind begin, and what does not fit in lines of their own, indented.
func (t *Text) wrapped(begin, text string, indent int) {
	var line strings.Builder
	line.WriteString(begin)
	width := terminal.Width(begin)
	room := t.Columns
	if room < indent+30 {
		room = 0 // too narrow to be tidy
	}
	fresh := true
	for word := range strings.SplitSeq(text, " ") {
		w := terminal.Width(word)
		if room > 0 && !fresh && width+1+w > room {
			fmt.Fprintln(t.Out, strings.TrimRight(line.String(), " "))
			line.Reset()
			line.WriteString(strings.Repeat(" ", indent))
			width, fresh = indent, true
		}
		if !fresh {
			line.WriteByte(' ')
			width++
		}
		line.WriteString(word)
		width, fresh = width+w, false
	}
	fmt.Fprintln(t.Out, strings.TrimRight(line.String(), " "))
}
