package terminal

import "strconv"

// Hex appends bytes as a dump: the offset, the bytes, and which of them are printable ASCII, sixteen a line, or as many as so
// many columns have room for. Each line ends with a newline.
func (c Colors) Hex(dst, src []byte, columns int) []byte {
	n, offset, text := 16, 8, true
	switch { // a line is the offset, two spaces, three columns a byte, a space, and the text between bars
	case columns >= 78:
	case columns >= 46:
		n = 8
	case columns >= 30:
		n = 4
	default:
		n, offset, text = max(1, min(4, (columns-7)/3)), 4, false
	}
	for at := 0; at < len(src); at += n {
		line := src[at:min(at+n, len(src))]
		place := strconv.FormatInt(int64(at), 16)
		for len(place) < offset {
			place = "0" + place
		}
		dst = append(c.Append(dst, Dim, []byte(place)), ' ')
		for i := range n {
			switch {
			case i < len(line):
				dst = append(dst, ' ', hexDigits[line[i]>>4], hexDigits[line[i]&15])
			case text:
				dst = append(dst, "   "...)
			}
		}
		if text {
			dst = c.Append(append(dst, "  |"...), Cyan, printable(line))
			dst = append(dst, '|')
		}
		dst = append(dst, '\n')
	}
	return dst
}

func printable(line []byte) []byte {
	shown := make([]byte, len(line))
	for i, b := range line {
		shown[i] = '.'
		if harmless(b) {
			shown[i] = b
		}
	}
	return shown
}
