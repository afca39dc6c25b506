package interactive

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"baro.dev/internal/cli/connection"
	"baro.dev/internal/cli/terminal"
)

const (
	maxText   = 16 << 10 // bytes of a text that are shown
	maxBinary = 1 << 10  // bytes of a dump
	maxName   = 100      // bytes of the name of an event
	narrow    = 40       // columns below which no times are shown
)

// show writes one entry: when, a mark, and what follows, with its lines one below the other.
func (s *session) show(at time.Time, mark string, style terminal.Style, body []byte) {
	prefix, width := s.prefix(at, mark, style)
	out := append([]byte(prefix), bytes.ReplaceAll(body, []byte("\n"), append([]byte("\n"), strings.Repeat(" ", width)...))...)
	_, _ = s.ui.Write(append(out, '\n')) // a terminal that has gone ends the reading from it
}

func (s *session) prefix(at time.Time, mark string, style terminal.Style) (string, int) {
	prefix := s.o.Colors.Paint(style, mark) + " "
	if columns, _ := s.size(); s.times.Load() && columns >= narrow {
		prefix = s.o.Colors.Paint(terminal.Dim, at.Format(time.TimeOnly)) + " " + prefix
	}
	return prefix, terminal.Width(prefix)
}

// notice tells what is not from the server.
func (s *session) notice(text string) { s.tell("*", terminal.Blue, terminal.Dim, text) }

// complain tells an error; what it quotes of others is made safe.
func (s *session) complain(err error) {
	s.tell("!", terminal.Red, terminal.Red, terminal.SafeLine(err.Error()))
}

// tell shows a sentence, broken between words.
func (s *session) tell(mark string, markStyle, style terminal.Style, text string) {
	now := time.Now()
	columns, _ := s.size()
	_, width := s.prefix(now, mark, markStyle)
	lines := strings.Split(wrap(text, columns-width-1), "\n")
	for i := range lines {
		lines[i] = s.o.Colors.Paint(style, lines[i])
	}
	s.show(now, mark, markStyle, []byte(strings.Join(lines, "\n")))
}

// wrap breaks text between words into lines of so many columns; what is longer stays whole.
func wrap(text string, columns int) string {
	var b strings.Builder
	used := 0
	for i, word := range strings.Split(text, " ") {
		width := terminal.Width(word)
		switch {
		case i == 0:
		case used+1+width > columns:
			b.WriteByte('\n')
			used = 0
		default:
			b.WriteByte(' ')
			used++
		}
		b.WriteString(word)
		used += width
	}
	return b.String()
}

// showMessage shows a message that came or was sent; number is that of the acknowledgement it wants, or 0.
func (s *session) showMessage(mark string, style terminal.Style, m connection.Message, number int) {
	columns, _ := s.size()
	_, width := s.prefix(m.At, mark, style)
	columns = max(1, columns-width-1)
	var b []byte
	name := s.eventName(m)
	b = append(b, name...)
	if m.Kind == connection.Binary {
		b = s.appendBinary(b, m.Data, columns)
	} else {
		b = s.appendText(b, m.Data, columns, terminal.Width(name))
	}
	if number > 0 {
		b = append(b, s.o.Colors.Paint(terminal.Yellow, fmt.Sprintf("  (/ack %d answers)", number))...)
	}
	s.show(m.At, mark, style, b)
}

func (s *session) eventName(m connection.Message) string {
	if m.Event == "" {
		return ""
	}
	name := m.Event
	if len(name) > maxName {
		name = name[:maxName] + "..."
	}
	name = terminal.SafeLine(name)
	if m.Kind != connection.Event {
		name += ":"
	}
	return s.o.Colors.Paint(terminal.Magenta, name) + " "
}

func (s *session) appendText(b, data []byte, columns, used int) []byte {
	if len(data) > maxText {
		part := data[:maxText]
		for i := range utf8.UTFMax { // what is cut within a character ends before it
			if r, n := utf8.DecodeLastRune(part[:maxText-i]); r != utf8.RuneError || n > 1 {
				part = part[:maxText-i]
				break
			}
		}
		b = append(terminal.Safe(b, part), '\n')
		return append(b, s.more(len(data))...)
	}
	if s.pretty.Load() {
		if with, ok := s.o.Colors.JSON(b, data, columns-used); ok {
			if !bytes.Contains(with[len(b):], []byte("\n")) {
				return with
			}
			with, _ = s.o.Colors.JSON(b, data, columns)
			return with
		}
	}
	return terminal.Safe(b, bytes.TrimSuffix(data, []byte("\n")))
}

func (s *session) appendBinary(b, data []byte, columns int) []byte {
	b = append(b, s.o.Colors.Paint(terminal.Bold, count(len(data), "byte"))...)
	if len(data) == 0 {
		return b
	}
	b = s.o.Colors.Hex(append(b, '\n'), data[:min(len(data), maxBinary)], columns)
	if len(data) > maxBinary {
		return append(b, s.more(len(data))...)
	}
	return bytes.TrimSuffix(b, []byte("\n"))
}

func (s *session) more(n int) string {
	return s.o.Colors.Paint(terminal.Dim, fmt.Sprintf("... %s in all; /save FILE keeps them", count(n, "byte")))
}

// framePassed is called by the connection.
func (s *session) framePassed(f connection.Frame) {
	s.mu.Lock()
	began := s.began
	s.mu.Unlock()
	if !began || !s.frames.Load() {
		return
	}
	var b strings.Builder
	b.WriteString(f.Name())
	for _, flag := range []struct {
		set  bool
		name string
	}{{f.Fin, "fin"}, {f.RSV1, "rsv1"}, {f.RSV2, "rsv2"}, {f.RSV3, "rsv3"}, {f.Masked, "masked"}} {
		if flag.set {
			b.WriteString(" " + flag.name)
		}
	}
	b.WriteString(" " + count(int(f.Length), "byte"))
	payload := f.Payload
	if f.Opcode == 8 && len(payload) >= 2 {
		b.WriteString(" " + strconv.Itoa(int(binary.BigEndian.Uint16(payload))))
		payload = payload[2:]
		b.WriteString(" " + terminal.SafeLine(string(payload)))
	}
	mark := "<<"
	if f.Out {
		mark = ">>"
	}
	s.show(f.At, mark, terminal.Dim, []byte(s.o.Colors.Paint(terminal.Dim, strings.TrimRight(b.String(), " "))))
}

// count gives a number with its unit: 1 byte, 12,345 bytes.
func count(n int, unit string) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	if n != 1 {
		unit += "s"
	}
	return digits + " " + unit
}

// roundDuration gives a time as people say it: 0.3ms, 12ms, 1.5s.
func roundDuration(d time.Duration) string {
	switch {
	case d < 100*time.Microsecond:
		return "<0.1ms"
	case d < 10*time.Millisecond:
		return strconv.FormatFloat(float64(d)/float64(time.Millisecond), 'f', 1, 64) + "ms"
	case d < time.Second:
		return strconv.Itoa(int(d.Milliseconds())) + "ms"
	}
	return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + "s"
}
