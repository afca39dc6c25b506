package config

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// plain is a text that YAML takes for itself without quotes.
var plain = regexp.MustCompile(`^[A-Za-z/][A-Za-z0-9/._-]*(:[A-Za-z0-9/._-]+)*$`)

// quote writes a text as a file has it.
func quote(text string) string {
	switch strings.ToLower(text) {
	case "true", "false", "null", "yes", "no", "on", "off", "y", "n":
	default:
		if plain.MatchString(text) {
			return text
		}
	}
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err) // no text is none of JSON
	}
	return string(quoted)
}

// shortDuration is a time as people write it: "5m" for "5m0s".
func shortDuration(text string) string {
	if short, ok := strings.CutSuffix(text, "m0s"); ok {
		text = short + "m"
	}
	if short, ok := strings.CutSuffix(text, "h0m"); ok {
		text = short + "h"
	}
	return text
}

// Example is a file with every key that has a default or an example.
func Example() string {
	var w strings.Builder
	w.WriteString("# Every key there is. Leave out what is not for you: the files that are named here have to be there.\n\n")
	section, group := "", ""
	for i, k := range Keys() {
		if k.Section != section {
			section, group = k.Section, ""
			if i > 0 {
				w.WriteByte('\n')
			}
			if k.Flag != "" {
				fmt.Fprintf(&w, "# %s.\n", section)
			}
		}
		name, indent := k.Name, ""
		if g, rest, ok := strings.Cut(k.Name, "."); ok {
			if g != group {
				fmt.Fprintf(&w, "%s:\n", g)
			}
			group, name, indent = g, rest, "  "
		} else {
			group = ""
		}
		k.Name = name
		k.write(&w, indent, indent)
	}
	return w.String()
}

// write writes a key into an example; the first line begins with first, the others with indent.
func (k *Key) write(w *strings.Builder, first, indent string) {
	value, note := k.Default, k.Meaning
	switch {
	case k.Example != "":
		value = k.Example
	case value == "" && k.Kind == KindObject:
		writeLine(w, first+k.Name+":", note)
		writeKeys(w, k.Keys, indent+"  ", indent+"  ")
		return
	case value == "" && k.Kind == KindList && k.Item.Kind == KindObject:
		writeLine(w, first+k.Name+":", note)
		writeKeys(w, k.Item.Keys, indent+"  - ", indent+"    ")
		return
	case value == "":
		return
	}
	writeLine(w, first+k.Name+": "+value, note)
}

func writeKeys(w *strings.Builder, keys []Key, first, indent string) {
	for i := range keys {
		before := w.Len()
		keys[i].write(w, first, indent)
		if w.Len() > before {
			first = indent
		}
	}
}

// commentColumn is where comments begin.
const commentColumn = 42

func writeLine(w *strings.Builder, line, note string) {
	if note != "" {
		line = fmt.Sprintf("%-*s # %s", commentColumn-1, line, withoutLinks(note))
	}
	w.WriteString(line + "\n")
}

var link = regexp.MustCompile(`\[[^\]]*\]\(([^)]*)\)`)

// withoutLinks makes plain text of Markdown.
func withoutLinks(s string) string {
	return strings.ReplaceAll(link.ReplaceAllString(s, "docs/$1"), "`", "")
}
