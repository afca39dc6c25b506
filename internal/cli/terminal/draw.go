package terminal

import (
	"bytes"

	"github.com/charmbracelet/x/ansi"
)

// redraw draws the block anew. That a terminal has gone is noticed by reading.
func (e *Editor) redraw() { _ = e.write(nil) }

// write erases the block, writes output, and draws the block again if a line is being read.
func (e *Editor) write(output []byte) error {
	columns, rows := e.o.Size()
	frame := e.frame[:0]
	if e.drawn != nil {
		above := e.drawn.cursor.row
		if columns < e.width {
			above = e.drawn.above(columns)
		}
		frame = append(frame, '\r')
		frame = appendMove(frame, ansi.CursorUp, above)
		frame = append(frame, ansi.EraseScreenBelow...)
		e.drawn = nil
	}
	if len(output) > 0 {
		frame = append(frame, bytes.ReplaceAll(bytes.TrimSuffix(output, []byte("\n")), []byte("\n"), []byte("\r\n"))...)
		frame = append(frame, "\r\n"...)
	}
	if e.active {
		e.drawn, e.width = e.layout(columns, rows), columns
		frame = e.drawn.append(frame)
	}
	err := e.put(frame)
	if cap(frame) <= 1<<16 {
		e.frame = frame
	} else {
		e.frame = nil
	}
	return err
}

func (e *Editor) put(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	_, err := e.out.Write(p)
	return err
}

// layout arranges what is to be drawn.
func (e *Editor) layout(columns, rows int) *layout {
	prompt, text, pos := e.prompt, e.buffer.text, e.buffer.pos
	switch {
	case e.secret:
		text, pos = nil, 0
	case e.search != nil:
		prompt = e.search.prompt()
	case e.multi:
		prompt = e.o.Colors.Paint(Dim, ". ends ") + prompt
	}
	// No more than what there is room for around the cursor has to be arranged.
	if room := rows * columns; len(text) > 4*room {
		from, to := max(0, pos-room), min(len(text), pos+room)
		if from > 0 {
			prompt = "..."
		}
		text, pos = text[from:to], pos-from
	}
	var style Style
	if e.o.Style != nil && len(text) < 1024 {
		style = e.o.Style(string(text))
	}
	l := arrange(prompt, text, pos, columns, func(dst, piece []byte) []byte {
		return e.o.Colors.Append(dst, style, piece)
	})
	l.window(max(1, rows-1))
	for _, h := range e.hint {
		if len(l.rows) >= rows-1 {
			break
		}
		h = ansi.TruncateWc(h, max(1, columns-1), "")
		l.rows = append(l.rows, row{content: []byte(h), columns: Width(h)})
	}
	return l
}
