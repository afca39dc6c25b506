package config

import (
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
)

// Where values come from.
const (
	FromDefault     = "default"
	FromFile        = "file"
	FromEnvironment = "environment"
	FromFlag        = "flag"
)

// An Origin is where a value comes from.
type Origin struct {
	From string `json:"from"`
	At   string `json:"at,omitempty"` // "baro.yml:12", "BARO_LISTEN", "--listen"; "" for a default
	File string `json:"-"`            // that the variable names; "" for none
}

func (o Origin) String() string {
	switch o.From {
	case FromDefault, "":
		return FromDefault
	case FromEnvironment:
		return o.At + " in the environment"
	}
	return o.At
}

// A Setting is what holds for a key.
type Setting struct {
	Key   string // "history.count", "channels[0].pattern"
	Value string // as a file has it, "" for none; secrets are "(set)"
	Origin
	described *Key
}

// JSON is the value as JSON has it: a text, a number, true or false, a list of texts; nil for none.
func (s Setting) JSON() any {
	if s.Value == "" {
		return nil
	}
	return fromYAML(s.Value)
}

// hidden is what is told of a secret.
const hidden = "(set)"

// Settings are the values of all keys, as [Config.Load] left them with these flags.
func (c *Config) Settings(flags *pflag.FlagSet) []Setting {
	var all settings
	all.origins = c.origins
	v := reflect.ValueOf(&c.file).Elem()
	for _, k := range Keys() {
		if k.Flag != "" {
			f := flags.Lookup(strings.TrimPrefix(k.Flag, "--"))
			all.add(&k, k.Name, flagText(&k, f), c.flagOrigin(k.Name, f))
			continue
		}
		all.walk(&k, k.Name, fieldOf(v, k.Name))
	}
	for _, secret := range Variables() {
		if o, ok := c.origins[secret.Name]; ok {
			all.list = append(all.list, Setting{Key: secret.Name, Value: hidden, Origin: o})
		}
	}
	return all.list
}

func (c *Config) flagOrigin(key string, f *pflag.Flag) Origin {
	switch o, inFile := c.origins[key]; {
	case f.Annotations[noteVariable] != nil:
		return Origin{From: FromEnvironment, At: f.Annotations[noteVariable][0]}
	case f.Changed:
		return Origin{From: FromFlag, At: "--" + f.Name}
	case inFile:
		return o
	}
	return Origin{From: FromDefault}
}

func flagText(k *Key, f *pflag.Flag) string {
	text := f.Value.String()
	if list, ok := f.Value.(pflag.SliceValue); ok {
		return listText(list.GetSlice())
	}
	switch k.Kind {
	case KindText, KindFile, KindDirectory:
		return textOf(text)
	}
	return text
}

// settings collects them.
type settings struct {
	list    []Setting
	origins map[string]Origin
}

func (s *settings) add(k *Key, at, value string, o Origin) {
	if k.Secret && k.Kind != KindFile && value != "" {
		value = hidden
	}
	s.list = append(s.list, Setting{at, value, o, k})
}

// walk adds what is at a place, and within it; where nothing is said: the default.
func (s *settings) walk(k *Key, at string, v reflect.Value) {
	o, given := s.origins[at]
	if v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	switch {
	case k.Kind == KindObject && v.Kind() == reflect.Struct:
		for i := range k.Keys {
			s.walk(&k.Keys[i], join(at, k.Keys[i].Name), fieldOf(v, k.Keys[i].Name))
		}
	case k.Kind == KindList && k.Item.Kind == KindObject && v.Len() > 0:
		for i := range v.Len() {
			s.walk(k.Item, fmt.Sprintf("%s[%d]", at, i), v.Index(i))
		}
	case given:
		s.add(k, at, valueText(v), o)
	case k.Default != "" || k.Section != "":
		s.add(k, at, k.Default, Origin{From: FromDefault})
	}
}

// valueText is a value of the file as a file has it.
func valueText(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case duration:
		return x.String()
	case size:
		return formatSize(int64(x))
	case pattern:
		return textOf(x.String())
	case map[string]string:
		return hidden
	}
	switch v.Kind() {
	case reflect.Slice:
		var texts []string
		for i := range v.Len() {
			if p, ok := reflect.TypeAssert[pattern](v.Index(i)); ok {
				texts = append(texts, p.String())
			} else {
				texts = append(texts, v.Index(i).String())
			}
		}
		return listText(texts)
	case reflect.String:
		return textOf(v.String())
	case reflect.Bool:
		return strconv.FormatBool(v.Bool())
	case reflect.Float64:
		return strconv.FormatFloat(v.Float(), 'g', -1, 64)
	case reflect.Int:
		return strconv.FormatInt(v.Int(), 10)
	}
	return ""
}

func listText(texts []string) string {
	if len(texts) == 0 {
		return ""
	}
	texts = slices.Clone(texts)
	for i, t := range texts {
		texts[i] = textOf(t)
	}
	return "[" + strings.Join(texts, ", ") + "]"
}

// textOf is a text as a file has it, without what is secret of a URL: names, passwords, and what a query says.
func textOf(text string) string {
	if text == "" {
		return ""
	}
	if strings.Contains(text, "://") && strings.ContainsAny(text, "@?") {
		u, err := url.Parse(text)
		if err != nil {
			return hidden
		}
		if u.User != nil {
			u.User = url.User("REDACTED")
		}
		if u.RawQuery != "" {
			u.RawQuery = "REDACTED"
		}
		text = u.String()
	}
	return quote(text)
}
