package config

import (
	"encoding"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"baro.dev/internal/strictjson"
)

// A MistakeError is what is wrong with a configuration file, and where.
type MistakeError struct {
	File         string
	Line, Column int    // from 1
	Key          string // as "channels[0].history.count"; "" for the file as a whole
	Err          error
}

func (m *MistakeError) Error() string {
	at := m.File
	if m.Line > 0 {
		at = fmt.Sprintf("%s:%d:%d", m.File, m.Line, m.Column)
	}
	if m.Key == "" {
		return fmt.Sprintf("%s: %v", at, m.Err)
	}
	return fmt.Sprintf("%s: %s: %v", at, m.Key, m.Err)
}

func (m *MistakeError) Unwrap() error { return m.Err }

// maxMistakes is how many mistakes are told at once.
const maxMistakes = 20

// checker is a part of a file that can be wrong as a whole.
type checker interface{ check() error }

// decoder puts a file into structs, whose fields say by the tag yaml which key is theirs.
type decoder struct {
	file     string // the name to tell
	dir      string // that paths are relative to
	variable string // that the text is from, or that names the file; "" for the configuration file
	origins  map[string]Origin
	mistakes []error
}

// entry takes a key and its value, and says whether there is such a key.
type entry func(key string, value ast.Node, at string) (known bool)

func (m *MistakeError) place(t *token.Token) {
	if t != nil && t.Position != nil {
		m.Line, m.Column = t.Position.Line, t.Position.Column
	}
}

func (d *decoder) fail(n ast.Node, key string, err error) {
	m := &MistakeError{Key: key, Err: err}
	if n != nil {
		if mapping, ok := n.(*ast.MappingNode); ok && len(mapping.Values) > 0 {
			n = mapping.Values[0].Key // the token of a mapping is its first colon
		}
		m.place(n.GetToken())
	}
	d.add(m)
}

func (d *decoder) add(m *MistakeError) {
	m.File = d.file
	if len(d.mistakes) < maxMistakes {
		d.mistakes = append(d.mistakes, m)
	}
}

// mapping has each do something with every key. Those that it does not know are mistakes, with the nearest of known.
func (d *decoder) mapping(n ast.Node, at string, known []string, each entry) {
	m, ok := n.(*ast.MappingNode)
	if !ok {
		d.fail(n, at, errors.New("it must have keys and values"+instead(n)))
		return
	}
	seen := map[string]bool{}
	for _, pair := range m.Values {
		key, ok := text(pair.Key)
		d.origins[join(at, key)] = d.origin(pair.Key)
		switch {
		case !ok:
			d.fail(pair.Key, at, errors.New("a key must be a plain word"+instead(pair.Key)))
		case seen[key]:
			d.fail(pair.Key, join(at, key), errors.New("it is there twice"))
		case !each(key, pair.Value, join(at, key)):
			d.fail(pair.Key, join(at, key), errors.New("there is no such key: "+suggest(key, at, known)))
		}
		seen[key] = true
	}
}

// origin is where a value is from that a node begins.
func (d *decoder) origin(n ast.Node) Origin {
	o := Origin{From: FromFile, At: d.file}
	if t := n.GetToken(); t != nil && t.Position != nil {
		o.At = fmt.Sprintf("%s:%d", d.file, t.Position.Line)
	}
	if d.variable != "" {
		o = Origin{From: FromEnvironment, At: d.variable}
		if d.file != d.variable {
			o.File = d.file
		}
	}
	return o
}

// suggest says which key was meant, or which there are.
func suggest(key, at string, known []string) string {
	for _, sep := range []string{"_", "-", "."} { // as in flags and variables
		if group, rest, ok := strings.Cut(key, sep); at == "" && ok && slices.Contains(groups, group) && slices.Contains(known, group) {
			return fmt.Sprintf("did you mean %s: {%s: …}?", group, rest)
		}
	}
	hint := strictjson.Suggest(key, known)
	if strings.HasPrefix(hint, "there are") && len(known) > maxTold {
		return "baro config example shows all"
	}
	return hint
}

// maxTold is of how many keys a mistake tells all.
const maxTold = 16

func join(at, key string) string {
	if at == "" {
		return key
	}
	return at + "." + key
}

// value puts a node into v.
func (d *decoder) value(n ast.Node, at string, v reflect.Value) {
	if u, ok := reflect.TypeAssert[encoding.TextUnmarshaler](v.Addr()); ok {
		d.scalar(n, at, func(s string) error { return u.UnmarshalText([]byte(s)) })
		return
	}
	if v.Type() == reflect.TypeFor[path]() {
		d.scalar(n, at, func(s string) error {
			v.SetString(d.absolute(s))
			return nil
		})
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.value(n, at, v.Elem())
	case reflect.Struct:
		before := len(d.mistakes)
		setDefaults(v)
		d.mapping(n, at, fieldsOf(v.Type()), func(key string, value ast.Node, at string) bool {
			f := fieldOf(v, key)
			if f.IsValid() {
				d.value(value, at, f)
			}
			return f.IsValid()
		})
		if c, ok := reflect.TypeAssert[checker](v.Addr()); ok && len(d.mistakes) == before {
			if err := c.check(); err != nil {
				d.fail(n, at, err)
			}
		}
	case reflect.Slice:
		list, ok := n.(*ast.SequenceNode)
		if !ok {
			d.fail(n, at, errors.New("it must be a list"+instead(n)))
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), len(list.Values), len(list.Values)))
		for i, item := range list.Values {
			d.value(item, fmt.Sprintf("%s[%d]", at, i), v.Index(i))
		}
	case reflect.Map: // of strings
		v.Set(reflect.MakeMap(v.Type()))
		d.mapping(n, at, nil, func(key string, value ast.Node, at string) bool {
			d.scalar(value, at, func(s string) error {
				v.SetMapIndex(reflect.ValueOf(key), reflect.ValueOf(s))
				return nil
			})
			return true
		})
	default:
		d.scalar(n, at, func(s string) error { return setScalar(v, s) })
	}
}

// setDefaults puts the defaults of the tags into a struct.
func setDefaults(v reflect.Value) {
	for f, field := range v.Fields() {
		value := f.Tag.Get("default")
		switch {
		case field.Kind() == reflect.Struct && f.Tag.Get("yaml") != "":
			setDefaults(field)
			continue
		case value == "" || field.Kind() == reflect.Slice: // there are none but empty ones
			continue
		case field.Kind() == reflect.Pointer:
			field.Set(reflect.New(f.Type.Elem()))
			field = field.Elem()
		}
		var err error
		if u, ok := reflect.TypeAssert[encoding.TextUnmarshaler](field.Addr()); ok {
			err = u.UnmarshalText([]byte(value))
		} else {
			err = setScalar(field, value)
		}
		if err != nil {
			panic(fmt.Sprintf("config: the default of %s: %v", f.Name, err))
		}
	}
}

func setScalar(v reflect.Value, s string) error {
	switch v.Kind() {
	case reflect.String:
		v.SetString(s)
		return nil
	case reflect.Bool:
		if s != "true" && s != "false" {
			return fmt.Errorf("%q: it must be true or false", s)
		}
		v.SetBool(s == "true")
		return nil
	case reflect.Int, reflect.Int64:
		i, err := strconv.ParseInt(s, 10, v.Type().Bits())
		v.SetInt(i)
		return reason(s, err)
	case reflect.Float64:
		x, err := strconv.ParseFloat(s, 64)
		v.SetFloat(x)
		return reason(s, err)
	}
	panic("config: no value of a file is a " + v.Type().String())
}

// reason says of an error of strconv what is wrong instead of which function says so.
func reason(s string, err error) error {
	if errors.Is(err, strconv.ErrSyntax) {
		return fmt.Errorf("%q: it must be a number", s)
	}
	if errors.Is(err, strconv.ErrRange) {
		return fmt.Errorf("%q: it is too large", s)
	}
	return err
}

// scalar gives set the text of what is neither a list nor a mapping.
func (d *decoder) scalar(n ast.Node, at string, set func(string) error) {
	s, ok := text(n)
	if !ok {
		d.fail(n, at, errors.New("it must be one value"+instead(n)))
		return
	}
	if err := set(s); err != nil {
		d.fail(n, at, err)
	}
}

// text is what a scalar says.
func text(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}

// instead says what is there in the place of what should be.
func instead(n ast.Node) string {
	switch n.(type) {
	case *ast.NullNode, nil:
		return ", but there is nothing"
	case *ast.MappingNode:
		return ", but there are keys and values"
	case *ast.SequenceNode:
		return ", but there is a list"
	}
	return ""
}

// fieldsOf are the keys of a struct.
func fieldsOf(t reflect.Type) []string {
	var keys []string
	for f := range t.Fields() {
		if key := f.Tag.Get("yaml"); key != "" {
			keys = append(keys, key)
		}
	}
	return keys
}

// fieldOf is the field of a key; the zero Value if there is none.
func fieldOf(v reflect.Value, key string) reflect.Value {
	for f, value := range v.Fields() {
		if f.Tag.Get("yaml") == key && key != "" {
			return value
		}
	}
	return reflect.Value{}
}

// absolute makes a path relative to the file that it is in.
func (d *decoder) absolute(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(d.dir, path)
}
