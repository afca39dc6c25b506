package terminal

import (
	"bytes"
	"encoding/json"
	"strings"
)

const (
	indent   = 2
	narrow   = 20 // columns below which lines are indented by one for each level
	maxDepth = 20 // beyond which lines are not indented further: nesting would multiply the output
)

// JSON appends an object or array as people read it: on one line if it fits into so many columns, else with a line for each
// member, where what fits is again on one line. What is in strings is made safe. false: src is no object or array, and
// nothing was appended.
func (c Colors) JSON(dst, src []byte, columns int) ([]byte, bool) {
	src = bytes.TrimSpace(src)
	if len(src) == 0 || src[0] != '{' && src[0] != '[' || !json.Valid(src) {
		return dst, false
	}
	p := printer{c: c, dst: dst, src: src, columns: max(1, columns)}
	p.value(0, 0, 0)
	return p.dst, true
}

// A printer prints valid JSON.
type printer struct {
	c        Colors
	dst, src []byte
	columns  int
}

// value prints the value at src[i] and gives what is after it; used are the columns taken on its line.
func (p *printer) value(i, depth, used int) int {
	i = p.space(i)
	switch p.src[i] {
	case '{', '[':
		if p.src[i+1:][p.space(i+1)-i-1] == p.src[i]+2 { // '}' is '{'+2, ']' is '['+2
			p.dst = append(p.dst, p.src[i], p.src[i]+2)
			return p.space(i+1) + 1
		}
		return p.container(i, depth, p.fits(i, used))
	}
	end := p.scalar(i)
	p.paint(scalarStyle(p.src[i]), p.src[i:end])
	return end
}

// container prints an object or array that has something in it.
func (p *printer) container(i, depth int, flat bool) int {
	object := p.src[i] == '{'
	p.dst = append(p.dst, p.src[i])
	for {
		i = p.space(i + 1) // after the bracket or comma
		used := p.line(depth+1, flat)
		if object {
			end := p.scalar(i)
			p.paint(Blue, p.src[i:end])
			used += end - i + 2
			p.dst = append(p.dst, ": "...)
			i = p.space(end) + 1 // after the colon
		}
		i = p.space(p.value(i, depth+1, used))
		if p.src[i] != ',' {
			p.line(depth, flat)
			p.dst = append(p.dst, p.src[i])
			return i + 1
		}
		p.dst = append(p.dst, ',')
		if flat {
			p.dst = append(p.dst, ' ')
		}
	}
}

// line begins a line, unless all is on one, and gives the columns that it is indented by.
func (p *printer) line(depth int, flat bool) int {
	if flat {
		return -p.columns // what is within fits too
	}
	step := indent
	if p.columns < narrow {
		step = 1
	}
	n := step * min(depth, maxDepth, p.columns/2/step)
	p.dst = append(append(p.dst, '\n'), bytes.Repeat([]byte{' '}, n)...)
	return n
}

// fits says whether the value at src[i] can be on one line.
func (p *printer) fits(i, used int) bool {
	if used < 0 {
		return true
	}
	depth := 0
	for used < p.columns {
		switch b := p.src[i]; b {
		case '"':
			end := p.scalar(i)
			if end-i > 4*p.columns {
				return false
			}
			used += Width(string(p.src[i:end]))
			i = end
			continue
		case '{', '[':
			depth++
			used++
		case '}', ']':
			depth--
			used++
			if depth == 0 {
				return used <= p.columns
			}
		case ',', ':':
			used += 2
		case ' ', '\t', '\r', '\n':
		default:
			used++
		}
		i++
	}
	return false
}

func (p *printer) space(i int) int {
	for p.src[i] == ' ' || p.src[i] == '\t' || p.src[i] == '\r' || p.src[i] == '\n' {
		i++
	}
	return i
}

// scalar gives the end of a string, number or word.
func (p *printer) scalar(i int) int {
	if p.src[i] == '"' {
		for i++; p.src[i] != '"'; i++ {
			if p.src[i] == '\\' {
				i++
			}
		}
		return i + 1
	}
	for i < len(p.src) && strings.IndexByte(" \t\r\n,:]}", p.src[i]) < 0 {
		i++
	}
	return i
}

func (p *printer) paint(s Style, text []byte) {
	p.dst = p.c.Append(p.dst, s, Safe(nil, text))
}

func scalarStyle(b byte) Style {
	switch b {
	case '"':
		return Green
	case 't', 'f', 'n':
		return Magenta
	}
	return Cyan
}
