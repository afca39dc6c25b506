package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"baro.dev/channel"
	"baro.dev/channel/client"
	"baro.dev/ws"
)

// errReset means that the server says that what was missed cannot be had.
var errReset = errors.New("the server cannot recover what was missed")

// A reading is a client that reads a channel, cut by cut.
type reading struct {
	cutter
	http   *http.Client
	url    func() string // of the server, with a slash at its end
	name   string        // of the channel
	accept func(channel.Message) bool
	after  func() string // what to go on after: a position, or "oldest"
}

// A transport reads until the connection breaks, or accept wants no more, and then returns nil. An error that is not
// [errReset] is the network's.
type transport func(ctx context.Context, r *reading) error

var transports = map[string]transport{
	"WebSocket":              readPlain,
	"WebSocket, envelopes":   readEnvelopes,
	"SSE":                    readEvents,
	"NDJSON":                 readLines,
	"long polling":           func(ctx context.Context, r *reading) error { return readPolls(ctx, r, "wait=10s", 0) },
	"polling":                func(ctx context.Context, r *reading) error { return readPolls(ctx, r, "", 200*time.Millisecond) },
	"/ws":                    readMultiplexed,
	"Socket.IO":              func(ctx context.Context, r *reading) error { return readSocketIO(ctx, r, "websocket") },
	"the Go client":          func(ctx context.Context, r *reading) error { return readClient(ctx, r, client.WebSocket) },
	"the Go client by SSE":   func(ctx context.Context, r *reading) error { return readClient(ctx, r, client.EventStream) },
	"Socket.IO over polling": func(ctx context.Context, r *reading) error { return readSocketIO(ctx, r, "polling") },
}

func (r *reading) channelURL() string { return r.url() + "c/" + r.name }

// run reads until accept wants no more, coming back whenever it was cut. The error is that of ctx, or what cannot be mended.
func (r *reading) run(ctx context.Context, read transport) error {
	r.http = r.client()
	defer r.http.CloseIdleConnections()
	for {
		err := read(ctx, r)
		switch {
		case err == nil || errors.Is(err, errReset) || errors.Is(err, errProtocol):
			return err
		case ctx.Err() != nil:
			return fmt.Errorf("%w, the last time because of: %w", ctx.Err(), err)
		}
		pause(ctx, 10*time.Millisecond)
	}
}

// errProtocol is what no cut explains.
var errProtocol = errors.New("the server broke the protocol")

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// open makes a request that is answered with 200. A server that is away or about to stop is no mistake.
func (r *reading) open(ctx context.Context, query, accept string, header ...string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.channelURL()+"?"+query, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", accept)
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := r.http.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode == http.StatusOK {
		return response, nil
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	switch {
	case err != nil || response.StatusCode == http.StatusServiceUnavailable:
		return nil, fmt.Errorf("status %d, %s, %w", response.StatusCode, body, err)
	case response.StatusCode == http.StatusGone:
		return nil, fmt.Errorf("%w: %s", errReset, body)
	}
	return nil, fmt.Errorf("%w: status %d, %s", errProtocol, response.StatusCode, body)
}

func readEvents(ctx context.Context, r *reading) error {
	last := r.after()
	if last == "oldest" {
		last = ""
	}
	response, err := r.open(ctx, "after=oldest", "text/event-stream", "Last-Event-ID", last)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	lines := bufio.NewReader(response.Body)
	var id, event, data string
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return err // what is unfinished does not count
		}
		field, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "id":
			id = value
		case "event":
			event = value
		case "data":
			data += value + "\n"
		}
		if line != "\n" {
			continue
		}
		if event == "baro.reset" {
			return fmt.Errorf("%w: %s", errReset, data)
		}
		if data != "" {
			at, err := channel.ParsePosition(id)
			if err != nil {
				return fmt.Errorf("%w: %w", errProtocol, err)
			}
			m := channel.Message{Epoch: at.Epoch, Offset: at.Offset, Data: []byte(strings.TrimSuffix(data, "\n")), Binary: event == "message;base64"}
			if m.Binary {
				if m.Data, err = base64.StdEncoding.DecodeString(string(m.Data)); err != nil {
					return fmt.Errorf("%w: %w", errProtocol, err)
				}
			}
			if !r.accept(m) {
				return nil
			}
		}
		event, data = "", ""
	}
}

func readLines(ctx context.Context, r *reading) error {
	response, err := r.open(ctx, "after="+r.after(), "application/x-ndjson")
	if err != nil {
		return err
	}
	defer response.Body.Close()
	lines := bufio.NewReader(response.Body)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return err
		}
		if len(line) == 1 {
			continue
		}
		if more, err := r.envelope(line); err != nil || !more {
			return err
		}
	}
}

// envelope accepts a message.
func (r *reading) envelope(text []byte) (more bool, err error) {
	var m channel.Message
	if err := m.UnmarshalJSON(text); err != nil {
		return false, fmt.Errorf("%w: %w in %.200s", errProtocol, err, text)
	}
	return r.accept(m), nil
}

type polled struct {
	Messages []channel.Message
	Next     string
}

func (r *reading) poll(ctx context.Context, query string) (polled, error) {
	response, err := r.open(ctx, query, "application/json")
	if err != nil {
		return polled{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return polled{}, err
	}
	var p polled
	if err := json.Unmarshal(body, &p); err != nil {
		return p, fmt.Errorf("%w: %w in %.200s", errProtocol, err, body)
	}
	return p, nil
}

func readPolls(ctx context.Context, r *reading, query string, every time.Duration) error {
	for {
		p, err := r.poll(ctx, query+"&after="+r.after())
		if err != nil {
			return err
		}
		for _, m := range p.Messages {
			if !r.accept(m) {
				return nil
			}
		}
		pause(ctx, every)
	}
}

func (r *reading) dialWebSocket(ctx context.Context, url string, subprotocols ...string) (*ws.Conn, error) {
	c, response, err := ws.Dial(ctx, url, &ws.DialOptions{
		Subprotocols: subprotocols, DialContext: r.dial, Limits: ws.Limits{MaxMessageSize: 4 << 20},
	})
	if err != nil && response != nil && response.StatusCode == http.StatusGone {
		return nil, fmt.Errorf("%w: %w", errReset, err)
	}
	return c, err
}

func readEnvelopes(ctx context.Context, r *reading) error {
	c, err := r.dialWebSocket(ctx, r.channelURL()+"?after="+r.after(), "baro.v1.json")
	if err != nil {
		return err
	}
	defer c.CloseNow()
	for m, err := range c.Messages(ctx) {
		if err != nil {
			return err
		}
		if strings.HasPrefix(string(m.Data), `{"event":"baro.reset"`) {
			return fmt.Errorf("%w: %s", errReset, m.Data)
		}
		if more, err := r.envelope(m.Data); err != nil || !more {
			return err
		}
	}
	return io.EOF
}

// readPlain takes its first position from a poll, and counts frames from there on.
func readPlain(ctx context.Context, r *reading) error {
	after := r.after()
	for after == "oldest" {
		p, err := r.poll(ctx, "after=oldest")
		if err != nil {
			return err
		}
		for _, m := range p.Messages {
			if !r.accept(m) {
				return nil
			}
		}
		after = p.Next
	}
	at, err := channel.ParsePosition(after)
	if err != nil {
		return fmt.Errorf("%w: %w", errProtocol, err)
	}
	c, err := r.dialWebSocket(ctx, r.channelURL()+"?after="+after)
	if err != nil {
		return err
	}
	defer c.CloseNow()
	for m, err := range c.Messages(ctx) {
		if ws.CloseStatus(err) == 4410 {
			return fmt.Errorf("%w: %w", errReset, err)
		}
		if err != nil {
			return err
		}
		at.Offset++
		if !r.accept(channel.Message{Epoch: at.Epoch, Offset: at.Offset, Data: m.Data, Binary: m.Type == ws.Binary}) {
			return nil
		}
	}
	return io.EOF
}
