package channels

import (
	"encoding/json"
	"fmt"
	"io"
	"unicode/utf8"

	"baro.dev/channel"
	"baro.dev/channel/client"
	"baro.dev/internal/cli/terminal"
)

// A Printer writes what comes in channels.
type Printer struct {
	Out io.Writer
	// JSON writes an object a line: the envelope of a message and its channel.
	JSON bool
	// Terminal makes what others sent harmless.
	Terminal bool
	Colors   terminal.Colors
	// Names writes of which channel a message is.
	Names bool

	line []byte
}

// Message writes a message: its data and a newline, or its envelope.
func (p *Printer) Message(name string, m *channel.Message) error {
	p.line = p.line[:0]
	switch {
	case p.JSON:
		p.begin(name)
		at := len(p.line)
		p.line = m.AppendJSON(p.line)
		p.line[at] = ','
	default:
		p.head(name)
		p.line = p.text(p.line, m.Data, m.Binary)
	}
	return p.end()
}

// begin begins an object with the channel. What follows it is an object whose brace becomes a comma.
func (p *Printer) begin(name string) {
	text, _ := encode(name) // a string always encodes
	p.line = append(append(p.line, `{"channel":`...), text...)
}

// head is what goes before a message, if there are several channels.
func (p *Printer) head(name string) {
	if p.Names {
		p.line = p.Colors.Append(p.line, terminal.Cyan, []byte(p.safe(name)))
		p.line = append(p.line, '\t')
	}
}

func (p *Printer) safe(text string) string {
	if p.Terminal {
		return terminal.SafeLine(text)
	}
	return text
}

func (p *Printer) text(dst, data []byte, binary bool) []byte {
	switch {
	case !p.Terminal:
		return append(dst, data...)
	case binary && !utf8.Valid(data):
		return fmt.Appendf(dst, "%x", data)
	}
	return terminal.Safe(dst, data)
}

func (p *Printer) end() error {
	p.line = append(p.line, '\n')
	_, err := p.Out.Write(p.line)
	if cap(p.line) > 1<<20 {
		p.line = nil
	}
	return err
}

// Presence writes who is there, comes or goes. It writes nothing but objects: for people there is a line of Note.
func (p *Printer) Presence(e client.PresenceEvent) error {
	return p.object(e.Channel, struct {
		Presence client.PresenceKind `json:"presence"`
		Client   string              `json:"client,omitempty"`
		User     string              `json:"user,omitempty"`
		Info     json.RawMessage     `json:"info,omitempty"`
		First    bool                `json:"first,omitempty"`
		Last     bool                `json:"last,omitempty"`
		Users    int                 `json:"users"`
		Clients  int                 `json:"clients"`
		Members  []member            `json:"members,omitempty"`
	}{e.Kind, e.Client, e.User, e.Info, e.First, e.Last, e.Users, e.Clients, members(e.Members)})
}

type member struct {
	Client string          `json:"client"`
	User   string          `json:"user,omitempty"`
	Info   json.RawMessage `json:"info,omitempty"`
}

func members(all []client.Member) []member {
	list := make([]member, len(all))
	for i, m := range all {
		list[i] = member{m.Client, m.User, m.Info}
	}
	return list
}

// Gap writes that messages are lost, as an object.
func (p *Printer) Gap(name string, last, next channel.Position) error {
	type gap struct {
		Last string `json:"last,omitempty"`
		Next string `json:"next"`
	}
	g := gap{Next: next.String()}
	if last.Epoch != "" {
		g.Last = last.String()
	}
	return p.object(name, struct {
		Gap gap `json:"gap"`
	}{g})
}

func (p *Printer) object(name string, v any) error {
	text, err := encode(v)
	if err != nil {
		return err
	}
	p.line = p.line[:0]
	p.begin(name)
	p.line = append(append(p.line, ','), text[1:]...)
	return p.end()
}
