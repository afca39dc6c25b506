package terminal_test

import (
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"

	"baro.dev/internal/cli/terminal"
)

// A vt is a terminal that knows what the editor writes, and complains of all else.
type vt struct {
	mu            sync.Mutex
	columns, rows int
	cells         [][]string // one a column; "" is the second half of a wide character
	row, column   int
	faults        []string
	writes        int
}

func newVT(columns, rows int) *vt {
	return &vt{columns: columns, rows: rows, cells: [][]string{nil}}
}

func (v *vt) size() (int, int) { return v.columns, v.rows }

func (v *vt) Write(p []byte) (int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.writes++
	for rest := string(p); rest != ""; {
		r, _ := utf8.DecodeRuneInString(rest)
		n := 1
		switch {
		case strings.HasPrefix(rest, "\x1b["):
			end := strings.IndexFunc(rest[2:], func(r rune) bool { return r >= 0x40 })
			v.command(rest[2:2+end], rest[2+end])
			n = 2 + end + 1
		case r == '\r':
			v.column = 0
		case r == '\n':
			v.row++
			if v.row == len(v.cells) {
				v.cells = append(v.cells, nil)
			}
		case r < ' ' || r == 0x7f:
			v.faults = append(v.faults, fmt.Sprintf("control %q", r))
		default:
			c, _ := ansi.FirstGraphemeCluster(rest, ansi.GraphemeWidth)
			v.print(c)
			n = len(c)
		}
		rest = rest[n:]
	}
	return len(p), nil
}

func (v *vt) print(c string) {
	width := terminal.Width(c)
	if v.column+width > v.columns {
		v.faults = append(v.faults, fmt.Sprintf("%q beyond the last column", c))
		return
	}
	line := v.cells[v.row]
	for len(line) < v.column+width {
		line = append(line, " ")
	}
	switch width {
	case 0:
		if v.column > 0 {
			line[v.column-1] += c
		}
	case 2:
		line[v.column+1] = ""
		fallthrough
	case 1:
		line[v.column] = c
	}
	v.cells[v.row] = line
	v.column += width
}

func (v *vt) command(parameters string, final byte) {
	n := 1
	_, _ = fmt.Sscan(parameters, &n)
	top := max(0, len(v.cells)-v.rows)
	switch string(final) {
	case "A":
		if v.row-n < top {
			v.faults = append(v.faults, "up beyond the top")
		}
		v.row = max(top, v.row-n)
	case "C":
		v.column += n
	case "J":
		if parameters == "2" {
			v.cells, v.row, v.column = [][]string{nil}, 0, 0
			break
		}
		v.cells = v.cells[:v.row+1]
		if v.column < len(v.cells[v.row]) {
			v.cells[v.row] = v.cells[v.row][:v.column]
		}
	case "H":
	case "m":
	default:
		v.faults = append(v.faults, fmt.Sprintf("CSI %s%c", parameters, final))
	}
}

// String gives what is on the terminal, and above it, with the cursor as _ (before the character, for then nothing is hidden).
func (v *vt) String() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	var b strings.Builder
	for i, line := range v.cells {
		if i > 0 {
			b.WriteByte('\n')
		}
		for column := range max(len(line), v.column+1) {
			if i == v.row && column == v.column {
				b.WriteByte('_')
			}
			if column < len(line) {
				b.WriteString(line[column])
			}
			if column >= len(line) && (i != v.row || column >= v.column) {
				break
			}
		}
	}
	for _, fault := range v.faults {
		b.WriteString("\nFAULT: " + fault)
	}
	return b.String()
}
