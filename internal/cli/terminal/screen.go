package terminal

import (
	"os"
	"sync"

	"github.com/charmbracelet/x/ansi"
	"golang.org/x/term"
)

// A Screen is a terminal in raw mode, until Close gives it back as it was. Its methods may be called by any goroutine.
type Screen struct {
	in, out *os.File

	mu    sync.Mutex
	state *term.State // how it was; nil while it is that way
	stop  func()      // ends watching the size
}

// OpenScreen puts a terminal into raw mode, with bracketed paste.
func OpenScreen(in, out *os.File) (*Screen, error) {
	s := &Screen{in: in, out: out}
	if err := s.enter(); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Screen) enter() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != nil {
		return nil
	}
	state, err := term.MakeRaw(int(s.in.Fd()))
	if err != nil {
		return err
	}
	s.state = state
	virtualTerminal(s.out)
	_, err = s.out.WriteString(ansi.SetModeBracketedPaste)
	return err
}

func (s *Screen) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == nil {
		return
	}
	_, _ = s.out.WriteString(ansi.ResetModeBracketedPaste + ansi.ResetStyle) // which fails if the terminal has gone
	_ = term.Restore(int(s.in.Fd()), s.state)
	s.state = nil
}

// Watch calls resized whenever the terminal has got another size, until Close; where the system does not tell, never.
func (s *Screen) Watch(resized func()) {
	stop := watchSize(func() {
		defer s.Rescue()
		resized()
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stop = stop
}

// Size gives the columns and rows.
func (s *Screen) Size() (columns, rows int) { return Size(s.out) }

// Close gives the terminal back as it was. Further calls do nothing.
func (s *Screen) Close() {
	s.leave()
	s.mu.Lock()
	stop := s.stop
	s.stop = nil
	s.mu.Unlock()
	if stop != nil {
		stop()
	}
}

// Rescue gives the terminal back if the goroutine that defers it panics, and panics on: what is then printed can be read, and
// so can what is typed later.
func (s *Screen) Rescue() {
	if p := recover(); p != nil {
		s.leave()
		panic(p)
	}
}

// Suspend stops the process as Ctrl-Z does, with the terminal as it was; it returns when the process goes on.
func (s *Screen) Suspend() {
	if !canSuspend {
		return
	}
	s.leave()
	suspendProcess()
	_ = s.enter()
}
