package requesthead

import (
	"strings"
	"testing"
	"unsafe"
)

func TestScanEveryCut(t *testing.T) {
	for name, head := range wellFormed {
		for cut := range head {
			var s Scanner
			if outcome, n := s.Scan([]byte(head[:cut])); outcome != Incomplete || n != 0 {
				t.Fatalf("%s: %v, %d of %q", name, outcome, n, head[:cut])
			}
			for range 2 { // and again, to no effect
				if outcome, n := s.Scan([]byte(head + "frames")); outcome != Complete || n != len(head) {
					t.Fatalf("%s: %v, %d behind %q", name, outcome, n, head[:cut])
				}
			}
		}
	}
}

// However the bytes come, the outcome is the same.
func TestScanByteByByte(t *testing.T) {
	for name, input := range others {
		checkCuts(t, name, input)
	}
	for name, input := range wellFormed {
		checkCuts(t, name, input)
	}
}

func checkCuts(t *testing.T, name, input string) {
	t.Helper()
	p := []byte(input)
	var whole, s Scanner
	wantOutcome, want := whole.Scan(p)
	for i := range p {
		outcome, n := s.Scan(p[:i+1])
		if outcome == Incomplete && i+1 < len(p) {
			continue
		}
		if outcome != wantOutcome || n != want {
			t.Errorf("%s: %v, %d in single bytes; %v, %d at once", name, outcome, n, wantOutcome, want)
		}
		if again, _ := s.Scan(p); again != outcome {
			t.Errorf("%s: %v, and %v when more has come", name, outcome, again)
		}
		return
	}
}

// Net/http gets what is not meant for us as soon as that is sure.
func TestScanEarly(t *testing.T) {
	for _, tt := range []struct {
		input string
		want  int // bytes that it takes to tell
	}{
		{"\x16\x03\x01\x02\x00", 1},
		{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 1},
		{"POST / HTTP/1.1\r\n", 1},
		{"get / HTTP/1.1\r\n", 1},
		{"\r\nGET / HTTP/1.1\r\n", 1},
		{"\x00", 1},
		{"GARBAGE", 2},
		{"GET\t/ HTTP/1.1\r\n", 4},
		{"GETS", 4},
		{"GET / HTTP/1.0\r\n", 16},
		{"GET / HTTP/1.1\n", 15},
		{"GET /\r\n", 7},
		{"GET HTTP/1.1\r\nHost: a\r\n", 0}, // Parse tells
		{"GET / HTTP/1.1\r\nX: y\n", 21},
		{"GET / HTTP/1.1\r\n\n", 17},
		{"GET /" + strings.Repeat("x", MaxLen), MaxLen},
	} {
		var s Scanner
		got := 0
		for i := range tt.input {
			if outcome, _ := s.Scan([]byte(tt.input[:i+1])); outcome == Other {
				got = i + 1
				break
			}
		}
		if got != tt.want {
			t.Errorf("%.40q: Other after %d bytes, want %d", tt.input, got, tt.want)
		}
	}
}

// The work is linear in what comes, however it comes: a call looks at the new bytes and at no more than 16 before them.
// Were it to see more, it would see bare LFs there.
func TestScanLinear(t *testing.T) {
	for _, step := range []int{1, 2, 3, 7, 50} {
		for name, head := range wellFormed {
			var s Scanner
			p := make([]byte, 0, len(head))
			for len(p) < len(head) {
				for i := range p[:max(0, len(p)-16)] {
					p[i] = '\n'
				}
				p = append(p, head[len(p):min(len(p)+step, len(head))]...)
				outcome, n := s.Scan(p)
				if outcome == Incomplete && len(p) < len(head) && int(s.seen) == len(p) {
					continue
				}
				if outcome != Complete || n != len(head) || len(p) != len(head) {
					t.Fatalf("%s, %d bytes a time: %v, %d after %d", name, step, outcome, n, len(p))
				}
			}
		}
	}
}

func TestScannerSize(t *testing.T) {
	if n := unsafe.Sizeof(Scanner{}); n > 4 {
		t.Errorf("%d bytes", n)
	}
}

func TestOutcomeString(t *testing.T) {
	for outcome, want := range map[Outcome]string{Incomplete: "Incomplete", Complete: "Complete", Other: "Other", 9: "Outcome(9)"} {
		if got := outcome.String(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
