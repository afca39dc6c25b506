package terminal

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/charmbracelet/x/ansi"
)

// ErrInterrupted is what ReadLine returns when Ctrl-C is typed and nothing else was.
var ErrInterrupted = errors.New("interrupted")

// A Completion is something that may stand at the cursor.
type Completion struct {
	Text string // put in place of what is there
	Help string // shown beside it, when there are several
	Open bool   // more is to follow: no space comes after it
}

// EditorOptions say how an Editor edits. All but the zero value of each is optional.
type EditorOptions struct {
	// Size gives the columns and rows of the terminal, each time that something is drawn. nil: DefaultWidth and
	// DefaultHeight.
	Size func() (columns, rows int)
	// Complete gives what may be put in place of before[from:], for what stands before the cursor.
	Complete func(before string) (from int, all []Completion)
	// Style says how what is typed looks.
	Style func(text string) Style
	// Colors colours what the editor shows.
	Colors Colors
	// History is gone through with the keys up, down and Ctrl-R. It is for the caller to add to.
	History *History
	// Suspend stops the process (Ctrl-Z), and returns when it goes on. nil: the key does nothing.
	Suspend func()
	// Rescue is deferred in the goroutine that reads, for what a panic leaves to be put right.
	Rescue func()
}

// An Editor edits lines on a terminal, or whole messages with several of them, while output is written above. It works on
// streams, so the terminal has to be in raw mode already (see Screen).
//
// It is an editor of its own, on x/ansi for characters and escape sequences and on x/term for raw mode, because no library (as of
// November 2026) has all that a conversation needs. x/term's Terminal edits one line, counts each character as one column, and
// cannot tell Ctrl-C from Ctrl-D. Bubble Tea (v2.1) loses its view when output above it is higher than the terminal, and the
// place of the cursor with any; it asks the terminal questions, whose answers the shell gets when the program has ended by
// then, and does not notice the end of its input; and of what is pasted its text area keeps neither tabs nor controls.
// reeflective/readline (v1.3) cannot be told to stop, or be written to from other goroutines; it loses what is higher than the
// terminal, and what is pasted can command that.
//
// It draws the prompt and the text as a block of rows, and never relies on where a terminal breaks lines: for output the block
// is erased, the output written, and the block drawn again, in one write.
type Editor struct {
	in   io.Reader
	out  io.Writer
	o    EditorOptions
	once sync.Once
	read chan []byte // closed at the end of in
	err  error       // why, once read is closed

	mu     sync.Mutex // guards what follows, and writes to out
	keys   decoder
	prompt string
	buffer buffer
	multi  bool     // Enter makes a new line
	secret bool     // nothing is shown
	hint   []string // rows below the text, until the next key
	recall recall
	search *search
	active bool    // a line is being read: there is a block
	drawn  *layout // the block on the terminal, nil if there is none
	width  int     // the columns when it was drawn
	frame  []byte  // for what is written, kept
}

// NewEditor returns an editor that reads keys from in and draws on out. Close ends nothing of these: the goroutine that reads
// in ends with it.
func NewEditor(in io.Reader, out io.Writer, o EditorOptions) *Editor {
	if o.Size == nil {
		o.Size = func() (int, int) { return DefaultWidth, DefaultHeight }
	}
	if o.History == nil {
		o.History = new(History)
	}
	return &Editor{in: in, out: out, o: o, read: make(chan []byte)}
}

// pump hands what is typed to whoever reads a line.
func (e *Editor) pump() {
	if e.o.Rescue != nil {
		defer e.o.Rescue()
	}
	defer close(e.read)
	for {
		p := make([]byte, 4096)
		n, err := e.in.Read(p)
		if n > 0 {
			e.read <- p[:n]
		}
		if err != nil {
			e.err = err
			return
		}
	}
}

// ReadLine returns what is typed up to Enter. The error is ErrInterrupted after Ctrl-C, and io.EOF after Ctrl-D or at the end
// of the input, each with nothing typed; or ctx's, which leaves what was typed on the terminal.
// One goroutine reads at a time.
func (e *Editor) ReadLine(ctx context.Context) (string, error) {
	return e.readLine(ctx)
}

// ReadSecret is ReadLine with a prompt of its own, and nothing of what is typed is shown.
func (e *Editor) ReadSecret(ctx context.Context, prompt string) (string, error) {
	e.mu.Lock()
	before := e.prompt
	e.prompt, e.secret = prompt, true
	e.mu.Unlock()
	line, err := e.readLine(ctx)
	e.mu.Lock()
	e.prompt, e.secret = before, false
	e.mu.Unlock()
	return line, err
}

func (e *Editor) readLine(ctx context.Context) (string, error) {
	e.once.Do(func() { go e.pump() })
	e.begin()
	for {
		if line, done, err := e.typed(); done {
			return line, err
		}
		select {
		case p, ok := <-e.read:
			if !ok {
				e.end(true)
				return "", e.err
			}
			e.mu.Lock()
			e.keys.feed(p)
			e.mu.Unlock()
		case <-ctx.Done():
			e.end(true)
			return "", ctx.Err()
		}
	}
}

func (e *Editor) begin() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.active = true
	e.buffer.set("")
	e.recall = recall{}
	e.search = nil
	e.redraw()
}

// end takes the block away; what was typed may stay, as output.
func (e *Editor) end(keep bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.finish(keep)
}

func (e *Editor) finish(keep bool) {
	keep = keep && len(e.buffer.text) > 0 && !e.secret
	e.hint, e.search = nil, nil
	if keep {
		e.buffer.pos = len(e.buffer.text)
		e.redraw()
		_ = e.put([]byte("\r\n"))
		e.drawn = nil
	}
	e.active, e.multi = false, false
	e.redraw()
}

// typed works through the keys that have come, and draws once for all of them.
func (e *Editor) typed() (line string, done bool, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	pressed := false
	for {
		k, ok := e.keys.next()
		if !ok {
			break
		}
		pressed = true
		e.hint = nil
		switch e.press(k) {
		case submit:
			line = e.buffer.String()
			e.finish(false)
			return line, true, nil
		case interrupt:
			e.finish(false)
			return "", true, ErrInterrupted
		case eof:
			e.finish(false)
			return "", true, io.EOF
		case suspend:
			e.suspend()
		}
	}
	if pressed && !e.keys.pasting {
		e.redraw()
	}
	return "", false, nil
}

func (e *Editor) suspend() {
	if e.o.Suspend == nil {
		return
	}
	e.active = false
	e.redraw()
	e.o.Suspend()
	e.active = true
}

// Write writes output above the line that is edited, and leaves that as it is. Output that does not end with a newline gets
// one. Any goroutine may call it, also while no line is read.
func (e *Editor) Write(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.write(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// SetPrompt changes what stands before the line, at once. It may be coloured; it is to be one line.
func (e *Editor) SetPrompt(prompt string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.prompt != prompt && !e.secret {
		e.prompt = prompt
		e.redraw()
	}
}

// SetMultiline makes Enter a new line within the next message, which a line with a single dot ends, or Alt-Enter.
func (e *Editor) SetMultiline(on bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.multi = on
	e.redraw()
}

// Resize draws anew, for a terminal that has another size now.
func (e *Editor) Resize() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.redraw()
}

// Clear empties the terminal (Ctrl-L).
func (e *Editor) Clear() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.clear()
	e.redraw()
}

func (e *Editor) clear() {
	_ = e.put([]byte(ansi.CursorHomePosition + ansi.EraseEntireScreen))
	e.drawn = nil
}
