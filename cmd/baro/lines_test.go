package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// word is one of a shell's line, or what ends a command there.
var word = regexp.MustCompile(`(?:[^\s'"|;&<>()]|'[^']*'|"[^"]*")+|[|;&<>()\n]`)

// linesOf are the calls of baro in a text, as words without their quotes.
func linesOf(text string) (all [][]string) {
	text = strings.ReplaceAll(text, "\\\n", " ")
	for _, at := range regexp.MustCompile(`(?m)(?:^|[|;&(] *|^ *\$ |^ +)baro [a-z]`).FindAllStringIndex(text, -1) {
		rest := text[at[0]:at[1]-1] + text[at[1]-1:]
		rest = rest[strings.Index(rest, "baro "):]
		rest, _, _ = strings.Cut(rest, "\n")
		rest, _, _ = strings.Cut(rest, " #")
		var words []string
		for _, w := range word.FindAllString(rest, -1) {
			if strings.ContainsAny(w[:1], "|;&<>()\n") {
				break
			}
			words = append(words, strings.NewReplacer("'", "", `"`, "").Replace(w))
		}
		all = append(all, words)
	}
	return all
}

// each calls f with a command and all below it.
func each(c *cobra.Command, f func(*cobra.Command)) {
	f(c)
	for _, sub := range c.Commands() {
		each(sub, f)
	}
}

// What the pages and the help say one may call there is.
func TestLines(t *testing.T) {
	texts := map[string]string{}
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range append(pages, "../../README.md", "../../README.ko.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		// Sentences talk of baro, too: only what is set as code counts.
		var code strings.Builder
		for _, block := range regexp.MustCompile("(?ms)^```(?:sh|console)?\n(.*?)^```|^((?:    .*\n)+)").FindAllStringSubmatch(string(text), -1) {
			code.WriteString(block[1] + block[2])
		}
		texts[page] = code.String()
	}
	each(newRoot(), func(c *cobra.Command) {
		texts[c.CommandPath()+" --help"] = c.Example
		if c.Short == "" || c.Long == "" || c.Example == "" {
			t.Errorf("%s --help has no short text, no long one, or no example", c.CommandPath())
		}
	})
	n := 0
	for name, text := range texts {
		for _, line := range linesOf(text) {
			n++
			c, rest, err := newRoot().Find(line[1:])
			if err == nil && c.Parent() == nil {
				err = usageError{os.ErrNotExist}
			}
			if err == nil {
				err = c.ParseFlags(rest)
			}
			if err != nil && !strings.Contains(err.Error(), "help requested") {
				t.Errorf("%s: %q: %v", name, line, err)
			}
		}
	}
	if n < 100 {
		t.Errorf("%d lines were found", n)
	}
}
