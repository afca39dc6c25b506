package terminal

import (
	"bytes"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

const (
	continued = "| " // before each further line of a message
	tabWidth  = 4
)

// A layout is a prompt and a text broken into the rows of a terminal.
type layout struct {
	rows   []row
	cursor struct{ row, column int }
}

type row struct {
	content []byte
	columns int
}

// arrange breaks text into rows of fewer than columns columns: the last stays free, for terminals differ in where the
// cursor is once it is full. The cursor is before text[pos]. paint colours a piece of the text.
func arrange(prompt string, text []rune, pos, columns int, paint func(dst, piece []byte) []byte) *layout {
	limit := max(1, columns-1)
	l := new(layout)
	var piece []byte // of the text, not painted yet
	flush := func() {
		last := &l.rows[len(l.rows)-1]
		last.content = paint(last.content, piece)
		piece = piece[:0]
	}
	open := func(prefix string) {
		prefix = ansi.TruncateWc(prefix, limit-2, "")
		l.rows = append(l.rows, row{content: []byte(prefix), columns: Width(prefix)})
	}
	open(prompt)
	for rest, runes := string(text), pos; rest != ""; {
		c := character(rest)
		rest = rest[len(c):]
		n := utf8.RuneCountInString(c)
		here := runes >= 0 && runes < n // is the cursor
		runes -= n
		if c == "\n" {
			if here {
				l.place()
			}
			flush()
			open(continued)
			continue
		}
		start := len(piece)
		for _, r := range c {
			piece = appendShown(piece, r)
		}
		width := plainWidth(string(piece[start:]))
		if last := &l.rows[len(l.rows)-1]; last.columns+width > limit && last.columns > 0 {
			shown := bytes.Clone(piece[start:])
			piece = piece[:start]
			flush()
			l.rows = append(l.rows, row{})
			piece = append(piece, shown...)
		}
		if here {
			l.place()
		}
		l.rows[len(l.rows)-1].columns += width
	}
	flush()
	if pos >= len(text) {
		l.place()
	}
	return l
}

// place notes that the cursor is behind what there is.
func (l *layout) place() {
	l.cursor.row, l.cursor.column = len(l.rows)-1, l.rows[len(l.rows)-1].columns
}

// appendShown appends how a character of the text is drawn.
func appendShown(dst []byte, r rune) []byte {
	switch {
	case r == '\t':
		return append(dst, "    "[:tabWidth]...)
	case r < ' ' || r == 0x7f:
		return append(dst, '^', byte(r)^0x40)
	case unicode.IsControl(r), unicode.Is(invisible, r):
		return appendEscaped(dst, r)
	}
	return append(dst, string(r)...)
}

// window keeps the rows that fit into a terminal of height rows, with the cursor's among them.
func (l *layout) window(height int) {
	if len(l.rows) <= height {
		return
	}
	from := max(0, min(l.cursor.row-height+1, len(l.rows)-height))
	l.rows = l.rows[from : from+height]
	l.cursor.row -= from
}

// append appends what draws the rows, from the beginning of a row on, and puts the cursor into its place.
func (l *layout) append(dst []byte) []byte {
	for i, r := range l.rows {
		if i > 0 {
			dst = append(dst, "\r\n"...)
		}
		dst = append(dst, r.content...)
	}
	dst = appendMove(dst, ansi.CursorUp, len(l.rows)-1-l.cursor.row)
	dst = append(dst, '\r')
	return appendMove(dst, ansi.CursorForward, l.cursor.column)
}

// above gives the rows between the first and the cursor, on a terminal that has columns columns now and has broken the
// rows anew, as most do.
func (l *layout) above(columns int) int {
	n := 0
	for _, r := range l.rows[:l.cursor.row] {
		n += max(1, (r.columns+columns-1)/columns)
	}
	return n + l.cursor.column/columns
}

// appendMove appends a move of the cursor by n, if that is any.
func appendMove(dst []byte, move func(n int) string, n int) []byte {
	if n <= 0 {
		return dst
	}
	return append(dst, move(n)...)
}
