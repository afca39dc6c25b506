package payload

import (
	"testing"
	"unicode/utf16"
)

// Every place of every character within the eight bytes that are counted at once, against the standard library.
func TestUnits(t *testing.T) {
	characters := []string{"a", "é", "€", "😀", "\u007f", "\u0080", "\u07ff", "\u0800", "\uffff", "\U00010000", "\U0010ffff"}
	for _, a := range characters {
		for _, b := range characters {
			for before := range 9 {
				for between := range 9 {
					s := "12345678"[:before] + a + "12345678"[:between] + b + a + b + "the end"
					checkUnits(t, s)
				}
			}
		}
	}
	checkUnits(t, "")
}

func checkUnits(t *testing.T, s string) {
	t.Helper()
	all := utf16.Encode([]rune(s))
	if n := units([]byte(s)); n != len(all) {
		t.Fatalf("%q: %d units, not %d", s, n, len(all))
	}
	for n := range len(all) + 3 {
		size, missing := prefix([]byte(s), n)
		switch {
		case n > len(all):
			if size != len(s) || missing != n-len(all) {
				t.Fatalf("%q, %d units: %d bytes, %d missing", s, n, size, missing)
			}
		case n > 0 && n < len(all) && all[n] >= 0xDC00 && all[n] < 0xE000:
			if missing >= 0 {
				t.Fatalf("%q, %d units: %d bytes, %d missing", s, n, size, missing)
			}
		default:
			if want := string(utf16.Decode(all[:n])); missing != 0 || s[:size] != want {
				t.Fatalf("%q, %d units: %q, %d missing", s, n, s[:size], missing)
			}
		}
	}
}
