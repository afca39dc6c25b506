package terminal

import (
	"strings"
	"unicode/utf8"
)

// maxHints is how many rows of completions are shown, if the terminal is high enough.
const maxHints = 24

// complete does what Tab asks for: it puts in what all completions begin with; if that adds nothing it shows them below.
func (e *Editor) complete() {
	b := &e.buffer
	if e.o.Complete == nil || e.secret {
		return
	}
	before := b.before()
	from, all := e.o.Complete(before)
	if len(all) == 0 || from < 0 || from > len(before) {
		return
	}
	text := commonPrefix(all)
	if len(all) == 1 && !all[0].Open && !strings.HasPrefix(string(b.text[b.pos:]), " ") {
		text += " "
	}
	if had := before[from:]; len(all) > 1 && len(text) <= len(had) {
		e.hint = e.hints(all)
		return
	}
	start := utf8.RuneCountInString(before[:from])
	b.remove(start, b.pos)
	e.insert(text)
}

func commonPrefix(all []Completion) string {
	text := all[0].Text
	for _, c := range all[1:] {
		for !strings.HasPrefix(c.Text, text) {
			_, n := utf8.DecodeLastRuneInString(text)
			text = text[:len(text)-n]
		}
	}
	return text
}

// hints gives the rows that list completions: each with its help, or several in a row if none has any.
func (e *Editor) hints(all []Completion) []string {
	widest, help := 0, false
	for _, c := range all {
		widest = max(widest, Width(c.Text))
		help = help || c.Help != ""
	}
	columns, _ := e.o.Size()
	each := 1
	if !help {
		each = max(1, (columns-1)/(widest+2))
	}
	var rows []string
	for i := 0; i < len(all); i += each {
		if len(rows) == maxHints {
			return append(rows, e.o.Colors.Paint(Dim, "..."))
		}
		var b strings.Builder
		for _, c := range all[i:min(i+each, len(all))] {
			b.WriteString(SafeLine(c.Text))
			b.WriteString(strings.Repeat(" ", widest-Width(c.Text)+2))
			b.WriteString(e.o.Colors.Paint(Dim, SafeLine(c.Help)))
		}
		rows = append(rows, strings.TrimRight(b.String(), " "))
	}
	return rows
}
