package payload

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

func TestJSONP(t *testing.T) {
	for _, test := range []struct{ name, payload, want string }{
		{"captured, protocol 3",
			`118:0{"sid":"XE34Z-Q96Q0RrOXBAAAH","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`,
			`___eio[5]("118:0{\"sid\":\"XE34Z-Q96Q0RrOXBAAAH\",\"upgrades\":[\"websocket\"],\"pingInterval\":25000,\"pingTimeout\":20000,\"maxPayload\":1000000}");`},
		{"captured, the end", "1:61:1", `___eio[5]("1:61:1");`},
		{"protocol 4", "4a\x1ebAQI=", `___eio[5]("4a\u001ebAQI=");`},
		{"nothing", "", `___eio[5]("");`},
		{"escapes", "\b\f\n\r\t\"\\/\x00\x1f\x7f", `___eio[5]("\b\f\n\r\t\"\\/\u0000\u001f` + "\x7f" + `");`},
		{"what ends a line in JavaScript", "4a\u2028b\u2029", `___eio[5]("4a\u2028b\u2029");`},
		{"their neighbours", "\u2027\u202a€😀", "___eio[5](\"\u2027\u202a€😀\");"},
		{"what ends a script", "4</script><!--", `___eio[5]("4\u003c/script\u003e\u003c!--");`},
		{"not UTF-8", "4\xffa\xe2\x80", `___eio[5]("4\ufffda\ufffd\ufffd");`},
	} {
		got := string(AppendJSONP([]byte("before"), 5, []byte(test.payload)))
		if got != "before"+test.want {
			t.Errorf("%s: %s", test.name, got)
		}
		var back string
		quoted := strings.TrimSuffix(strings.TrimPrefix(got, "before___eio[5]("), ");")
		if err := json.Unmarshal([]byte(quoted), &back); err != nil || back != strings.ToValidUTF8(back, "\ufffd") ||
			test.name != "not UTF-8" && back != test.payload {
			t.Errorf("%s: %q is read as %q, %v", test.name, quoted, back, err)
		}
	}
}

func TestParseIndex(t *testing.T) {
	for j, want := range map[string]uint64{"0": 0, "5": 5, "007": 7, "999999999999999999": 999999999999999999} {
		if got, ok := ParseIndex(j); !ok || got != want {
			t.Errorf("%q: %d, %v", j, got, ok)
		}
	}
	for _, j := range []string{"", " 5", "-5", "+5", "5a", "5_0", "1e3", "0x5", "٥", "<script>", "5](alert(1));//", "1234567890123456789",
		strings.Repeat("1", 4096)} {
		if got, ok := ParseIndex(j); ok {
			t.Errorf("%.40q: %d", j, got)
		}
	}
}

func TestDecodeForm(t *testing.T) {
	for _, test := range []struct{ name, body, want string }{
		{"captured", "d=12%3A420%5B%22x%22%2C%22a%5Cnb%22%5D", "12:420[\"x\",\"a\nb\"]"},
		{"not escaped", "d=1:2", "1:2"},
		{"empty", "d=", ""},
		{"plus and space", "d=4a+b%20c%2Bd", "4a b c+d"},
		{"UTF-8", "d=4%E2%82%AC%f0%9f%98%80", "4€😀"},
		{"a line feed", `d=4a\nb`, "4a\nb"},
		{"backslash and n", `d=4a\\nb`, `4a\nb`},
		{"escaped backslash and n", `d=4a%5C%5Cnb`, `4a\nb`},
		{"two backslashes and n", `d=4a\\\nb`, `4a\\nb`},
		{"line feed and backslash and n", `d=\n\\n\n`, "\n\\n\n"},
		{"backslashes and others", `d=\t\\t\`, `\t\\t\`},
		{"other fields", "a=b&d=1:2&c", "1:2"},
		{"fields like it", "dd=1&D=2&d=1:2&=3&&", "1:2"},
		{"an escaped ampersand", "d=a%26d=b", "a&d=b"},
	} {
		got, err := DecodeForm([]byte(test.body))
		if err != nil || string(got) != test.want {
			t.Errorf("%s: %q, %v", test.name, got, err)
		}
	}
	for _, test := range []struct {
		name, body string
		offset     int
	}{
		{"nothing", "", 0},
		{"no field", "1:2", 0},
		{"no value", "d", 0},
		{"another", "e=1", 0},
		{"twice", "d=1&d=2", 4},
		{"bad escape", "a=1&d=1%zz", 7},
		{"bad escape, second digit", "d=%2z", 2},
		{"half an escape", "d=1%2", 3},
		{"a percent sign", "d=1%", 3},
	} {
		_, err := DecodeForm([]byte(test.body))
		var e *Error
		if !errors.As(err, &e) || e.Err != ErrForm || e.Offset != test.offset {
			t.Errorf("%s: %v, want byte %d", test.name, err, test.offset)
		}
	}
}

// The rule as the official server writes it: two replacements, one after the other.
func officialNewlines(s string) string {
	s = regexp.MustCompile(`(\\)?\\n`).ReplaceAllStringFunc(s, func(match string) string {
		if len(match) == 3 {
			return match
		}
		return "\n"
	})
	return strings.ReplaceAll(s, `\\n`, `\n`)
}

// What the official client does to text before it posts it.
func clientNewlines(s string) string {
	s = strings.ReplaceAll(s, `\n`, "\\\n")
	return strings.ReplaceAll(s, "\n", `\n`)
}

func TestNewlines(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		b := make([]byte, random.IntN(12))
		for i := range b {
			b[i] = "\\\\\nnn"[random.IntN(5)]
		}
		s := string(b)
		if got, want := string(unescapeNewlines([]byte(s))), officialNewlines(s); got != want {
			t.Fatalf("%q: %q, want %q", s, got, want)
		}
		// The client does not tell a backslash and a line feed from a backslash and an n; JSON has no such thing.
		if got := string(unescapeNewlines([]byte(clientNewlines(s)))); !strings.Contains(s, "\\\n") && got != s {
			t.Fatalf("%q: %q after the client and the server", s, got)
		}
		form := url.Values{"d": {clientNewlines(s)}}.Encode()
		if got, err := DecodeForm([]byte(form)); err != nil || string(got) != officialNewlines(clientNewlines(s)) {
			t.Fatalf("%q: %q, %v", form, got, err)
		}
	}
}
