package jsonstring_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"baro.dev/internal/jsonstring"
)

func TestAppend(t *testing.T) {
	for s, want := range map[string]string{
		"":                    `""`,
		"plain":               `"plain"`,
		"<&>/'":               `"<&>/'"`,
		"\"\\\n\r\t":          `"\"\\\n\r\t"`,
		"\x00\x1f\b\f\x7f":    `"\u0000\u001f\u0008\u000c` + "\x7f" + `"`,
		"메세지\U0001f642\ufffd": `"메세지` + "\U0001f642\ufffd" + `"`,
		"a\u2028b\u2029c":     `"a\u2028b\u2029c"`,
		"a\xffb\xe2\x80c\xf0": `"a` + "\ufffd" + `b` + "\ufffd\ufffd" + `c` + "\ufffd" + `"`,
	} {
		if got := string(jsonstring.Append([]byte("x"), s)); got != "x"+want {
			t.Errorf("%q: %s, want %s", s, got, want)
		}
		if got := string(jsonstring.Append(nil, []byte(s))); got != want {
			t.Errorf("%q as bytes: %s, want %s", s, got, want)
		}
	}
}

// Whoever reads it gets what was written.
func FuzzAppend(f *testing.F) {
	f.Add("\x00\"\\\u2028\xff")
	f.Add("\xe2\x80\xed\xa0\x80")
	f.Fuzz(func(t *testing.T, s string) {
		var got string
		written := jsonstring.Append(nil, s)
		if err := json.Unmarshal(written, &got); err != nil || got != string([]rune(s)) {
			t.Errorf("%q: %s: %q, %v", s, written, got, err)
		}
		if bytes.ContainsAny(written, "\u2028\u2029\n") {
			t.Errorf("%q: %s has a line break", s, written)
		}
	})
}

func TestAllocations(t *testing.T) {
	dst := make([]byte, 0, 100)
	s := "a \"메세지\"\u2028\n"
	b := []byte(s)
	if n := testing.AllocsPerRun(100, func() { jsonstring.Append(dst, s); jsonstring.Append(dst, b) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAppend(b *testing.B) {
	for name, s := range map[string]string{"ascii": strings.Repeat("a plain text ", 20), "korean": strings.Repeat("메세지 ", 20)} {
		b.Run(name, func(b *testing.B) {
			dst := make([]byte, 0, 1000)
			b.SetBytes(int64(len(s)))
			for b.Loop() {
				jsonstring.Append(dst, s)
			}
		})
	}
}
