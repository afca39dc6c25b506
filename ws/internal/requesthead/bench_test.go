package requesthead

import (
	"bufio"
	"bytes"
	"context"
	"net/http"
	"testing"
)

var benchHeads = []string{"Chrome", "Node ws", "Envoy in front"}

// Chrome's 12 lines become a map of more than 8 entries, which is 4 of the allocations; the others are the text, the
// values, the URL and the request.
func TestAllocations(t *testing.T) {
	for name, want := range map[string]float64{"Chrome": 8, "Firefox": 8, "Node ws": 6, "curl": 6} {
		head := []byte(wellFormed[name])
		got := testing.AllocsPerRun(100, func() {
			var s Scanner
			if outcome, n := s.Scan(head); outcome != Complete || Parse(context.Background(), head[:n]) == nil {
				t.Fatal(outcome)
			}
		})
		if got > want {
			t.Errorf("%s: %v allocations, want %v", name, got, want)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	for _, name := range benchHeads {
		head := []byte(wellFormed[name])
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var s Scanner
				if outcome, n := s.Scan(head); outcome != Complete || Parse(context.Background(), head[:n]) == nil {
					b.Fatal(outcome)
				}
			}
		})
	}
}

func BenchmarkReadRequest(b *testing.B) {
	for _, name := range benchHeads {
		head := []byte(wellFormed[name])
		b.Run(name, func(b *testing.B) {
			r := bytes.NewReader(head)
			br := bufio.NewReader(r)
			b.ReportAllocs()
			for b.Loop() {
				r.Reset(head)
				br.Reset(r)
				if _, err := http.ReadRequest(br); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkScan(b *testing.B) {
	head := []byte(chrome)
	b.ReportAllocs()
	for b.Loop() {
		var s Scanner
		if outcome, _ := s.Scan(head); outcome != Complete {
			b.Fatal(outcome)
		}
	}
}
