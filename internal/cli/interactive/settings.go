package interactive

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"baro.dev/internal/cli/terminal"
)

type flag = atomic.Bool

// toggle is a command that turns something on or off; without an argument it does the other than before.
func toggle(which func(*session) *flag) func(*session, context.Context, string) error {
	return func(s *session, _ context.Context, argument string) error {
		f := which(s)
		switch argument {
		case "on", "off":
			f.Store(argument == "on")
		case "":
			f.Store(!f.Load())
		default:
			return fmt.Errorf("%s is neither on nor off", argument)
		}
		s.notice(map[bool]string{true: "On.", false: "Off."}[f.Load()])
		return nil
	}
}

// info tells what is known, a line each.
func (s *session) info(context.Context, string) error {
	i := s.conn.Info()
	rows := [][2]string{
		{"URL", i.URL}, {"protocol", string(i.Protocol)}, {"transport", i.Transport}, {"HTTP", i.HTTP}, {"TLS", i.TLS},
		{"server", i.Remote}, {"subprotocol", i.Subprotocol}, {"namespace", i.Namespace}, {"id", i.ID}, {"position", i.Position},
		{"received", fmt.Sprintf("%s, %s", count(int(i.Stats.MessagesIn), "message"), count(int(i.Stats.BytesIn), "byte"))},
		{"sent", fmt.Sprintf("%s, %s", count(int(i.Stats.MessagesOut), "message"), count(int(i.Stats.BytesOut), "byte"))},
	}
	if i.Compressed {
		rows = append(rows, [2]string{"compressed", ratio(i.Stats.WireIn, i.Stats.BytesIn) + " in, " + ratio(i.Stats.WireOut, i.Stats.BytesOut) + " out"})
	}
	if i.Stats.Reconnects > 0 {
		rows = append(rows, [2]string{"reconnects", fmt.Sprint(i.Stats.Reconnects)})
	}
	s.mu.Lock()
	if s.latency > 0 {
		rows = append(rows, [2]string{"latency", roundDuration(s.latency)})
	}
	s.mu.Unlock()
	s.table(rows)
	names := make([]string, 0, len(i.Header))
	for name := range i.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range i.Header[name] {
			s.print(s.o.Colors.Paint(terminal.Dim, terminal.SafeLine(name+": "+value)))
		}
	}
	return nil
}

// ratio says to how much of their size messages were compressed.
func ratio(wire, plain int64) string {
	if plain == 0 || wire == 0 {
		return "nothing"
	}
	return fmt.Sprintf("to %.0f %%", 100*float64(wire)/float64(plain))
}

// table shows names and values; what has no value is left out.
func (s *session) table(rows [][2]string) {
	widest := 0
	for _, r := range rows {
		widest = max(widest, len(r[0]))
	}
	if columns, _ := s.size(); columns < narrow {
		widest = 0
	}
	var b strings.Builder
	for _, r := range rows {
		if r[1] != "" {
			b.WriteString(s.o.Colors.Paint(terminal.Dim, fmt.Sprintf("%-*s ", widest, r[0])) + terminal.SafeLine(r[1]) + "\n")
		}
	}
	s.print(strings.TrimSuffix(b.String(), "\n"))
}

// print shows what is safe already.
func (s *session) print(text string) { _, _ = s.ui.Write([]byte(text + "\n")) }

func (s *session) help(context.Context, string) error {
	columns, _ := s.size()
	c := s.o.Colors
	var b strings.Builder
	for _, command := range commands() {
		head := strings.TrimSpace(command.name + " " + command.arguments)
		if columns >= 80 {
			b.WriteString(c.Paint(terminal.Blue, fmt.Sprintf("%-30s", head)))
			b.WriteString(command.help + "\n")
			continue
		}
		b.WriteString(c.Paint(terminal.Blue, head) + "\n  ")
		b.WriteString(strings.ReplaceAll(wrap(command.help, columns-3), "\n", "\n  ") + "\n")
	}
	s.print(b.String() + "\n" + wrap(keysHelp, min(columns, 100)-1))
	return nil
}

const keysHelp = "Enter sends; Alt-Enter makes a new line, and what is pasted keeps its lines. Tab completes, up and down go through what " +
	"was typed, Ctrl-R searches it; a line that begins with a space is not kept. // sends a text that begins with a slash. " +
	"Ctrl-C clears the line, or leaves; Ctrl-D leaves."
