package connect

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"baro.dev/internal/cli/connection"
	"baro.dev/internal/cli/terminal"
)

// notes are for people, on the errors' output.
type notes struct {
	mu sync.Mutex
	w  io.Writer
}

// printf writes a line, of which nothing can command a terminal.
func (n *notes) printf(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	fmt.Fprintf(n.w, "%s\n", terminal.SafeLine(fmt.Sprintf(format, args...)))
}

func (n *notes) frame(f connection.Frame) { n.printf("%s", f.String()) }

// state tells what happens to the connection: to all if it is bad, or the end of that.
func (p *pipe) state(s connection.State) {
	switch s.Kind {
	case connection.Connected:
		switch {
		case s.Info.Stats.Reconnects > 0 && s.Recovered:
			p.notes.printf("baro: connected again, and going on where it was")
		case s.Info.Stats.Reconnects > 0:
			p.notes.printf("baro: connected again")
		case p.o.Verbose:
			p.notes.printf("baro: %s", describe(s.Info))
		}
	case connection.Disconnected:
		p.notes.printf("baro: disconnected: %v", s.Err)
	case connection.Waiting:
		if p.o.Verbose || s.Attempt > 1 {
			p.notes.printf("baro: trying again in %s (%d)%s", s.Delay.Round(10*time.Millisecond), s.Attempt, because(s))
		}
	case connection.Missed:
		p.notes.printf("baro: %v", s.Err)
	}
}

func because(s connection.State) string {
	if s.Attempt > 1 && s.Err != nil {
		return ": " + s.Err.Error()
	}
	return ""
}

// describe says what a connection is.
func describe(i connection.Info) string {
	parts := []string{"connected to " + i.URL, string(i.Protocol)}
	for _, part := range []string{i.Transport, i.HTTP, i.TLS, i.Remote} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	if i.Subprotocol != "" {
		parts = append(parts, "subprotocol "+i.Subprotocol)
	}
	if i.Compressed {
		parts = append(parts, "permessage-deflate")
	}
	return strings.Join(parts, ", ")
}

// stats tells how much has passed.
func (n *notes) stats(i connection.Info, took time.Duration) {
	s := i.Stats
	n.printf("baro: sent %d messages, %d bytes%s; received %d messages, %d bytes%s; in %s", s.MessagesOut, s.BytesOut, ratio(s.BytesOut, s.WireOut),
		s.MessagesIn, s.BytesIn, ratio(s.BytesIn, s.WireIn), took.Round(time.Millisecond))
	if s.Reconnects > 0 {
		n.printf("baro: reconnected %d times", s.Reconnects)
	}
}

// ratio tells what compression has done.
func ratio(size, wire int64) string {
	if wire == 0 || size == 0 {
		return ""
	}
	return fmt.Sprintf(" (%d on the wire, %.1f%%)", wire, 100*float64(wire)/float64(size))
}
