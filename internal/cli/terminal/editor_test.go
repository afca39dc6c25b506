package terminal_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"baro.dev/internal/cli/terminal"
)

// A desk is an editor on a vt, and somebody who types.
type desk struct {
	*terminal.Editor
	vt    *vt
	keys  *io.PipeWriter
	lines chan string
	errs  chan error
}

func newDesk(t *testing.T, columns, rows int, o terminal.EditorOptions) *desk {
	in, keys := io.Pipe()
	d := &desk{vt: newVT(columns, rows), keys: keys, lines: make(chan string, 10), errs: make(chan error, 1)}
	o.Size = d.vt.size
	d.Editor = terminal.NewEditor(in, d.vt, o)
	d.SetPrompt("> ")
	go func() {
		for {
			line, err := d.ReadLine(t.Context())
			if err != nil {
				d.errs <- err
				return
			}
			d.lines <- line
		}
	}()
	t.Cleanup(func() { keys.Close() })
	synctest.Wait()
	return d
}

func (d *desk) typeKeys(s string) {
	_, _ = io.WriteString(d.keys, s)
	synctest.Wait()
}

func (d *desk) shows(t *testing.T, want string) {
	t.Helper()
	if got := d.vt.String(); got != want {
		t.Errorf("the terminal shows\n%s\nwant\n%s", got, want)
	}
}

func (d *desk) line(t *testing.T) string {
	t.Helper()
	synctest.Wait()
	select {
	case line := <-d.lines:
		return line
	default:
		t.Fatalf("no line; the terminal shows\n%s", d.vt)
		return ""
	}
}

const (
	up, down, right, left = "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D"
	altEnter              = "\x1b\r"
)

func ctrl(letter byte) string { return string(rune(letter & 31)) }

func TestKeys(t *testing.T) {
	for _, c := range []struct{ name, keys, want string }{
		{"typing", "hello\r", "hello"},
		{"Korean", "안녕 세계\r", "안녕 세계"},
		{"left, right, insert", "ac" + left + "b" + right + "d\r", "abcd"},
		{"application mode", "ac\x1bODb\r", "abc"},
		{"backspace and delete", "abcd" + left + left + "\x7f\x1b[3~\r", "ad"},
		{"backspace takes a whole character", "ae\u0301\x7f\r", "a"},
		{"backspace and delete take a whole family and flag", "👨\u200d👩\u200d👧\U0001F1F0\U0001F1F7a" + left + "\x7f" + left + "\x1b[3~\r", "a"},
		{"backspace takes a whole syllable", "가\u1112\u1161\u11ab\x7f\r", "가"},
		{"home and end", "b\x1b[Ha\x1b[Fc" + ctrl('a') + "<" + ctrl('e') + ">\r", "<abc>"},
		{"home and end with tilde", "b\x1b[1~a\x1b[4~c\r", "abc"},
		{"words", "one two\x1bb\x1bbx\x1bfy\r", "xoney two"},
		{"words with Ctrl", "one two\x1b[1;5D-\x1b[1;5C.\r", "one -two."},
		{"kill and yank", "one two" + ctrl('w') + ctrl('u') + ctrl('y') + ctrl('y') + "\r", "one one "},
		{"kill to the end", "one" + ctrl('a') + right + ctrl('k') + "\r", "o"},
		{"Ctrl-C clears", "secret" + ctrl('c') + "hello\r", "hello"},
		{"Alt-Enter", "a" + altEnter + "b\r", "a\nb"},
		{"Shift-Enter, where it is told", "a\x1b[13;2ub\x1b[27;2;13~c\r", "a\nb\nc"},
		{"lines", "ab" + altEnter + "cd" + up + "x" + down + "y\r", "abx\ncdy"},
		{"paste", "\x1b[200~one\r\ntwo\rthree\nfour\x1b[201~!\r", "one\ntwo\nthree\nfour!"},
		{"paste with controls", "\x1b[200~a\x1b[2J\x03\x04\t\x1b[201~\r", "a\x1b[2J\x03\x04\t"},
		{"paste of bytes", "\x1b[200~a\xff\x1b[201~\r", "a\uFFFD"},
		{"unknown sequences", "a\x1b[5~\x1b[1;2;3X\x1b[I\x1bOP\x00\x1cb\r", "ab"},
		{"a sequence without end", "a\x1b[" + strings.Repeat("1", 100) + "\r", "a" + strings.Repeat("1", 38)},
		{"Escape twice", "a\x1b\x1b[Db\r", "ba"},
		{"C1", "a\u009bb\r", "ab"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(t, 80, 24, terminal.EditorOptions{})
				d.typeKeys(c.keys)
				if got := d.line(t); got != c.want {
					t.Errorf("%q, want %q", got, c.want)
				}
				d.shows(t, "> _")
			})
			synctest.Test(t, func(t *testing.T) { // as it comes over a slow line
				d := newDesk(t, 80, 24, terminal.EditorOptions{})
				for i := range len(c.keys) {
					d.typeKeys(c.keys[i : i+1])
				}
				if got := d.line(t); got != c.want {
					t.Errorf("byte by byte: %q, want %q", got, c.want)
				}
			})
		})
	}
}

func TestEnds(t *testing.T) {
	for _, c := range []struct {
		keys string
		want error
	}{
		{ctrl('c'), terminal.ErrInterrupted},
		{"a" + ctrl('c') + ctrl('c'), terminal.ErrInterrupted},
		{ctrl('d'), io.EOF},
	} {
		synctest.Test(t, func(t *testing.T) {
			d := newDesk(t, 80, 24, terminal.EditorOptions{})
			d.typeKeys(c.keys)
			if err := <-d.errs; !errors.Is(err, c.want) {
				t.Errorf("%q: %v, want %v", c.keys, err, c.want)
			}
			d.shows(t, "_")
		})
	}
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, 80, 24, terminal.EditorOptions{})
		d.typeKeys("not sent")
		d.keys.Close()
		if err := <-d.errs; !errors.Is(err, io.EOF) {
			t.Errorf("at the end of the input: %v", err)
		}
		d.shows(t, "> not sent\n_")
	})
}

func TestContextEndsReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, keys := io.Pipe()
		defer keys.Close()
		v := newVT(20, 5)
		e := terminal.NewEditor(in, v, terminal.EditorOptions{Size: v.size})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() {
			_, err := e.ReadLine(ctx)
			ended <- err
		}()
		_, _ = io.WriteString(keys, "half")
		synctest.Wait()
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if got := v.String(); got != "half\n_" {
			t.Errorf("the terminal shows %q", got)
		}
	})
}

func TestOutputWhileTyping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, 20, 10, terminal.EditorOptions{})
		d.typeKeys("twenty columns are few")
		d.shows(t, "> twenty columns ar\ne few_")
		fmt.Fprint(d, "one\ntwo\n")
		d.shows(t, "one\ntwo\n> twenty columns ar\ne few_")
		d.typeKeys("\x1b[H")
		fmt.Fprint(d, "three")
		d.shows(t, "one\ntwo\nthree\n> _twenty columns ar\ne few")
		d.SetPrompt("5ms> ")
		d.shows(t, "one\ntwo\nthree\n5ms> _twenty columns\n are few")
		d.typeKeys("\r")
		if got := d.line(t); got != "twenty columns are few" {
			t.Errorf("%q", got)
		}
		d.shows(t, "one\ntwo\nthree\n5ms> _")
	})
}

func TestWideCharactersWrap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, 10, 10, terminal.EditorOptions{})
		d.typeKeys("가나다라마")
		d.shows(t, "> 가나다\n라마_")
		d.typeKeys(left + left)
		d.shows(t, "> 가나다\n_라마")
		d.typeKeys("e\u0301\x1b[200~\t\x01\u202e\x1b[201~")
		d.shows(t, "> 가나다e\u0301\n    ^A\n\\u202e_라\n마")
	})
}

// What is longer than the terminal is high shows the part around the cursor.
func TestHigherThanTheTerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, 20, 5, terminal.EditorOptions{})
		d.typeKeys("\x1b[200~1\n2\n3\n4\n5\n6\x1b[201~")
		d.shows(t, "| 3\n| 4\n| 5\n| 6_")
		fmt.Fprint(d, "output")
		d.shows(t, "output\n| 3\n| 4\n| 5\n| 6_")
		d.typeKeys("\x1b<")
		d.shows(t, "output\n> _1\n| 2\n| 3\n| 4")
	})
}

func TestNarrowTerminals(t *testing.T) {
	for columns := 1; columns <= 25; columns++ {
		synctest.Test(t, func(t *testing.T) {
			d := newDesk(t, columns, 6, terminal.EditorOptions{Complete: func(string) (int, []terminal.Completion) {
				return 0, []terminal.Completion{{Text: "/ping", Help: "asks"}, {Text: "/help", Help: "helps"}}
			}})
			d.SetPrompt("connected 12ms> ")
			d.typeKeys("hello there\t" + altEnter + "and more")
			fmt.Fprint(d, "")
			d.typeKeys(up + "\x7f" + down + "\r")
			if got := d.line(t); got != "hello tere\nand more" {
				t.Errorf("%d columns: %q", columns, got)
			}
			if columns > 2 && len(d.vt.faults) > 0 {
				t.Errorf("%d columns:\n%s", columns, d.vt)
			}
		})
	}
}

func TestHistoryKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := new(terminal.History)
		for _, s := range []string{"first", "second line", "two\nlines"} {
			if err := h.Add(s); err != nil {
				t.Fatal(err)
			}
		}
		d := newDesk(t, 40, 10, terminal.EditorOptions{History: h})
		d.typeKeys("draft" + up)
		d.shows(t, "> two\n| lines_")
		d.typeKeys(up + up + up + up)
		d.shows(t, "> first_")
		d.typeKeys(down + down + ctrl('n'))
		d.shows(t, "> draft_")
		d.typeKeys(ctrl('r') + "s")
		d.shows(t, "(search `s') two\n| lines_")
		d.typeKeys(ctrl('r'))
		d.shows(t, "(search `s') second line_")
		d.typeKeys("ex")
		d.shows(t, "(none has `sex') second line_")
		d.typeKeys("\x7f\x7f" + ctrl('c'))
		d.shows(t, "> draft_")
		d.typeKeys(ctrl('r') + "first\r")
		if got := d.line(t); got != "first" {
			t.Errorf("%q", got)
		}
	})
}

func TestCompletion(t *testing.T) {
	all := []string{"/close", "/clear", "/ping"}
	complete := func(before string) (int, []terminal.Completion) {
		var found []terminal.Completion
		for _, s := range all {
			if strings.HasPrefix(s, before) {
				found = append(found, terminal.Completion{Text: s, Help: "help of " + s})
			}
		}
		return 0, found
	}
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, 30, 10, terminal.EditorOptions{Complete: complete})
		d.typeKeys("/p\t")
		d.shows(t, "> /ping _")
		d.typeKeys(ctrl('c') + "/c\t")
		d.shows(t, "> /cl_")
		d.typeKeys("\t")
		d.shows(t, "> /cl_\n/close  help of /close\n/clear  help of /clear")
		fmt.Fprint(d, "output")
		d.shows(t, "output\n> /cl_\n/close  help of /close\n/clear  help of /clear")
		d.typeKeys("e\t\r")
		if got := d.line(t); got != "/clear " {
			t.Errorf("%q", got)
		}
		d.shows(t, "output\n> _")
	})
}

func TestMultiline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, 40, 10, terminal.EditorOptions{})
		d.SetMultiline(true)
		d.typeKeys("one\r\rtwo")
		d.shows(t, ". ends > one\n| \n| two_")
		d.typeKeys("\r.\r")
		if got := d.line(t); got != "one\n\ntwo" {
			t.Errorf("%q", got)
		}
		d.typeKeys("three\r")
		if got := d.line(t); got != "three" {
			t.Errorf("%q", got)
		}
	})
}

func TestSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, keys := io.Pipe()
		defer keys.Close()
		v := newVT(40, 5)
		e := terminal.NewEditor(in, v, terminal.EditorOptions{Size: v.size})
		e.SetPrompt("> ")
		go func() {
			_, _ = io.WriteString(keys, "hush")
			synctest.Wait()
			fmt.Fprint(e, "output")
			if got := v.String(); got != "output\ntoken: _" {
				t.Errorf("the terminal shows %q", got)
			}
			_, _ = io.WriteString(keys, "\r")
		}()
		got, err := e.ReadSecret(t.Context(), "token: ")
		if got != "hush" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	})
}

// All that is typed at once is drawn at once, or pasting would take long.
func TestPasteIsDrawnOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, 80, 24, terminal.EditorOptions{})
		before := d.vt.writes
		d.typeKeys("\x1b[200~" + strings.Repeat("all work ", 100) + "\x1b[201~")
		if n := d.vt.writes - before; n > 2 {
			t.Errorf("%d writes", n)
		}
		d.typeKeys("\x1b[200~" + strings.Repeat("x", 2*terminal.MaxInput) + "\x1b[201~\r")
		if n := len(d.line(t)); n != terminal.MaxInput {
			t.Errorf("%d characters", n)
		}
	})
}

func TestHistoryFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "history")
	h, err := terminal.OpenHistory(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"one", "one", "two\nlines\x1b", "", " not kept", strings.Repeat("x", 10000)} {
		if err := h.Add(s); err != nil {
			t.Fatal(err)
		}
	}
	h, err = terminal.OpenHistory(path)
	if err != nil {
		t.Fatal(err)
	}
	if h.Len() != 2 || h.At(0) != "one" || h.At(1) != "two\nlines\x1b" {
		t.Errorf("%+v", h)
	}
	for i := range 2500 {
		if err := h.Add(fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // the first makes the file anew
		h, err = terminal.OpenHistory(path)
		if err != nil || h.Len() != 1000 || h.At(999) != "2499" {
			t.Fatalf("%d entries, %v", h.Len(), err)
		}
	}
}

// Whatever is typed, the editor draws within the terminal, and nothing but what it knows of.
func FuzzEditor(f *testing.F) {
	f.Add([]byte("hello \x1b[D\x1b[200~a\nb\x1b[201~\x1b\r\t\x12he\r"), 20, 5)
	f.Add([]byte("가나다e\u0301\x1b[3~\x17\x19\x0b\x15\x1b[A\x1b[B\x1bb\x1bf\x1bd"), 9, 3)
	f.Add([]byte("👨\u200d👩\u200d👧\U0001F1F0\U0001F1F7\u1112\u1161\u11ab\u2764\uFE0F\x1b[D\x1b[Dx\x7f\x1b[3~"), 8, 2)
	f.Add([]byte("\x1b[1;5D\x1bOA\xff\u009b\x1b\x1b[\x1b[999999\x03\x04"), 12, 2)
	f.Fuzz(func(t *testing.T, keys []byte, columns, rows int) {
		v := newVT(8+max(0, columns%100), 2+max(0, rows%50))
		h := new(terminal.History)
		for _, s := range []string{"one", "two\nlines", "안녕하세요 여러분"} {
			if err := h.Add(s); err != nil {
				t.Fatal(err)
			}
		}
		e := terminal.NewEditor(&dribble{keys}, v, terminal.EditorOptions{Size: v.size, History: h, Complete: func(before string) (int, []terminal.Completion) {
			return len(before) / 2, []terminal.Completion{{Text: "\x1bfirst", Help: "\u202e"}, {Text: "first two"}}[:1+len(before)%2]
		}})
		e.SetPrompt("12ms> ")
		for {
			_, err := e.ReadLine(t.Context())
			fmt.Fprintln(e, "output")
			if errors.Is(err, io.EOF) {
				break
			}
		}
		if len(v.faults) > 0 {
			t.Errorf("%q\n%s", keys, v)
		}
	})
}

// dribble gives a few bytes at a time.
type dribble struct{ rest []byte }

func (d *dribble) Read(p []byte) (int, error) {
	if len(d.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), 7)], d.rest)
	d.rest = d.rest[n:]
	return n, nil
}
