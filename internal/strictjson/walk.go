package strictjson

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// walker goes through JSON whose syntax is right.
type walker struct {
	data  []byte
	at    int
	depth int
}

// path is where a value is, from the inside to the outside.
type path struct {
	outer *path
	name  string // of a member; "": an element
	index int
}

func (p *path) String() string {
	switch {
	case p == nil:
		return ""
	case p.name == "":
		return fmt.Sprintf("%s[%d]", p.outer.String(), p.index)
	case p.outer == nil:
		return p.name
	}
	return p.outer.String() + "." + p.name
}

func mistake(p *path, format string, args ...any) error {
	return &Error{Path: p.String(), Reason: fmt.Sprintf(format, args...)}
}

// space goes to the next character that says something, and gives it.
func (w *walker) space() byte {
	for w.data[w.at] == ' ' || w.data[w.at] == '\t' || w.data[w.at] == '\n' || w.data[w.at] == '\r' {
		w.at++
	}
	return w.data[w.at]
}

func (w *walker) value(n *node, p *path) error {
	c := w.space()
	is := kindOf(c)
	switch {
	case c == 'n' && !n.null:
		return mistake(p, "it is null; leave it out instead")
	case n.kind == reflect.Invalid:
		return w.skip(p)
	case is != n.kind:
		return mistake(p, "it must be %s", kindName(n.kind))
	case is == reflect.Struct:
		return w.object(n, p)
	case is == reflect.Slice:
		return w.array(n, p)
	}
	return w.skip(p)
}

func kindOf(c byte) reflect.Kind {
	switch c {
	case '{':
		return reflect.Struct
	case '[':
		return reflect.Slice
	case '"':
		return reflect.String
	case 't', 'f':
		return reflect.Bool
	}
	return reflect.Float64
}

func (w *walker) object(n *node, p *path) error {
	w.at++ // the brace
	w.depth++
	defer func() { w.depth-- }()
	var seen uint64
	for w.space() != '}' {
		if w.data[w.at] == ',' {
			w.at++
			w.space()
		}
		start := w.at
		w.text()
		name := string(w.data[start+1 : w.at-1])
		if strings.ContainsRune(name, '\\') {
			if err := json.Unmarshal(w.data[start:w.at], &name); err != nil {
				return mistake(p, "%v", err)
			}
		}
		i := n.find(name)
		if i < 0 {
			return mistake(p, "there is no member %.40q here; %s", name, Suggest(name, n.names()))
		}
		if seen&(1<<i) != 0 {
			return mistake(p, "the member %q is there twice", name)
		}
		seen |= 1 << i
		w.space() // and the colon
		w.at++
		if err := w.value(n.members[i].node, &path{outer: p, name: name}); err != nil {
			return err
		}
	}
	w.at++
	return nil
}

func (n *node) find(name string) int {
	for i := range n.members {
		if n.members[i].name == name {
			return i
		}
	}
	return -1
}

func (w *walker) array(n *node, p *path) error {
	w.at++ // the bracket
	w.depth++
	defer func() { w.depth-- }()
	for i := 0; w.space() != ']'; i++ {
		if w.data[w.at] == ',' {
			w.at++
		}
		if n.most > 0 && i == n.most {
			return &Error{Path: p.String(), Reason: fmt.Sprintf("it has more than %d elements", n.most), TooMany: true}
		}
		if err := w.value(n.element, &path{outer: p, index: i}); err != nil {
			return err
		}
	}
	w.at++
	return nil
}

// text goes behind a string.
func (w *walker) text() {
	for w.at++; w.data[w.at] != '"'; w.at++ {
		if w.data[w.at] == '\\' {
			w.at++
		}
	}
	w.at++
}

// skip goes behind a value, whatever it is.
func (w *walker) skip(p *path) error {
	switch w.data[w.at] {
	case '"':
		w.text()
		return nil
	case '{', '[':
		return w.skipNested(p)
	}
	for w.at < len(w.data) && !strings.ContainsRune(" \t\r\n,]}", rune(w.data[w.at])) {
		w.at++
	}
	return nil
}

func (w *walker) skipNested(p *path) error {
	for depth := w.depth; ; {
		switch w.data[w.at] {
		case '"':
			w.text()
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		w.at++
		if depth > MaxDepth {
			return mistake(p, "arrays and objects are within one another more than %d deep", MaxDepth)
		}
		if depth == w.depth {
			return nil
		}
	}
}
