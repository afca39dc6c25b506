package terminal

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// MaxInput is how many characters a message that is typed or pasted may have.
	MaxInput     = 1 << 20
	maxCharacter = 64 // code points that are one character to whoever types
)

// A buffer is the text that is edited, and the place of the cursor in it, from 0 to len(text).
type buffer struct {
	text   []rune
	pos    int
	killed []rune // what was cut last, for Ctrl-Y
}

func (b *buffer) set(s string) {
	b.text = []rune(s)
	b.pos = len(b.text)
}

// insert inserts s at the cursor, as much of it as there is room for, and says whether that was all.
func (b *buffer) insert(s string) bool {
	r := []rune(s)
	room := MaxInput - len(b.text)
	fits := len(r) <= room
	if !fits {
		r = r[:max(0, room)]
	}
	b.text = slices.Insert(b.text, b.pos, r...)
	b.pos += len(r)
	return fits
}

// remove takes away what is between two places, and puts the cursor there.
func (b *buffer) remove(from, to int) {
	b.text = slices.Delete(b.text, from, to)
	b.pos = from
}

// kill removes as remove does, and remembers.
func (b *buffer) kill(from, to int) {
	if from < to {
		b.killed = slices.Clone(b.text[from:to])
		b.remove(from, to)
	}
}

// left is the place of the character before the cursor, right that after it, as people count characters (UAX #29): a letter
// with its accents, the syllable that a vowel and a final belong to, a flag, a family.
func (b *buffer) left() int {
	i := max(0, b.pos-maxCharacter)
	for {
		next := b.characterEnd(i)
		if next >= b.pos {
			return i
		}
		i = next
	}
}

func (b *buffer) right() int { return b.characterEnd(b.pos) }

// characterEnd is where the character ends that begins at i.
func (b *buffer) characterEnd(i int) int {
	return i + utf8.RuneCountInString(character(string(b.text[i:min(len(b.text), i+maxCharacter)])))
}

func word(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) || r == '_'
}

// wordLeft is where the word before the cursor begins, wordRight where the one after it ends.
func (b *buffer) wordLeft() int {
	i := b.pos
	for i > 0 && !word(b.text[i-1]) {
		i--
	}
	for i > 0 && word(b.text[i-1]) {
		i--
	}
	return i
}

func (b *buffer) wordRight() int {
	i := b.pos
	for i < len(b.text) && !word(b.text[i]) {
		i++
	}
	for i < len(b.text) && word(b.text[i]) {
		i++
	}
	return i
}

// spaceLeft is where what has no space in it begins, before the cursor.
func (b *buffer) spaceLeft() int {
	i := b.pos
	for i > 0 && unicode.IsSpace(b.text[i-1]) {
		i--
	}
	for i > 0 && !unicode.IsSpace(b.text[i-1]) {
		i--
	}
	return i
}

// lineStart and lineEnd are the ends of the line that the cursor is on.
func (b *buffer) lineStart() int {
	i := b.pos
	for i > 0 && b.text[i-1] != '\n' {
		i--
	}
	return i
}

func (b *buffer) lineEnd() int {
	i := b.pos
	for i < len(b.text) && b.text[i] != '\n' {
		i++
	}
	return i
}

// up moves to the line above, and says whether there is one; down to the line below.
func (b *buffer) up() bool {
	start := b.lineStart()
	if start == 0 {
		return false
	}
	column := b.pos - start
	b.pos = start - 1
	b.pos = min(b.lineStart()+column, start-1)
	return true
}

func (b *buffer) down() bool {
	column, end := b.pos-b.lineStart(), b.lineEnd()
	if end == len(b.text) {
		return false
	}
	b.pos = end + 1
	b.pos = min(end+1+column, b.lineEnd())
	return true
}

func (b *buffer) String() string { return string(b.text) }

// before is what stands before the cursor.
func (b *buffer) before() string { return string(b.text[:b.pos]) }

// lastLine is what stands after the last newline.
func (b *buffer) lastLine() string {
	s := b.String()
	return s[strings.LastIndexByte(s, '\n')+1:]
}
