package terminal

import (
	"fmt"
	"io"
	"os"

	"github.com/charmbracelet/x/ansi"
	"golang.org/x/term"
)

// When says when output is coloured: Auto, Always or Never. It is a pflag.Value, for --color; what is empty is Auto.
type When string

// Auto colours what goes to a terminal that can show it, unless NO_COLOR is set; Always and Never do not look.
const (
	Auto   When = "auto"
	Always When = "always"
	Never  When = "never"
)

// Set takes what was given to the flag.
func (w *When) Set(s string) error {
	switch When(s) {
	case Auto, Always, Never:
		*w = When(s)
		return nil
	}
	return fmt.Errorf("%q is none of auto, always, never", s)
}

// String gives what was set.
func (w *When) String() string {
	if *w == "" {
		return string(Auto)
	}
	return string(*w)
}

// Type names the kind of value in the help of a flag.
func (w *When) Type() string { return "when" }

// Colors gives the colours for what is written to out. With Auto they are on when out is a terminal other than
// TERM=dumb, and NO_COLOR (https://no-color.org) is unset or empty.
func (w *When) Colors(out io.Writer) Colors {
	switch When(w.String()) {
	case Always:
		virtualTerminal(out)
		return Colors{on: true}
	case Never:
		return Colors{}
	}
	return Colors{on: Is(out) && !Dumb() && os.Getenv("NO_COLOR") == "" && virtualTerminal(out)}
}

// Is says whether an input or output is a terminal.
func Is(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Dumb says whether the terminal understands no escape sequences, by the environment variable TERM.
func Dumb() bool { return os.Getenv("TERM") == "dumb" }

// A Style is one of the ways that text looks, by the sequence that begins it; "" leaves text as it is. The colours are the eight
// that every terminal has, which its owner chose.
type Style string

// Styles.
var (
	Bold    = Style(ansi.SGR(ansi.AttrBold))
	Dim     = Style(ansi.SGR(ansi.AttrFaint))
	Red     = Style(ansi.SGR(ansi.AttrRedForegroundColor))
	Green   = Style(ansi.SGR(ansi.AttrGreenForegroundColor))
	Yellow  = Style(ansi.SGR(ansi.AttrYellowForegroundColor))
	Blue    = Style(ansi.SGR(ansi.AttrBlueForegroundColor))
	Magenta = Style(ansi.SGR(ansi.AttrMagentaForegroundColor))
	Cyan    = Style(ansi.SGR(ansi.AttrCyanForegroundColor))
)

// Colors colours text, or leaves it as it is: the zero value does that.
type Colors struct{ on bool }

// On says whether text is coloured.
func (c Colors) On() bool { return c.on }

// Paint gives text in a style. It is not made safe: that is for Safe, before.
func (c Colors) Paint(s Style, text string) string {
	return string(c.Append(nil, s, []byte(text)))
}

// Append appends text in a style to dst.
func (c Colors) Append(dst []byte, s Style, text []byte) []byte {
	if !c.on || s == "" || len(text) == 0 {
		return append(dst, text...)
	}
	return append(append(append(dst, s...), text...), ansi.ResetStyle...)
}
