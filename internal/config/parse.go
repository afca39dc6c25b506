package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// What a file may be. The parser takes a time that grows with the square of the depth, and of the keys in one place.
const (
	maxDepth = 32
	maxKeys  = 1000
)

var byteOrderMark = []byte("\ufeff")

// parse gives the mapping that the file is; nil for an empty file.
func (d *decoder) parse(text []byte) ast.Node {
	text = bytes.TrimPrefix(text, byteOrderMark)
	if m := illegible(text); m != nil {
		d.add(m)
		return nil
	}
	tokens := lexer.Tokenize(string(text))
	if m := cmp.Or(second(tokens), unbounded(tokens)); m != nil {
		d.add(m)
		return nil
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		d.add(mistakeOf(err, text))
		return nil
	}
	for _, doc := range file.Docs {
		if _, directive := doc.Body.(*ast.DirectiveNode); !directive && doc.Body != nil {
			return doc.Body
		}
	}
	return nil
}

// syntaxError is what the errors of the parser are.
type syntaxError interface {
	error
	GetToken() *token.Token
	GetMessage() string
}

// mistakeOf tells what the parser found, and of a tab what to do about it.
func mistakeOf(err error, text []byte) *MistakeError {
	m := &MistakeError{Err: errors.New(firstLine(err.Error()))}
	if e, ok := errors.AsType[syntaxError](err); ok {
		m.Err = errors.New(e.GetMessage())
		m.place(e.GetToken())
	}
	lines := bytes.Split(text, []byte("\n"))
	if m.Line > 0 && m.Line <= len(lines) {
		line := lines[m.Line-1]
		indent := line[:len(line)-len(bytes.TrimLeft(line, " \t"))]
		if i := bytes.IndexByte(indent, '\t'); i >= 0 {
			m.Column, m.Err = i+1, errors.New("a tab indents nothing in YAML: use spaces")
		}
	}
	return m
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// illegible finds what is not text: YAML 1.2.2, section 5.1.
func illegible(text []byte) *MistakeError {
	line, start := 1, 0
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		var err error
		switch {
		case r == utf8.RuneError && n == 1:
			err = errors.New("it is not UTF-8")
		case r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0x7f:
			err = fmt.Errorf("there is a control character (%#U)", r)
		case r == '\n':
			line, start = line+1, i+1
		}
		if err != nil {
			return &MistakeError{Line: line, Column: utf8.RuneCount(text[start:i]) + 1, Err: err}
		}
		i += n
	}
	return nil
}

// second finds a second document.
func second(tokens token.Tokens) *MistakeError {
	var directive, begun, ended bool
	for _, t := range tokens {
		switch t.Type {
		case token.DocumentHeaderType, token.DocumentEndType:
			directive, ended = false, begun
		case token.DirectiveType:
			directive = true
		case token.CommentType:
		default:
			begun = begun || !directive
			if begun && ended {
				return mistakeAt(t, errors.New("there is a second document in the file"))
			}
		}
	}
	return nil
}

// nest is a list or mapping that is open.
type nest struct {
	flow   bool // in brackets or braces; else it ends where something begins further left
	column int
	keys   int
}

// unbounded finds what the parser should not see: what is nested too deep, has too many keys, or refers to something else, in a
// file that is small and has all of it.
func unbounded(tokens token.Tokens) *MistakeError {
	var open []nest
	for _, t := range tokens {
		column := t.Position.Column
		switch t.Type {
		case token.AnchorType, token.AliasType, token.TagType, token.MergeKeyType:
			return mistakeAt(t, errNotTaken)
		case token.SequenceStartType, token.MappingStartType:
			open = append(open, nest{flow: true})
		case token.SequenceEndType, token.MappingEndType:
			for len(open) > 0 && !open[len(open)-1].flow {
				open = open[:len(open)-1]
			}
			open = open[:max(len(open)-1, 0)]
		case token.MappingValueType:
			if t.Prev != nil && t.Prev.Position.Line == t.Position.Line {
				column = t.Prev.Position.Column // where the key is
			}
			open = begin(open, column)
			if open[len(open)-1].keys++; open[len(open)-1].keys > maxKeys {
				return mistakeAt(t, fmt.Errorf("there are more than %d keys in one place", maxKeys))
			}
		case token.SequenceEntryType, token.MappingKeyType:
			open = begin(open, column)
		}
		if len(open) > maxDepth {
			return mistakeAt(t, fmt.Errorf("it is nested more than %d deep", maxDepth))
		}
	}
	return nil
}

// begin opens what is at a column, unless it is open, and closes what is further right.
func begin(open []nest, column int) []nest {
	for len(open) > 0 {
		switch last := open[len(open)-1]; {
		case last.flow || last.column == column:
			return open
		case last.column < column:
			return append(open, nest{column: column})
		}
		open = open[:len(open)-1]
	}
	return append(open, nest{column: column})
}

var errNotTaken = errors.New("anchors, aliases, merges and tags are not taken")

func mistakeAt(t *token.Token, err error) *MistakeError {
	m := &MistakeError{Err: err}
	m.place(t)
	return m
}
