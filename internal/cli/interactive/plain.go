package interactive

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strings"
	"sync"

	"baro.dev/internal/cli/terminal"
)

// plain is for a terminal that understands no escape sequences. It edits its lines by itself, so that output may come between
// what is typed; it has no prompt, for that would stand in the way.
type plain struct {
	out   io.Writer
	in    io.Reader
	once  sync.Once
	lines chan string
	err   error // once lines is closed

	mu    sync.Mutex
	multi bool
}

func newPlain(in io.Reader, out io.Writer) *plain {
	return &plain{in: in, out: out, lines: make(chan string)}
}

func (p *plain) pump() {
	defer close(p.lines)
	scanner := bufio.NewScanner(p.in)
	scanner.Buffer(nil, terminal.MaxInput)
	for scanner.Scan() {
		p.lines <- strings.TrimSuffix(scanner.Text(), "\r")
	}
	p.err = scanner.Err()
	if p.err == nil {
		p.err = io.EOF
	}
}

// ReadLine implements ui.
func (p *plain) ReadLine(ctx context.Context) (string, error) {
	p.once.Do(func() { go p.pump() })
	p.mu.Lock()
	multi := p.multi
	p.multi = false
	p.mu.Unlock()
	var lines []string
	for {
		select {
		case line, ok := <-p.lines:
			switch {
			case !ok:
				return "", p.err
			case !multi:
				return line, nil
			case line == ".":
				return strings.Join(lines, "\n"), nil
			}
			lines = append(lines, line)
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// ReadSecret implements ui.
func (p *plain) ReadSecret(context.Context, string) (string, error) {
	return "", errors.New("this terminal cannot hide what is typed: give it on the line")
}

// Write implements ui.
func (p *plain) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Write(b)
}

// SetPrompt implements ui.
func (p *plain) SetPrompt(string) {}

// SetMultiline implements ui.
func (p *plain) SetMultiline(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.multi = on
}

// Clear implements ui.
func (p *plain) Clear() {}
