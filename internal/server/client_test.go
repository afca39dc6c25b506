package server

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"baro.dev/channel"
	"baro.dev/ws"
	"baro.dev/ws/wsjson"
)

// event is a server-sent event, as a browser would dispatch it.
type event struct {
	name, data, id string
}

// events reads an event stream by the rules of HTML, "interpreting an event stream", and hands out what would be
// dispatched; last is the last event id, whether or not an event was.
type events struct {
	lines *bufio.Scanner
	last  string
	retry string
}

func newEvents(r io.Reader) *events {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 4<<20)
	lines.Split(splitLines)
	return &events{lines: lines}
}

// splitLines ends lines at CRLF, LF and CR.
func splitLines(data []byte, atEOF bool) (int, []byte, error) {
	i := bytes.IndexAny(data, "\r\n")
	switch {
	case i < 0 && atEOF:
		return len(data), nil, nil // an unfinished line is dropped
	case i < 0:
		return 0, nil, nil
	case data[i] == '\n':
		return i + 1, data[:i], nil
	case i+1 < len(data) && data[i+1] == '\n':
		return i + 2, data[:i], nil
	case i+1 == len(data) && !atEOF:
		return 0, nil, nil
	}
	return i + 1, data[:i], nil
}

func (e *events) next() (event, error) {
	var ev event
	var data strings.Builder
	id := e.last
	for e.lines.Scan() {
		line := e.lines.Text()
		if line == "" {
			e.last = id
			if data.Len() == 0 {
				ev = event{}
				continue
			}
			ev.data, ev.id = strings.TrimSuffix(data.String(), "\n"), id
			if ev.name == "" {
				ev.name = "message"
			}
			return ev, nil
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "event":
			ev.name = value
		case "data":
			data.WriteString(value + "\n")
		case "id":
			if !strings.Contains(value, "\x00") {
				id = value
			}
		case "retry":
			e.retry = value
		}
	}
	if err := e.lines.Err(); err != nil {
		return event{}, err
	}
	return event{}, io.EOF
}

// A reader reads a channel over one transport, from a position on (in its written form; empty: by the transport's
// default), until it has read enough: accept says so for each message.
type reader func(ctx context.Context, c *http.Client, url, after string, accept func(channel.Message) bool) error

var readers = map[string]reader{
	"WebSocket": readWebSocket,
	"SSE":       readSSE,
	"NDJSON":    readNDJSON,
	"long polling": func(ctx context.Context, c *http.Client, url, after string, accept func(channel.Message) bool) error {
		return readPolls(ctx, c, url, "wait=10s", after, accept)
	},
	"polling": func(ctx context.Context, c *http.Client, url, after string, accept func(channel.Message) bool) error {
		return readPolls(ctx, c, url, "", after, accept)
	},
}

func open(ctx context.Context, c *http.Client, url, accept string, header ...string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", accept)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := c.Do(r)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		defer response.Body.Close()
		body, _ := io.ReadAll(response.Body)
		return nil, fmt.Errorf("status %d, %s", response.StatusCode, body)
	}
	return response, nil
}

func readSSE(ctx context.Context, c *http.Client, url, after string, accept func(channel.Message) bool) error {
	// As a browser does: the URL stays, and Last-Event-ID is newer.
	response, err := open(ctx, c, url+"?after=oldest", typeSSE, "Last-Event-ID", after)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	stream := newEvents(response.Body)
	for {
		e, err := stream.next()
		if err != nil {
			return err
		}
		if e.name == "baro.reset" {
			return fmt.Errorf("reset to %s", e.id)
		}
		at, err := channel.ParsePosition(e.id)
		if err != nil {
			return err
		}
		m := channel.Message{Epoch: at.Epoch, Offset: at.Offset, Event: e.name, Data: []byte(e.data)}
		if m.Event, m.Binary = strings.CutSuffix(e.name, ";base64"); m.Binary {
			if m.Data, err = base64.StdEncoding.DecodeString(e.data); err != nil {
				return err
			}
		}
		if m.Event == "message" {
			m.Event = ""
		}
		if !accept(m) {
			return nil
		}
	}
}

func readNDJSON(ctx context.Context, c *http.Client, url, after string, accept func(channel.Message) bool) error {
	if after == "" {
		after = "oldest"
	}
	response, err := open(ctx, c, url+"?after="+after, typeNDJSON)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		if len(lines.Bytes()) == 0 {
			continue
		}
		var m channel.Message
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			return err
		}
		if !accept(m) {
			return nil
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return io.EOF
}

func readPolls(ctx context.Context, c *http.Client, url, query, after string, accept func(channel.Message) bool) error {
	if after == "" {
		after = "oldest"
	}
	for {
		response, err := open(ctx, c, url+"?"+query+"&after="+after, typeJSON)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil {
			return err
		}
		var answer pollAnswer
		if err := json.Unmarshal(body, &answer); err != nil {
			return err
		}
		for _, m := range answer.Messages {
			if !accept(m) {
				return nil
			}
		}
		after = answer.Next
	}
}

func readWebSocket(ctx context.Context, _ *http.Client, url, after string, accept func(channel.Message) bool) error {
	return readWebSocketWith(ctx, nil, url, after, accept)
}

// readWebSocketWith is readWebSocket over streams, if there are any.
func readWebSocketWith(ctx context.Context, streams ws.Streams, url, after string, accept func(channel.Message) bool) error {
	if after == "" {
		after = "oldest"
	}
	conn, _, err := ws.Dial(ctx, url+"?after="+after, &ws.DialOptions{
		Subprotocols: []string{subprotocolJSON},
		Streams:      streams,
		Limits:       ws.Limits{MaxMessageSize: 4 << 20},
	})
	if err != nil {
		return err
	}
	defer conn.CloseNow()
	for m, err := range wsjson.Messages[channel.Message](ctx, conn) {
		if err != nil {
			return err
		}
		if m.Event == "baro.reset" {
			return fmt.Errorf("reset to %v", m.Position())
		}
		if !accept(m) {
			return nil
		}
	}
	return io.EOF
}
