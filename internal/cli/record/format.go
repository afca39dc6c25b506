package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
	"unicode/utf8"

	"baro.dev/internal/cli/connection"
)

// Version is that of the format. A reader refuses others.
const Version = 1

// format is what the first line says that this is.
const format = "recording"

// MaxLine is how long a line may be, in bytes: a message of 16 MiB, each byte of which may be an escape of six.
const MaxLine = 100 << 20

// Header is the first line.
type Header struct {
	Baro        string              `json:"baro"` // "recording"
	Version     int                 `json:"version"`
	URL         string              `json:"url,omitempty"` // without its query, which may have secrets
	Protocol    connection.Protocol `json:"protocol,omitempty"`
	HTTP        string              `json:"http,omitempty"`
	Subprotocol string              `json:"subprotocol,omitempty"`
	Namespace   string              `json:"namespace,omitempty"` // of Socket.IO
	Started     time.Time           `json:"started"`
}

// NewHeader is the first line of a recording of a connection.
func NewHeader(i connection.Info, started time.Time) Header {
	return Header{
		Baro: format, Version: Version, URL: i.URL, Protocol: i.Protocol, HTTP: i.HTTP, Subprotocol: i.Subprotocol, Namespace: i.Namespace,
		Started: started.UTC().Truncate(time.Millisecond),
	}
}

func (h *Header) check() error {
	switch {
	case h.Baro != format:
		return errors.New(`it does not begin with {"baro":"recording",…}: it is no recording`)
	case h.Version != Version:
		return fmt.Errorf("it is of version %d of the format, and not of %d", h.Version, Version)
	case h.Protocol != "" && !slices.Contains(connection.Protocols, h.Protocol):
		return fmt.Errorf("the protocol %.40q is not known", h.Protocol)
	}
	return nil
}

// A Direction is whether something came or was sent.
type Direction string

// The directions, as the side sees it that connected.
const (
	In  Direction = "in"
	Out Direction = "out"
)

// A Type is what a line tells.
type Type string

// The types.
const (
	Open   Type = "open"   // the connection was made
	Text   Type = "text"   // a message: Data
	Binary Type = "binary" // a message: Base64
	Event  Type = "event"  // of Socket.IO: Event, and Args, a JSON array
	Ack    Type = "ack"    // of Socket.IO: it acknowledges the event of the other direction that has the same Ack, with Args
	Close  Type = "close"  // the connection has ended: Code, Reason
)

// Entry is a line but the first.
type Entry struct {
	// T is when, in seconds since the connection was made; a Writer sets it.
	T    float64   `json:"t"`
	Dir  Direction `json:"dir"`
	Type Type      `json:"type"`

	Event  string          `json:"event,omitempty"` // of a Socket.IO event, or of an event stream
	ID     string          `json:"id,omitempty"`    // of a message, if it has one
	Data   *string         `json:"data,omitempty"`
	Base64 []byte          `json:"base64,omitempty"` // bytes, and text that is not UTF-8
	Args   json.RawMessage `json:"args,omitempty"`

	// Ack is which acknowledgement an event wants, or an Ack is: each direction counts from 1. 0: none.
	Ack int `json:"ack,omitempty"`

	Code   int    `json:"code,omitempty"`
	Reason string `json:"reason,omitempty"`

	// Redacted says that something of the message was replaced by "REDACTED".
	Redacted bool `json:"redacted,omitempty"`

	line int
}

// NewEntry is the line of a message, of which it has copies.
func NewEntry(dir Direction, m *connection.Message) Entry {
	e := Entry{Dir: dir, Event: m.Event, ID: m.ID}
	switch {
	case m.Kind == connection.Event && json.Valid(m.Data):
		e.Type, e.Args = Event, bytes.Clone(m.Data)
	case m.Kind == connection.Binary || !utf8.Valid(m.Data):
		e.Type, e.Base64 = Binary, bytes.Clone(m.Data)
		if m.Kind == connection.Text {
			e.Type = Text
		}
	default:
		text := string(m.Data)
		e.Type, e.Data = Text, &text
	}
	return e
}

// seconds has microseconds, and nothing finer.
func seconds(t time.Duration) float64 { return float64(t.Microseconds()) / 1e6 }

// Message is the message of the line; false if it tells something else.
func (e *Entry) Message() (connection.Message, bool) {
	m := connection.Message{Event: e.Event, ID: e.ID}
	switch e.Type {
	case Text:
		m.Data = e.Base64
		if e.Data != nil {
			m.Data = []byte(*e.Data)
		}
	case Binary:
		m.Kind, m.Data = connection.Binary, e.Base64
	case Event:
		m.Kind, m.Data = connection.Event, e.Args
	default:
		return m, false
	}
	return m, true
}

// Show is what a line tells, in words for people, as far as so many bytes go; cut says that there is more. It is not made safe.
func (e *Entry) Show(limit int) (text string, cut bool) {
	if e.Type == Close {
		return fmt.Sprintf("close %d %s", e.Code, e.Reason), false
	}
	data := e.body()
	if cut = len(data) > limit; cut {
		data = data[:limit]
	}
	text = string(data)
	if e.Type == Binary {
		text = fmt.Sprintf("%x", data)
	}
	switch {
	case e.Type == Ack:
		text = fmt.Sprintf("ack %d %s", e.Ack, text)
	case e.Event != "":
		text = e.Event + " " + text
	}
	return text, cut
}

// maxSeconds is a year: what takes longer is no recording.
const maxSeconds = 366 * 24 * 3600

func (e *Entry) check() error {
	switch {
	case math.IsNaN(e.T) || e.T < 0 || e.T > maxSeconds:
		return fmt.Errorf("the time %v is not between 0 and a year", e.T)
	case e.Dir != In && e.Dir != Out:
		return fmt.Errorf("dir is %.20q, and must be in or out", e.Dir)
	case e.Ack < 0 || e.Ack > 0 && e.Type != Event && e.Type != Ack:
		return errors.New("ack is a number from 1 on, of an event or of what acknowledges one")
	}
	switch e.Type {
	case Open:
		return nil
	case Close:
		if e.Code < 0 || e.Code > 0xFFFF || len(e.Reason) > 1<<10 {
			return errors.New("it closes with a code or reason that there cannot be")
		}
		return nil
	case Text:
		if (e.Data == nil) == (e.Base64 == nil) {
			return errors.New("a text has either data or base64")
		}
	case Binary:
		if e.Data != nil || e.Args != nil {
			return errors.New("a binary message has base64")
		}
	case Event:
		if t := bytes.TrimSpace(e.Args); e.Event == "" || len(t) == 0 || t[0] != '[' {
			return errors.New("an event has a name in event, and an array in args")
		}
	case Ack:
		if t := bytes.TrimSpace(e.Args); e.Ack == 0 || len(t) == 0 || t[0] != '[' {
			return errors.New("an acknowledgement has the number of that in ack, and an array in args")
		}
	default:
		return fmt.Errorf("the type %.20q is not known", e.Type)
	}
	return nil
}

// encode is a line, with its end.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	if b.Len() > MaxLine {
		return nil, fmt.Errorf("a message makes a line of %d bytes: %d are the most", b.Len(), MaxLine)
	}
	return b.Bytes(), nil
}
