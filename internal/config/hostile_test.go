package config_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"baro.dev/internal/config"
)

// What files are that nobody meant to write, and what is said of each.
var hostile = map[string]string{
	// Keys.
	"listne: a":                            `baro.yml:1:1: listne: there is no such key: did you mean "listen"?`,
	"max-wait: 5s":                         `baro.yml:1:1: max-wait: there is no such key: did you mean "max_wait"?`,
	"history_count: 5":                     `baro.yml:1:1: history_count: there is no such key: did you mean history: {count: …}?`,
	"log.level: debug":                     `baro.yml:1:1: log.level: there is no such key: did you mean log: {level: …}?`,
	"log: {levle: debug}":                  `baro.yml:1:7: log.levle: there is no such key: did you mean "level"?`,
	"log: {colour: red}":                   `baro.yml:1:7: log.colour: there is no such key: there are level, format`,
	"listen: a\nlisten: b":                 "baro.yml:2:1: listen: it is there twice",
	"history: {count: 5, count: 6}":        "baro.yml:1:21: history.count: it is there twice",
	"history: {count: 5}\nhistory: {}":     "baro.yml:2:1: history: it is there twice",
	"channels: [{pattern: a, pattern: b}]": "baro.yml:1:25: channels[0].pattern: it is there twice",
	"null: a":                              "baro.yml:1:1: a key must be a plain word, but there is nothing",
	"? listen\n: a":                        "baro.yml:1:1: a key must be a plain word",

	// Values.
	"max_wait: 25":             `baro.yml:1:11: max_wait: "25": it must be a time with its unit, as 500ms, 90s, 5m or 24h`,
	"max_wait: 5d":             `baro.yml:1:11: max_wait: "5d": it must be a time with its unit, as 500ms, 90s, 5m or 24h`,
	"max_wait: ''":             `baro.yml:1:11: max_wait: "": it must be a time with its unit, as 500ms, 90s, 5m or 24h`,
	"max_wait: [5s]":           "baro.yml:1:11: max_wait: it must be one value, but there is a list",
	"max_wait: {s: 5}":         "baro.yml:1:12: max_wait: it must be one value, but there are keys and values",
	"max_wait: ~":              "baro.yml:1:11: max_wait: it must be one value, but there is nothing",
	"max_bytes: 1.5MiB":        `baro.yml:1:12: max_bytes: "1.5MiB": it must be a number of bytes, or a number and KiB, MiB or GiB`,
	"max_channels: 1.5":        `baro.yml:1:15: max_channels: "1.5": it must be a number`,
	"dev: True":                `baro.yml:1:6: dev: "True": it must be true or false`,
	"dev: on":                  `baro.yml:1:6: dev: "on": it must be true or false`,
	"log: {level: loud}":       `baro.yml:1:14: log.level: "loud": it must be debug, info, warn or error`,
	"log: {format: JSON}":      `baro.yml:1:15: log.format: "JSON": it must be text, json or auto`,
	"log: debug":               "baro.yml:1:6: log: it must have keys and values",
	"auth:":                    "baro.yml:1:7: auth: it must have keys and values, but there is nothing",
	"channels: {}":             "baro.yml:1:11: channels: it must be a list, but there are keys and values",
	"allow_origin: [[a]]":      "baro.yml:1:16: allow_origin[0]: it must be one value, but there is a list",
	"channels: [{echo: [no]}]": "baro.yml:1:19: channels[0].echo: it must be one value, but there is a list",

	// Text.
	"log:\n\tlevel: debug":                     "baro.yml:2:1: a tab indents nothing in YAML: use spaces",
	"\tlisten: a":                              "baro.yml:1:1: a tab indents nothing in YAML: use spaces",
	"listen: a\r\nmax_wait: 5x\r\n":            `baro.yml:2:11: max_wait: "5x": it must be a time with its unit, as 500ms, 90s, 5m or 24h`,
	"\ufefflistne: a":                          `baro.yml:1:1: listne: there is no such key: did you mean "listen"?`,
	"\xff\xfel\x00i\x00s\x00":                  "baro.yml:1:1: it is not UTF-8", // UTF-16
	"listen: a\nlog: {level: \xe9}":            "baro.yml:2:14: it is not UTF-8",
	"# é\nlisten: \"é\x00\"":                   "baro.yml:2:11: there is a control character (U+0000)",
	"listen: \x1b[31m":                         "baro.yml:1:9: there is a control character (U+001B)",
	"listen:a":                                 "baro.yml:1:1: it must have keys and values",
	"listen: a: b":                             "baro.yml:1:9: mapping value is not allowed in this context",
	"listen: 'a":                               "baro.yml:1:9: could not find end character of single-quoted text",
	"channels:\n  - pattern: a\n - pattern: b": "baro.yml:3:2: value is not allowed in this context",
	"listen: a\n---\nlisten: b":                "baro.yml:3:1: there is a second document in the file",

	// What refers to something else, and multiplies it.
	"a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]": "baro.yml:1:4: anchors, aliases, merges and tags are not taken",
	"channels:\n  - &a {pattern: a}\n  - *a":       "baro.yml:2:5: anchors, aliases, merges and tags are not taken",
	"log: {level: debug, <<: {format: json}}":      "baro.yml:1:21: anchors, aliases, merges and tags are not taken",
	"data: !!binary aGVsbG8=":                      "baro.yml:1:7: anchors, aliases, merges and tags are not taken",
	strings.Repeat("[", 40):                        "baro.yml:1:33: it is nested more than 32 deep",
	strings.Repeat("- ", 40):                       "baro.yml:1:65: it is nested more than 32 deep",
	strings.Repeat("a: ", 40):                      "baro.yml:1:98: it is nested more than 32 deep",
}

func TestHostile(t *testing.T) {
	for _, text := range slices.Sorted(maps.Keys(hostile)) {
		_, file, err := load(t, text, nil)
		got := strings.ReplaceAll(fmt.Sprint(err), file, "baro.yml")
		if got != hostile[text] {
			t.Errorf("%q:\n%s; want\n%s", text, got, hostile[text])
		}
	}
	for _, text := range []string{
		"", "\n", "# nothing", "---\n", "%YAML 1.2\n---\nlisten: ':9'", "\ufefflisten: ':9'", "listen: ':9'\r\nmax_wait: 5s\r\n", `{"listen": ":9", "max_wait": "5s"}`,
		"channels:\n- pattern: a\n- pattern: b\n", "\"listen\": \":9\" # and\n# so on\n", "listen: \":9\"\n...\n",
	} {
		if c, _, err := load(t, text, nil); err != nil || strings.Contains(text, ":9") && c.Server.Listen != ":9" || strings.Contains(text, "5s") && c.Server.MaxWait != 5*time.Second {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// A small file is refused soon, however much it asks for.
func TestBombs(t *testing.T) {
	const size = 1 << 17
	var deep, wide strings.Builder
	for i := 0; deep.Len() < size; i++ {
		deep.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	for i := 0; wide.Len() < size; i++ {
		fmt.Fprintf(&wide, "k%d: a\n", i)
	}
	for name, test := range map[string][2]string{
		"brackets":  {strings.Repeat("[", size), "nested more than 32"},
		"braces":    {strings.Repeat("{a: ", size/4), "nested more than 32"},
		"dashes":    {strings.Repeat("- ", size/2), "nested more than 32"},
		"questions": {strings.Repeat("? ", size/2), "nested more than 32"},
		"colons":    {strings.Repeat("a: ", size/3), "nested more than 32"},
		"depth":     {deep.String(), "nested more than 32"},
		"keys":      {wide.String(), "more than 1000 keys in one place"},
		"flow keys": {"{" + strings.ReplaceAll(wide.String(), "\n", ",") + "}", "more than 1000 keys in one place"},
		"anchors":   {strings.Repeat("&a ", size/3), "are not taken"},
		"tags":      {strings.Repeat("!a ", size/3), "are not taken"},
		"documents": {strings.Repeat("---\na: b\n", size/10), "a second document"},
		"items":     {"channels:\n" + strings.Repeat(" - a\n", size/5), "must have keys and values"},
		"commas":    {"channels: [" + strings.Repeat("a,", size/2) + "]", "must have keys and values"},
		"a word":    {strings.Repeat("a", size), "must have keys and values"},
		"length":    {strings.Repeat("#", 1<<20+1), "has more than 1048576 bytes"},
	} {
		began := time.Now()
		_, _, err := load(t, test[0], nil)
		if err == nil || !strings.Contains(err.Error(), test[1]) || len(err.Error()) > 1<<20 {
			t.Errorf("%s: %.300v; want %q", name, err, test[1])
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("%s: it took %v", name, took)
		}
	}
}

// What is no file is told as what it is.
func TestNoFile(t *testing.T) {
	dir := t.TempDir()
	tests := map[string]string{
		dir:                              "the configuration: " + dir + " is a directory",
		filepath.Join(dir, "nothing"):    "the configuration: open " + filepath.Join(dir, "nothing") + ": no such file or directory",
		filepath.Join(dir, "x", "y.yml"): "the configuration: open " + filepath.Join(dir, "x", "y.yml") + ": no such file or directory",
	}
	if runtime.GOOS == "linux" {
		tests["/dev/zero"] = "the configuration: /dev/zero has more than 1048576 bytes"
	}
	for name, want := range tests {
		var c config.Config
		flags := pflag.NewFlagSet("", pflag.ContinueOnError)
		c.Flags(flags)
		if err := c.Load(name, flags, os.LookupEnv); err == nil || runtime.GOOS != "windows" && err.Error() != want {
			t.Errorf("%v; want %s", err, want)
		}
	}
	_, _, err := load(t, "auth: {keys: [{secret_file: "+dir+"}]}", nil)
	if err == nil || !strings.Contains(err.Error(), "directory") {
		t.Errorf("a directory for a secret: %v", err)
	}
}
