package requesthead

import (
	"bytes"
	"strconv"
)

// MaxLen is how long a head may be, in bytes; a longer one is [Other], and net/http has a limit of its own. A buffer
// of this size is enough to tell.
const MaxLen = 16 << 10

const (
	start   = "GET "      // of the request line
	version = " HTTP/1.1" // its end
	crlf    = "\r\n"
)

// Outcome says what the bytes that have come so far are. It depends on the bytes alone, not on how they were cut.
type Outcome uint8

const (
	// Incomplete is what has no end yet and may become a request for an upgrade.
	Incomplete Outcome = iota
	// Complete is a whole head, for [Parse] to judge.
	Complete
	// Other is no request for an upgrade, whatever follows.
	Other
)

// String returns the name of the outcome.
func (o Outcome) String() string {
	switch o {
	case Incomplete:
		return "Incomplete"
	case Complete:
		return "Complete"
	case Other:
		return "Other"
	}
	return "Outcome(" + strconv.Itoa(int(o)) + ")"
}

// Scanner looks for the end of a head. It remembers how far it has come, so that a head costs the same whether it comes
// at once or byte by byte. The zero value is at the start of a request.
type Scanner struct {
	line uint16 // where the unfinished line starts
	seen uint16 // how many bytes have been looked at
}

// Scan looks at p, all the bytes that have come so far: those of the last call, and more behind them. With [Complete]
// the first n bytes are the head, its empty line included; what follows in p came after it. Otherwise n is 0.
//
// Another method than GET, an HTTP/2 preface, a TLS ClientHello and most garbage are [Other] at the first byte that
// tells, another version than HTTP/1.1 and a line that ends without a CR at the end of the line.
func (s *Scanner) Scan(p []byte) (outcome Outcome, n int) {
	p = p[:min(len(p), MaxLen)]
	if int(s.seen) < len(start) {
		if n := min(len(p), len(start)); string(p[:n]) != start[:n] {
			return Other, 0
		}
	}
	for {
		i := bytes.IndexByte(p[s.seen:], '\n')
		if i < 0 {
			break
		}
		end := int(s.seen) + i + 1
		switch line := p[s.line:end]; {
		case s.line == 0 && !hasSuffix(line, version+crlf), !hasSuffix(line, crlf):
			return Other, 0
		case len(line) == len(crlf):
			return Complete, end
		}
		s.line, s.seen = uint16(end), uint16(end)
	}
	s.seen = uint16(len(p))
	if len(p) == MaxLen {
		return Other, 0
	}
	return Incomplete, 0
}

func hasSuffix(p []byte, suffix string) bool {
	return len(p) >= len(suffix) && string(p[len(p)-len(suffix):]) == suffix
}
