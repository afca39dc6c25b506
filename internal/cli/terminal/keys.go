package terminal

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// A keyCode is a key that is no character, or what it stands for.
type keyCode int

const (
	keyRune     keyCode = iota // key.r
	keyPaste                   // key.text
	keyControl                 // key.r, a letter: Ctrl-A is 'a'
	keyAlt                     // key.r
	keyAltEnter                // a newline within the message
	keyEnter
	keyTab
	keyBackTab
	keyEscape
	keyBackspace
	keyDelete
	keyUp
	keyDown
	keyLeft
	keyRight
	keyWordLeft
	keyWordRight
	keyHome
	keyEnd
	keyUnknown
)

type key struct {
	code keyCode
	r    rune
	text string
}

const (
	maxSequence = 64 // bytes of an escape sequence, all of those known are shorter
	pasteStart  = "\x1b[200~"
	pasteEnd    = "\x1b[201~"
)

// A decoder makes keys of what a terminal sends. What is not complete waits for the rest; so does an Escape alone, which
// may be the beginning of a sequence.
type decoder struct {
	pending []byte
	pasting bool
}

func (d *decoder) feed(p []byte) { d.pending = append(d.pending, p...) }

// next takes one key off what is pending; false: there is none that is complete.
func (d *decoder) next() (key, bool) {
	if d.pasting {
		return d.nextPasted()
	}
	if len(d.pending) == 0 {
		return key{}, false
	}
	k, n := decodeKey(d.pending)
	if n == 0 {
		return key{}, false
	}
	if string(d.pending[:n]) == pasteStart {
		d.pending, d.pasting = d.pending[n:], true
		return d.nextPasted()
	}
	d.pending = d.pending[n:]
	return k, true
}

// nextPasted gives what was pasted (bracketed paste: it comes between two sequences) as it comes, piece by piece.
func (d *decoder) nextPasted() (key, bool) {
	text := d.pending
	var n int
	if at := bytes.Index(d.pending, []byte(pasteEnd)); at >= 0 {
		text, n = d.pending[:at], at+len(pasteEnd)
		d.pasting = false
	} else {
		// The last bytes may begin the end, a character or a pair of CR and LF.
		text = text[:max(0, len(text)-len(pasteEnd))]
		for len(text) > 0 && (!utf8.RuneStart(d.pending[len(text)]) || text[len(text)-1] == '\r') {
			text = text[:len(text)-1]
		}
		n = len(text)
		if n == 0 {
			return key{}, false
		}
	}
	pasted := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(string(text))
	d.pending = d.pending[n:]
	return key{code: keyPaste, text: strings.ToValidUTF8(pasted, "\uFFFD")}, true
}

// decodeKey gives the first key of p and how many bytes it took; 0: more are needed.
func decodeKey(p []byte) (key, int) {
	switch b := p[0]; {
	case b == 0x1b:
		return decodeEscape(p)
	case b == '\r' || b == '\n':
		return key{code: keyEnter}, 1
	case b == '\t':
		return key{code: keyTab}, 1
	case b == 0x7f || b == 0x08:
		return key{code: keyBackspace}, 1
	case b >= 1 && b <= 26:
		return key{code: keyControl, r: rune('a' + b - 1)}, 1
	case b < ' ':
		return key{code: keyUnknown}, 1
	}
	if !utf8.FullRune(p) {
		return key{}, 0
	}
	r, n := utf8.DecodeRune(p)
	if r >= 0x80 && r < 0xA0 {
		return key{code: keyUnknown}, n
	}
	return key{code: keyRune, r: r}, n
}

func decodeEscape(p []byte) (key, int) {
	if len(p) == 1 {
		return key{}, 0
	}
	switch p[1] {
	case '[':
		return decodeControlSequence(p)
	case 'O': // SS3: cursor keys in application mode
		if len(p) == 2 {
			return key{}, 0
		}
		return key{code: cursorKeys[p[2]].orUnknown()}, 3
	case 0x1b: // Escape twice, or Alt with a key that is a sequence: the first tells nothing
		return key{code: keyEscape}, 1
	case '\r', '\n':
		return key{code: keyAltEnter}, 2
	case 0x7f, 0x08:
		return key{code: keyControl, r: 'w'}, 2 // Alt-Backspace deletes a word, as Ctrl-W
	}
	if !utf8.FullRune(p[1:]) {
		return key{}, 0
	}
	r, n := utf8.DecodeRune(p[1:])
	return key{code: keyAlt, r: r}, 1 + n
}

// cursorKeys are the keys by the last byte of their sequence.
var cursorKeys = map[byte]keyCode{'A': keyUp, 'B': keyDown, 'C': keyRight, 'D': keyLeft, 'F': keyEnd, 'H': keyHome, 'Z': keyBackTab}

// editKeys are the keys of sequences that end in a tilde, or in u, by their parameters.
var editKeys = map[string]keyCode{
	"1": keyHome, "7": keyHome, "4": keyEnd, "8": keyEnd, "3": keyDelete,
	"13;2": keyAltEnter, "13;3": keyAltEnter, "27;2;13": keyAltEnter, "27;3;13": keyAltEnter, // where Enter tells its modifiers
}

func (c keyCode) orUnknown() keyCode {
	if c == 0 {
		return keyUnknown
	}
	return c
}

// decodeControlSequence decodes CSI, parameters, a final byte (ECMA-48, 5.4).
func decodeControlSequence(p []byte) (key, int) {
	end := 2
	for end < min(len(p), maxSequence) && p[end] >= 0x20 && p[end] < 0x40 {
		end++
	}
	if end >= maxSequence || end < len(p) && (p[end] < 0x40 || p[end] > 0x7e) {
		return key{code: keyUnknown}, end
	}
	if end == len(p) {
		return key{}, 0
	}
	parameters, final := string(p[2:end]), p[end]
	code := cursorKeys[final]
	switch {
	case final == '~' || final == 'u':
		code = editKeys[parameters]
	case strings.HasSuffix(parameters, ";5") || strings.HasSuffix(parameters, ";3"): // with Ctrl, with Alt
		switch code {
		case keyLeft:
			code = keyWordLeft
		case keyRight:
			code = keyWordRight
		}
	}
	return key{code: code.orUnknown()}, end + 1
}
