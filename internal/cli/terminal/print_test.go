package terminal_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"baro.dev/internal/cli/terminal"
)

func TestJSON(t *testing.T) {
	for _, c := range []struct {
		name, in string
		columns  int
		want     string
	}{
		{"fits", ` {"a" : [1,2, {}] ,"b":null} `, 80, `{"a": [1, 2, {}], "b": null}`},
		{"does not fit", `{"name":"kim","tags":["one","two"],"nothing":[ ],"deep":{"list":[1,2,3,4,5,6,7,8,9,10]}}`, 24, `{
  "name": "kim",
  "tags": ["one", "two"],
  "nothing": [],
  "deep": {
    "list": [
      1,
      2,
      3,
      4,
      5,
      6,
      7,
      8,
      9,
      10
    ]
  }
}`},
		{"strings with brackets", `["}", "\"]\\"]`, 80, `["}", "\"]\\"]`},
		{"hostile strings", "[\"\u009b31m\u202e\x7f\xff\"]", 80, `["\u009b31m\u202e\x7f\xff"]`},
		{"wide characters count", `["안녕하세요","안녕하세요"]`, 24, "[\n  \"안녕하세요\",\n  \"안녕하세요\"\n]"},
		{"exactly", `[1234567]`, 9, `[1234567]`},
		{"one column", `[1]`, 1, "[\n1\n]"},
		{"less than one column", `[1]`, -5, "[\n1\n]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, ok := terminal.Colors{}.JSON([]byte("x"), []byte(c.in), c.columns)
			if !ok || string(got) != "x"+c.want {
				t.Errorf("%v, got\n%s\nwant\nx%s", ok, got, c.want)
			}
		})
	}
	for _, in := range []string{"", " ", "1", `"text"`, "{", "[1,]", "[1] 2", "hello"} {
		if got, ok := (terminal.Colors{}).JSON(nil, []byte(in), 80); ok || got != nil {
			t.Errorf("JSON(%q) = %q", in, got)
		}
	}
}

func TestJSONInColour(t *testing.T) {
	w := terminal.Always
	got, _ := w.Colors(new(bytes.Buffer)).JSON(nil, []byte(`{"a":["b",1,true]}`), 80)
	const want = "{\x1b[34m\"a\"\x1b[m: [\x1b[32m\"b\"\x1b[m, \x1b[36m1\x1b[m, \x1b[35mtrue\x1b[m]}"
	if string(got) != want {
		t.Errorf("got %q", got)
	}
}

// Nesting costs no more than its brackets and a bounded indentation.
func TestJSONNestedDeeply(t *testing.T) {
	in := strings.Repeat("[", 9000) + strings.Repeat("]", 9000)
	got, ok := terminal.Colors{}.JSON(nil, []byte(in), 80)
	if !ok || len(got) > 100*len(in) {
		t.Errorf("%v, %d bytes of %d", ok, len(got), len(in))
	}
}

func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"a":[1,{"b":"\u001b"},[],{}],"c":-1.5e3}`), 20)
	f.Add([]byte("[\"\\\"\u009b\", \xff]"), 1)
	f.Fuzz(func(t *testing.T, in []byte, columns int) {
		columns = max(1, columns%200)
		out, ok := terminal.Colors{}.JSON(nil, in, columns)
		if !ok {
			return
		}
		checkHarmless(t, out)
		var before, after bytes.Buffer
		if bytes.Equal(terminal.Safe(nil, in), in) { // else escapes were added
			if json.Compact(&before, in) != nil || json.Compact(&after, out) != nil || before.String() != after.String() {
				t.Errorf("%q became %q", in, out)
			}
		}
	})
}

func TestHex(t *testing.T) {
	in := []byte("hello, \x00\x1b[2J\xff and on")
	for columns, want := range map[int]string{
		80: "00000000  68 65 6c 6c 6f 2c 20 00 1b 5b 32 4a ff 20 61 6e  |hello, ..[2J. an|\n" +
			"00000010  64 20 6f 6e                                      |d on|\n",
		50: "00000000  68 65 6c 6c 6f 2c 20 00  |hello, .|\n" +
			"00000008  1b 5b 32 4a ff 20 61 6e  |.[2J. an|\n" +
			"00000010  64 20 6f 6e              |d on|\n",
		20: "0000  68 65 6c 6c\n0004  6f 2c 20 00\n0008  1b 5b 32 4a\n000c  ff 20 61 6e\n0010  64 20 6f 6e\n",
	} {
		if got := string(terminal.Colors{}.Hex(nil, in, columns)); got != want {
			t.Errorf("%d columns:\n%s", columns, got)
		}
	}
	for columns := range 100 {
		for line := range strings.Lines(string(terminal.Colors{}.Hex(nil, in, columns))) {
			if len(line) > max(10, columns) {
				t.Errorf("%d columns: %q", columns, line)
			}
		}
	}
}
