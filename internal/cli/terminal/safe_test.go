package terminal_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"baro.dev/internal/cli/terminal"
)

func ExampleSafe() {
	fmt.Println(string(terminal.Safe(nil, []byte("caf\u00e9 \x1b[2J\x07 \u202eevil \xff"))))
	// Output: café \x1b[2J\x07 \u202eevil \xff
}

func TestSafe(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"text", "hello, wörld 안녕 👩‍👩‍👧", "hello, wörld 안녕 👩‍👩‍👧"},
		{"newlines and tabs", "a\n\tb\n", "a\n\tb\n"},
		{"carriage return", "visible\rhidden", `visible\x0dhidden`},
		{"backspace", "rm\b\bls", `rm\x08\x08ls`},
		{"CSI", "\x1b[31mred\x1b[2J\x1b[H", `\x1b[31mred\x1b[2J\x1b[H`},
		{"CSI that asks the terminal to answer", "\x1b[6n\x1b[c\x05", `\x1b[6n\x1b[c\x05`},
		{"OSC 0, the title", "\x1b]0;owned\x07", `\x1b]0;owned\x07`},
		{"OSC 8, a link", "\x1b]8;;http://evil/\x1b\\good\x1b]8;;\x1b\\", `\x1b]8;;http://evil/\x1b\good\x1b]8;;\x1b\`},
		{"OSC 52, the clipboard", "\x1b]52;c;cm0gLXJmIH4=\x07", `\x1b]52;c;cm0gLXJmIH4=\x07`},
		{"DCS", "\x1bP$q\"p\x1b\\", `\x1bP$q"p\x1b\`},
		{"C1 as UTF-8", "\u009b31m\u009d0;x\u009c\u0090\u0085", `\u009b31m\u009d0;x\u009c\u0090\u0085`},
		{"C1 as a byte", "\x9b31m\x90", `\x9b31m\x90`},
		{"NUL, DEL, shift", "\x00\x7f\x0e\x0f", `\x00\x7f\x0e\x0f`},
		{"bidi overrides", "\u202ea\u202c\u2066b\u2069\u200f\u061c", `\u202ea\u202c\u2066b\u2069\u200f\u061c`},
		{"line separators", "a\u2028b\u2029", `a\u2028b\u2029`},
		{"what cannot be seen", "a\u200bb\ufeff\u00ad\U000e0041", `a\u200bb\ufeff\u00ad\U000e0041`},
		{"overlong and surrogates", "\xc0\x9b\xed\xa0\x80\xf5", `\xc0\x9b\xed\xa0\x80\xf5`},
		{"overlong escape", "\xe0\x80\x9b[2J", `\xe0\x80\x9b[2J`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := string(terminal.Safe([]byte("before "), []byte(c.in))); got != "before "+c.want {
				t.Errorf("Safe(%q)\n got %s\nwant before %s", c.in, got, c.want)
			}
		})
	}
}

// What is cut anywhere, as by a limit, is as harmless as the whole.
func TestSafeCutAtEveryByte(t *testing.T) {
	hostile := "é\u009b안\u202e\U000e0041👩‍👧\x1b]52;c;\u009c\x1b\\ü"
	for from := range len(hostile) {
		for to := from; to <= len(hostile); to++ {
			out := terminal.Safe(nil, []byte(hostile[from:to]))
			checkHarmless(t, out)
		}
	}
}

func TestSafeLine(t *testing.T) {
	const in, want = "a\r\n\tb\x1b[0m", `a\r\n\tb\x1b[0m`
	if got := terminal.SafeLine(in); got != want {
		t.Errorf("SafeLine(%q) = %s, want %s", in, got, want)
	}
}

func FuzzSafe(f *testing.F) {
	for _, s := range []string{"", "text\n\t", "\x1b[2J\x1b]52;c;eA==\x07", "\u009b31m", "\x9b", "\u202e\u2066", "\xe2\x80", "\xf0\x9f\x91", "안녕 👩‍👧"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		out := terminal.Safe(nil, in)
		checkHarmless(t, out)
		if again := terminal.Safe(nil, out); string(again) != string(out) {
			t.Errorf("Safe changes what is safe: %q to %q", out, again)
		}
		line := terminal.SafeLine(string(in))
		checkHarmless(t, []byte(line))
		if strings.ContainsAny(line, "\n\t") {
			t.Errorf("SafeLine(%q) = %q, not one line", in, line)
		}
	})
}

func checkHarmless(t *testing.T, out []byte) {
	t.Helper()
	if !utf8.Valid(out) {
		t.Fatalf("not UTF-8: %q", out)
	}
	for _, r := range string(out) {
		if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) {
			t.Fatalf("%q contains %U", out, r)
		}
	}
}
