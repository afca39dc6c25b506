package channel

import (
	"errors"
	"regexp"
	"strings"
	"testing"
)

func TestPattern(t *testing.T) {
	for _, test := range []struct{ pattern, matches, not string }{
		{"news", "news", "new newss news/a xnews"},
		{"*", "news 방", "a/b / a/"},
		{"**", "news a/b / //", ""},
		{"rooms/*", "rooms/42 rooms/", "rooms rooms/42/chat xrooms/42"},
		{"rooms/**", "rooms/42 rooms/ rooms/42/chat", "rooms xrooms/42"},
		{"rooms/*/chat", "rooms/42/chat rooms//chat", "rooms/chat rooms/4/2/chat rooms/42/chats"},
		{"**/chat", "a/chat a/b/chat /chat", "chat a/chat/b"},
		{"*-*", "a-b - a-b-c", "a a/-b a-b/"},
		{"**a*/b", "a/b xa/b x/ac/b aa/b", "b/b a/c/b"},
		{"@*", "@user @", "user a@"},
		{"a*a", "aa aba aaa", "a a/a"},
	} {
		p, err := ParsePattern(test.pattern)
		if err != nil || p.String() != test.pattern {
			t.Fatal(p, err)
		}
		for name := range strings.FieldsSeq(test.matches) {
			if !p.Match(name) {
				t.Errorf("%s does not match %s", p, name)
			}
		}
		for name := range strings.FieldsSeq(test.not) {
			if p.Match(name) {
				t.Errorf("%s matches %s", p, name)
			}
		}
	}
	if (Pattern{}).Match("") || (Pattern{}).Match("a") {
		t.Error("the zero pattern matches")
	}
}

func TestParsePatternRefuses(t *testing.T) {
	for _, text := range []string{"", "a***", "\x00", "a\nb", "\xff", strings.Repeat("a", 256), strings.Repeat("*a", 9)} {
		if p, err := ParsePattern(text); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %v, %v", text, p, err)
		}
	}
}

// A pattern is a regular expression, written otherwise.
func FuzzPattern(f *testing.F) {
	f.Add("rooms/*/**", "rooms/42/a/b")
	f.Add("**a**a**a**a**a**a**a**a", strings.Repeat("a", 200)+"b")
	f.Add("*a", "ba/a")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		p, err := ParsePattern(pattern)
		if err != nil || ValidateName(name) != nil {
			return
		}
		expression := regexp.QuoteMeta(pattern)
		expression = strings.ReplaceAll(expression, `\*\*`, `(?s:.*)`)
		expression = strings.ReplaceAll(expression, `\*`, `[^/]*`)
		if want := regexp.MustCompile(`^` + expression + `$`).MatchString(name); p.Match(name) != want {
			t.Errorf("%q matches %q: %v", pattern, name, !want)
		}
	})
}
