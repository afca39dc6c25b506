package jsonstring_test

import (
	"encoding/json"
	"strings"
	"testing"

	"baro.dev/internal/jsonstring"
)

func TestLoneSurrogate(t *testing.T) {
	for text, want := range map[string]int{
		`"plain"`:                    -1,
		`"\u00e9\n\\ud800"`:          -1,
		`"\\\\ud800"`:                -1,
		`"\ud83d\ude42\uD83D\uDE42"`: -1,
		`"\ud800"`:                   1,
		`"a\udc00"`:                  2,
		`"\ude42\ud83d"`:             1,
		`"\ud83d \ude42"`:            1,
		`"\ud83d\n"`:                 1,
		`"\ud83d\ud83d\ude42"`:       1,
		`"\ud83d\u0041"`:             1,
		`"\\\ud800"`:                 3,
		`["\ud83d","\ude42"]`:        2,
		`{"\ud800":1}`:               2,
		``:                           -1,
	} {
		if got := jsonstring.LoneSurrogate([]byte(text)); got != want {
			t.Errorf("%s: %d, want %d", text, got, want)
		}
	}
}

// There is one wherever the decoder replaces what it cannot take.
func FuzzLoneSurrogate(f *testing.F) {
	f.Add(`\ud83d\ude42`)
	f.Add(`\ud83d\\\ude42`)
	f.Fuzz(func(t *testing.T, text string) {
		text = `"` + strings.ToValidUTF8(strings.ReplaceAll(text, "\ufffd", ""), "") + `"`
		var s string
		at := jsonstring.LoneSurrogate([]byte(text))
		if json.Unmarshal([]byte(text), &s) != nil {
			return
		}
		if replaced := strings.Count(s, "\ufffd") > strings.Count(strings.ToLower(text), `\ufffd`); replaced != (at >= 0) {
			t.Errorf("%s: %d, decoded to %q", text, at, s)
		}
	})
}
