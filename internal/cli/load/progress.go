package load

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// A Printer shows progress: on a terminal in one line, which is written anew each time, otherwise in a line each time.
type Printer struct {
	To io.Writer
	// Columns is the width of the terminal; 0: it is none.
	Columns int

	shown bool
	last  string // phase and second that were printed
}

// Print shows progress. It is Options.Progress.
func (p *Printer) Print(now Progress) {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %v", now.Phase, now.Elapsed.Round(time.Second))
	if now.Of > 0 {
		fmt.Fprintf(&b, " of %v", now.Of.Round(time.Second))
	}
	fmt.Fprintf(&b, ", %s", plural(now.Connections, "connection"))
	if now.PerSecond > 0 {
		fmt.Fprintf(&b, ", %s/s", number(int64(now.PerSecond)))
	}
	if now.P99 > 0 {
		fmt.Fprintf(&b, ", p50 %v, p99 %v", round(now.P50), round(now.P99))
	}
	if now.Errors > 0 {
		fmt.Fprintf(&b, ", %s errors", number(now.Errors))
	}
	if p.Columns == 0 {
		if at := now.Phase + now.Elapsed.Round(time.Second).String(); at != p.last {
			p.last = at
			fmt.Fprintln(p.To, b.String())
		}
		return
	}
	line := b.String()
	for utf8.RuneCountInString(line) >= p.Columns {
		_, size := utf8.DecodeLastRuneInString(line)
		line = line[:len(line)-size]
	}
	fmt.Fprintf(p.To, "\r\x1b[K%s", line)
	p.shown = true
}

// End takes the line of a terminal away.
func (p *Printer) End() {
	if p.shown {
		fmt.Fprint(p.To, "\r\x1b[K")
	}
}
