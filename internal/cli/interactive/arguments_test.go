package interactive

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

func TestParseArguments(t *testing.T) {
	for in, want := range map[string]string{
		"":                       `[]`,
		"  ":                     `[]`,
		"1 true null":            `[1,true,null]`,
		"hello world":            `["hello","world"]`,
		`"hello world" {"a": 1}`: `["hello world",{"a":1}]`,
		"[1, 2][3]":              `[[1,2],[3]]`,
		"12abc 1.2.3 -":          `["12abc","1.2.3","-"]`,
		"nullable tru":           `["nullable","tru"]`,
		"<b>&":                   `["<b>&"]`,
		"]":                      `["]"]`,
		"a\n\tb":                 `["a","b"]`,
	} {
		got, err := parseArguments(in)
		if err != nil || string(got) != want {
			t.Errorf("parseArguments(%q) = %s, %v; want %s", in, got, err, want)
		}
	}
	for _, in := range []string{`{`, `{"a"}`, `[1,`, `"open`, `a {b}`} {
		if got, err := parseArguments(in); err == nil {
			t.Errorf("parseArguments(%q) = %s", in, got)
		}
	}
}

func FuzzArguments(f *testing.F) {
	f.Add(`hello 12abc {"a": [1, "x"]} "y z" ] `)
	f.Add("\x1b\u0085\u202e \xff -1e5")
	f.Fuzz(func(t *testing.T, in string) {
		if got, err := parseArguments(in); err == nil && (!json.Valid(got) || got[0] != '[') {
			t.Errorf("parseArguments(%q) = %s", in, got)
		}
		_, _, _ = parseWord(in)
	})
}

func TestParseBinary(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bytes")
	if err := os.WriteFile(file, []byte("\x00file"), 0o600); err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]string{
		"":                 "",
		"00ff":             "\x00\xff",
		"00 ff\t0A:0b":     "\x00\xff\x0a\x0b",
		"0xDE 0xAD":        "\xde\xad",
		"hex:beef":         "\xbe\xef",
		"base64:beef":      "m\xe7\x9f",
		"aGVsbG8=":         "hello",
		"aGVsbG8":          "hello",
		"base64:_-8":       "\xff\xef",
		"@" + file:         "\x00file",
		"base64:aGVsbG8==": "hello",
	} {
		got, err := parseBinary(in)
		if err != nil || string(got) != want {
			t.Errorf("parseBinary(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"hex:0", "hex:xy", "base64:a", "what is that", "@", "@" + t.TempDir(), "@" + file + ".not"} {
		if got, err := parseBinary(in); err == nil {
			t.Errorf("parseBinary(%q) = %q", in, got)
		}
	}
}

func TestFileTooLarge(t *testing.T) {
	file := filepath.Join(t.TempDir(), "large")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, maxFile+1); err != nil {
		t.Fatal(err)
	}
	if b, err := readFile(file); err == nil {
		t.Errorf("%d bytes are read", len(b))
	}
}

func TestWrap(t *testing.T) {
	if got := wrap("one two three fourteen 안녕 세계", 9); got != "one two\nthree\nfourteen\n안녕 세계" {
		t.Errorf("%q", got)
	}
	if got := wrap("a bc", -1); got != "a\nbc" {
		t.Errorf("%q", got)
	}
}

func TestRoundsAndCounts(t *testing.T) {
	var b bytes.Buffer
	for _, n := range []int{0, 1, 999, 1000, 1234567} {
		b.WriteString(count(n, "byte") + "; ")
	}
	if got := b.String(); got != "0 bytes; 1 byte; 999 bytes; 1,000 bytes; 1,234,567 bytes; " {
		t.Error(got)
	}
}
