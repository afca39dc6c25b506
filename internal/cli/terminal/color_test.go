package terminal_test

import (
	"bytes"
	"testing"

	"baro.dev/internal/cli/terminal"
)

func TestColors(t *testing.T) {
	var w terminal.When
	if w.String() != "auto" {
		t.Errorf("the zero value is %s", w.String())
	}
	if err := w.Set("sometimes"); err == nil {
		t.Error("--color sometimes is accepted")
	}
	for _, c := range []struct {
		when string
		want string
	}{
		{"auto", "x"}, // into a buffer, which is no terminal
		{"never", "x"},
		{"always", "\x1b[31mx\x1b[m"},
	} {
		if err := w.Set(c.when); err != nil {
			t.Fatal(err)
		}
		colors := w.Colors(new(bytes.Buffer))
		if got := colors.Paint(terminal.Red, "x"); got != c.want {
			t.Errorf("--color %s: %q, want %q", c.when, got, c.want)
		}
		if got := string(colors.Append([]byte("a"), terminal.Red, []byte("x"))); got != "a"+c.want {
			t.Errorf("--color %s: appended %q", c.when, got)
		}
	}
}

func TestWidth(t *testing.T) {
	for text, want := range map[string]int{"": 0, "abc": 3, "안녕": 4, "e\u0301": 1, "\x1b[1;31mred\x1b[0m": 3, "日本": 4, "ᄒ\u1161\u11ab": 2, "👍": 2, "👍\U0001F3FD": 2, "👨\u200d👩\u200d👧": 2, "\U0001F1F0\U0001F1F7": 2, "\u0e01\u0e33": 2, "…→": 2} {
		if got := terminal.Width(text); got != want {
			t.Errorf("Width(%q) = %d, want %d", text, got, want)
		}
	}
}
