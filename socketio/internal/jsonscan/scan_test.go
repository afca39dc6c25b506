package jsonscan

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
)

var texts = []string{
	``, ` `, `null`, `true`, `false`, `nul`, `nulll`, `tru `, `0`, `-`, `-0`, `01`, `1.`, `.1`, `1.5`, `1e`, `1e+`, `1E-07`, `1e5.`, `+1`,
	`""`, `"a"`, `"`, `"\`, `"\"`, `"\\"`, `"\u00e9\/\b\f\n\r\t"`, `"\u00g0"`, `"\u12"`, `"\x"`, "\"\n\"", "\"\x1f\"", "\"\x7f\xff\"",
	`[]`, `[ ]`, `[1]`, `[1,]`, `[,1]`, `[1 2]`, `[1`, `]`, `[}`, `[[[]],[{}]]`, `[1 , 2 ]`,
	`{}`, `{ }`, `{"a":1}`, `{"a" : {"b":[1,{"c":null}]} , "d":""}`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{1:1}`, `{"a":1 "b":2}`, `{]`, `{"a":1`, `{,}`,
	`[1]]`, `[1] x`, "\v1", "\u00a01", `{"a":1}}`, `"12345678"`, `"1234567\n"`, "\"1234567\n\"", `"123456789abcdef`, `"12345678\"12345678"`,
	`[{"_placeholder":true,"num":0},{"x":[{"num":1,"_placeholder":true}]}]`,
}

func whole(s string) error {
	end, err := Value(s, Space(s, 0))
	if err == nil && Space(s, end) != len(s) {
		return errors.New("something behind the value")
	}
	return err
}

func TestValue(t *testing.T) {
	for _, s := range texts {
		check(t, s)
	}
	for _, n := range []int{1, 64, 255, 256, 257, 1000, MaxDepth, MaxDepth + 1} {
		check(t, strings.Repeat("[", n)+strings.Repeat("]", n))
		check(t, strings.Repeat("[", n-1)+"7"+strings.Repeat("]", n-1))
		check(t, strings.Repeat("[", n))
		check(t, strings.Repeat(`{"a":`, n)+"1"+strings.Repeat("}", n))
		check(t, strings.Repeat(`[{"a":`, n/2)+"1"+strings.Repeat("}]", n/2))
		check(t, strings.Repeat(`[{"a":`, n/2)+"1"+strings.Repeat("]}", n/2))
	}
	all := `{"a\u00e9" : [1.5e-3, -0, true, false, null, "\\\"", {"b": [ ]}], "12345678901234567890": ""}`
	for i := range len(all) {
		check(t, all[:i])
		for _, c := range []byte{0, '"', '\\', '[', '}', ',', ':', '0', 'e', 0x80} {
			check(t, all[:i]+string([]byte{c})+all[i:])
			check(t, all[:i]+string([]byte{c})+all[i+1:])
		}
	}
}

// check holds the scanner against encoding/json.
func check(t *testing.T, s string) {
	t.Helper()
	err := whole(s)
	if valid := json.Valid([]byte(s)); valid != (err == nil) {
		t.Fatalf("%.200q: encoding/json says %v, this one %v", s, valid, err)
	}
	if err != nil {
		if wrong, ok := errors.AsType[*SyntaxError](err); ok && (wrong.Offset > len(s) || wrong.Offset < 0) {
			t.Fatalf("%.200q: %v", s, err)
		}
		return
	}
	start := Space(s, 0)
	end, _ := Value(s, start)
	if got := Skip(s, start); got != end {
		t.Fatalf("%.200q: ends at %d, and Skip says %d", s, end, got)
	}
	var v any
	if err := json.Unmarshal([]byte(s), &v); err != nil {
		return // a number that is too large
	}
	if text, ok := v.(string); ok && strings.ToValidUTF8(Unquote(s[start:end]), "\ufffd") != strings.ToValidUTF8(text, "\ufffd") {
		// Runs of wrong bytes become one replacement here and several there.
		if strings.Contains(s, "\\") || strings.ToValidUTF8(s, "") == s {
			t.Fatalf("%q says %q, and Unquote %q", s, text, Unquote(s[start:end]))
		}
	}
	var numbers []int
	last := start
	for _, p := range Placeholders(nil, s, start) {
		if p.Start < last || p.End > end || s[p.Start] != '{' || s[p.End-1] != '}' {
			t.Fatalf("%.200q: a placeholder from %d to %d", s, p.Start, p.End)
		}
		last = p.End
		numbers = append(numbers, p.Number)
	}
	want := placeholders(nil, v)
	slices.Sort(numbers)
	slices.Sort(want)
	if !slices.Equal(numbers, want) {
		t.Fatalf("%.200q: placeholders %v, want %v", s, numbers, want)
	}
}

// placeholders looks for them in what was decoded, as the official decoder does.
func placeholders(numbers []int, v any) []int {
	switch v := v.(type) {
	case []any:
		for _, v := range v {
			numbers = placeholders(numbers, v)
		}
	case map[string]any:
		if v["_placeholder"] == true {
			if f, ok := v["num"].(float64); ok && f >= 0 && f < 1<<20 && f == float64(int(f)) {
				return append(numbers, int(f))
			}
			return append(numbers, -1)
		}
		for _, v := range v {
			numbers = placeholders(numbers, v)
		}
	}
	return numbers
}

func FuzzValue(f *testing.F) {
	for _, s := range texts {
		f.Add(s)
	}
	f.Add(`{"_placeholder":true,"num":1,"num":2,"x":{"_placeholder":true}}`)
	f.Add(`[{"\u005fplaceholder":true,"n\u0075m":1e0},{"_placeholder":false,"num":3}]`)
	f.Fuzz(check)
}

func TestAllocations(t *testing.T) {
	s := `["message",{"user":"ada","text":"hello, world","at":1764000000000,"x":[[[{}]]]}]`
	if n := testing.AllocsPerRun(100, func() {
		if whole(s) != nil || Skip(s, 0) != len(s) {
			t.Error("it is valid")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkValue(b *testing.B) {
	for name, s := range map[string]string{
		"small": `["message",{"user":"ada","text":"hello, world","at":1764000000000}]`,
		"text":  `"` + strings.Repeat("some text ", 1000) + `"`,
		"list":  "[" + strings.Repeat(`{"id":123,"name":"x","on":true},`, 300) + "null]",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(s)))
			for b.Loop() {
				if _, err := Value(s, 0); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("encoding json", func(b *testing.B) {
		s := []byte("[" + strings.Repeat(`{"id":123,"name":"x","on":true},`, 300) + "null]")
		b.SetBytes(int64(len(s)))
		for b.Loop() {
			json.Valid(s)
		}
	})
}
