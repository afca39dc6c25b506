package listen

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"
	"unicode/utf8"

	"baro.dev/internal/cli/terminal"
)

// maxShown is how much of a message is shown to people, in bytes.
const maxShown = 1 << 10

// Printer prints events: a line each for people, an object each for programs. Either may be nil. Print may be called concurrently.
type Printer struct {
	Text io.Writer
	JSON io.Writer

	mu sync.Mutex
}

// jsonEvent is an event as JSON. Data that is no text is in Base64.
type jsonEvent struct {
	At         time.Time       `json:"at"`
	Event      string          `json:"event"`
	Connection uint64          `json:"connection,omitempty"`
	From       string          `json:"from,omitempty"`
	Path       string          `json:"path,omitempty"`
	Protocol   string          `json:"protocol,omitempty"`
	Name       string          `json:"name,omitempty"`
	Arguments  json.RawMessage `json:"arguments,omitempty"`
	Text       *string         `json:"text,omitempty"`
	Binary     []byte          `json:"binary,omitempty"`
	Error      string          `json:"error,omitempty"`
}

// Print prints an event. What cannot be written is left out.
func (p *Printer) Print(e *Event) {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.Text != nil {
		fmt.Fprintf(p.Text, "%s %s\n", now.Format("15:04:05.000"), terminal.SafeLine(e.String()))
	}
	if p.JSON == nil {
		return
	}
	j := jsonEvent{
		At: now, Event: e.Kind, Connection: e.Connection, From: e.From, Path: e.Path, Protocol: e.Protocol, Name: e.Name,
	}
	switch {
	case e.Kind != "message" && e.Kind != "sent":
	case e.Binary:
		j.Binary = e.Data
	case e.Name != "":
		j.Arguments = e.Data
	default:
		text := string(e.Data)
		j.Text = &text
	}
	if e.Err != nil {
		j.Error = e.Err.Error()
	}
	if line, err := json.Marshal(&j); err == nil {
		_, _ = p.JSON.Write(append(line, '\n'))
	}
}

// String says what has happened; what others sent is in it as they sent it.
func (e *Event) String() string {
	switch e.Kind {
	case "open":
		return fmt.Sprintf("#%d opened by %s for %s (%s)", e.Connection, e.From, e.Path, e.Protocol)
	case "message":
		return fmt.Sprintf("#%d < %s", e.Connection, e.content())
	case "sent":
		return fmt.Sprintf("#%d > %s", e.Connection, e.content())
	case "refused":
		return fmt.Sprintf("refused %s for %s: %v", e.From, e.Path, e.Err)
	}
	if e.Err != nil {
		return fmt.Sprintf("#%d closed: %v", e.Connection, e.Err)
	}
	return fmt.Sprintf("#%d closed", e.Connection)
}

func (e *Event) content() string {
	data, more := e.Data, ""
	if len(data) > maxShown {
		end := maxShown
		for end > maxShown-utf8.UTFMax && !utf8.RuneStart(data[end]) {
			end--
		}
		data, more = data[:end], fmt.Sprintf("… (%d bytes)", len(e.Data))
	}
	switch {
	case e.Name != "":
		return fmt.Sprintf("%s %s%s", e.Name, data, more)
	case e.Binary:
		return fmt.Sprintf("%d bytes: %s", len(e.Data), hexadecimal(e.Data))
	}
	return string(data) + more
}

// hexadecimal shows the first bytes.
func hexadecimal(data []byte) string {
	const some = 32
	if len(data) > some {
		return fmt.Sprintf("% x …", data[:some])
	}
	return fmt.Sprintf("% x", data)
}
