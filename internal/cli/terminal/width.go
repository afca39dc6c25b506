package terminal

import (
	"os"

	"github.com/charmbracelet/x/ansi"
	"github.com/mattn/go-runewidth"
	"golang.org/x/term"
)

// DefaultWidth and DefaultHeight are the columns and rows of what does not tell its size.
const (
	DefaultWidth  = 80
	DefaultHeight = 24
)

// Size gives the columns and rows of a terminal; DefaultWidth and DefaultHeight if out is none, or does not tell.
func Size(out any) (columns, rows int) {
	if f, ok := out.(*os.File); ok {
		if w, h, err := term.GetSize(int(f.Fd())); err == nil && w > 0 && h > 0 {
			return w, h
		}
	}
	return DefaultWidth, DefaultHeight
}

// Width gives the columns that a line of text takes: 2 for a character of Korean, Chinese or Japanese and for most emoji
// (UAX #11), 1 for most others, and none for controls and for escape sequences. What is drawn as one, as a letter with its
// accents or the parts of a syllable of Hangul, is one character (UAX #29).
func Width(s string) int { return plainWidth(ansi.Strip(s)) }

// plainWidth is Width of what has no escape sequences. Characters of which the standard leaves the width open have one column,
// whatever language the environment speaks.
func plainWidth(s string) int {
	c := runewidth.Condition{StrictEmojiNeutral: true}
	return c.StringWidth(s)
}

// character gives the first character of a text, as people count them.
func character(text string) string {
	c, _ := ansi.FirstGraphemeCluster(text, ansi.GraphemeWidth)
	return c
}
