package terminal

import (
	"strings"
)

// An action is what a key asks of whoever reads the line.
type action int

const (
	edited action = iota
	submit
	interrupt
	eof
	suspend
)

// press does what a key stands for: those of Emacs, as in shells.
func (e *Editor) press(k key) action {
	if e.search != nil && e.searching(k) {
		return edited
	}
	b := &e.buffer
	switch k.code {
	case keyRune:
		e.insert(string(k.r))
	case keyPaste:
		e.insert(k.text)
	case keyAltEnter:
		if e.multi {
			return submit
		}
		e.insert("\n")
	case keyEnter:
		return e.enter()
	case keyTab:
		e.complete()
	case keyBackspace:
		b.remove(b.left(), b.pos)
	case keyDelete:
		b.remove(b.pos, b.right())
	case keyLeft:
		b.pos = b.left()
	case keyRight:
		b.pos = b.right()
	case keyUp:
		if !b.up() {
			e.older()
		}
	case keyDown:
		if !b.down() {
			e.newer()
		}
	case keyWordLeft:
		b.pos = b.wordLeft()
	case keyWordRight:
		b.pos = b.wordRight()
	case keyHome:
		b.pos = b.lineStart()
	case keyEnd:
		b.pos = b.lineEnd()
	case keyAlt:
		e.alt(k.r)
	case keyControl:
		return e.control(k.r)
	}
	return edited
}

func (e *Editor) insert(s string) {
	if !e.buffer.insert(s) {
		e.hint = []string{e.o.Colors.Paint(Red, "There is no room for more; send it from a file.")}
	}
}

// enter is the end of the message, or of a line of it.
func (e *Editor) enter() action {
	b := &e.buffer
	if !e.multi {
		return submit
	}
	if b.lastLine() == "." {
		b.set(strings.TrimSuffix(strings.TrimSuffix(b.String(), "."), "\n"))
		return submit
	}
	e.insert("\n")
	return edited
}

func (e *Editor) alt(r rune) {
	b := &e.buffer
	switch r {
	case 'b':
		b.pos = b.wordLeft()
	case 'f':
		b.pos = b.wordRight()
	case 'd':
		b.kill(b.pos, b.wordRight())
	case '<':
		b.pos = 0
	case '>':
		b.pos = len(b.text)
	}
}

func (e *Editor) control(r rune) action {
	b := &e.buffer
	switch r {
	case 'a':
		b.pos = b.lineStart()
	case 'b':
		b.pos = b.left()
	case 'c':
		if len(b.text) == 0 && !e.multi && !e.secret {
			return interrupt
		}
		if e.secret {
			b.set("")
			return submit
		}
		e.multi = false
		e.recall = recall{}
		b.remove(0, len(b.text))
	case 'd':
		if len(b.text) == 0 {
			return eof
		}
		b.remove(b.pos, b.right())
	case 'e':
		b.pos = b.lineEnd()
	case 'f':
		b.pos = b.right()
	case 'k':
		b.kill(b.pos, max(b.lineEnd(), min(b.pos+1, len(b.text)))) // at the end of a line: its newline
	case 'l':
		e.clear()
	case 'n':
		e.newer()
	case 'o':
		e.insert("\n")
	case 'p':
		e.older()
	case 'r':
		if !e.secret {
			e.search = &search{draft: b.String(), at: e.o.History.Len()}
		}
	case 'u':
		b.kill(b.lineStart(), b.pos)
	case 'w':
		b.kill(b.spaceLeft(), b.pos)
	case 'y':
		e.insert(string(b.killed))
	case 'z':
		return suspend
	}
	return edited
}

// recall is the place in the history that the keys up and down have led to.
type recall struct {
	back  int    // how many entries, 0 is the draft
	draft string // what was typed
}

func (e *Editor) older() { e.walk(1) }
func (e *Editor) newer() { e.walk(-1) }

func (e *Editor) walk(step int) {
	to := e.recall.back + step
	if e.secret || to < 0 || to > e.o.History.Len() {
		return
	}
	if e.recall.back == 0 {
		e.recall.draft = e.buffer.String()
	}
	e.recall.back = to
	if to == 0 {
		e.buffer.set(e.recall.draft)
	} else {
		e.buffer.set(e.o.History.At(e.o.History.Len() - to))
	}
}

// search is what Ctrl-R does: the newest entry of the history that has the query in it, and older ones.
type search struct {
	query string
	at    int    // the entry that is shown, or the number of entries
	draft string // to come back to
	none  bool   // no entry has it
}

func (s *search) prompt() string {
	if s.none {
		return "(none has `" + SafeLine(s.query) + "') "
	}
	return "(search `" + SafeLine(s.query) + "') "
}

// searching takes the keys of a search; false: it is over, and the key has its usual sense.
func (e *Editor) searching(k key) bool {
	s := e.search
	switch {
	case k.code == keyRune:
		s.query += string(k.r)
		s.find(e, min(s.at, e.o.History.Len()-1))
	case k.code == keyBackspace:
		r := []rune(s.query)
		s.query = string(r[:max(0, len(r)-1)])
		s.find(e, e.o.History.Len()-1)
	case k.code == keyControl && k.r == 'r':
		s.find(e, s.at-1)
	case k.code == keyControl && (k.r == 'c' || k.r == 'g'):
		e.buffer.set(s.draft)
		e.search = nil
	default:
		e.search = nil
		return k.code == keyEscape
	}
	return true
}

func (s *search) find(e *Editor, from int) {
	if s.query == "" {
		return
	}
	for i := from; i >= 0; i-- {
		if entry := e.o.History.At(i); strings.Contains(entry, s.query) {
			s.at, s.none = i, false
			e.buffer.set(entry)
			return
		}
	}
	s.none = true
}
