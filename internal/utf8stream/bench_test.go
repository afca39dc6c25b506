package utf8stream

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func BenchmarkValid(b *testing.B) {
	const korean = "실시간으로 도착하는 메시지는 순서대로 한 번만 전달된다. "
	for _, text := range []struct{ name, s string }{
		{"ascii-16B", "The quick brown "},
		{"ascii-125B", strings.Repeat("The quick brown fox jumps over the lazy dog. ", 3)[:125]},
		{"ascii-16KB", strings.Repeat("The quick brown fox jumps over the lazy dog. ", 365)},
		{"json-16KB", strings.Repeat(`{"user":"김철수","text":"안녕하세요, 반갑습니다!","id":12345,"room":"lobby"},`, 176)},
		{"korean-28B", korean[:28]},
		{"korean-16KB", strings.Repeat(korean, 210)},
		{"japanese-16KB", strings.Repeat("日本語日本語日本語日", 546)},
		{"german-16KB", strings.Repeat("Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich. ", 240)},
		{"russian-16KB", strings.Repeat("Съешь же ещё этих мягких французских булок, да выпей чаю. ", 155)},
		{"emoji-16KB", strings.Repeat("hi 😀😃😄 ok ", 860)},
	} {
		p := []byte(text.s)
		for _, f := range []struct {
			name  string
			valid func([]byte) bool
		}{
			{"stream", func(p []byte) bool {
				var v Validator
				return v.Valid(p) && v.Complete()
			}},
			{"std", utf8.Valid},
		} {
			b.Run(text.name+"/"+f.name, func(b *testing.B) {
				b.SetBytes(int64(len(p)))
				b.ReportAllocs()
				for b.Loop() {
					if !f.valid(p) {
						b.Fatal("not valid")
					}
				}
			})
		}
	}
}
