package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"baro.dev/ws"
)

// frame is what /ws sends.
type frame struct {
	ID           int
	OK           json.RawMessage
	Error        *struct{ Code string }
	Message      json.RawMessage
	Connected    json.RawMessage
	Unsubscribed json.RawMessage
	Present      json.RawMessage
	Disconnect   json.RawMessage
}

func readFrame(ctx context.Context, c *ws.Conn) (f frame, err error) {
	m, err := c.Read(ctx)
	if err != nil {
		return f, err
	}
	if err := json.Unmarshal(m.Data, &f); err != nil {
		return f, fmt.Errorf("%w: %w in %.200s", errProtocol, err, m.Data)
	}
	return f, nil
}

func writeJSON(ctx context.Context, c *ws.Conn, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return c.Write(ctx, ws.Text, text)
}

// dialMultiplexed connects to /ws as an anonymous client.
func (r *reading) dialMultiplexed(ctx context.Context) (*ws.Conn, error) {
	c, err := r.dialWebSocket(ctx, r.url()+"ws")
	if err != nil {
		return nil, err
	}
	f, err := readFrame(ctx, c)
	if err == nil && f.Connected == nil {
		err = fmt.Errorf("%w: it begins with %+v", errProtocol, f)
	}
	if err != nil {
		c.CloseNow()
		return nil, err
	}
	return c, nil
}

func readMultiplexed(ctx context.Context, r *reading) error {
	c, err := r.dialMultiplexed(ctx)
	if err != nil {
		return err
	}
	defer c.CloseNow()
	if err := writeJSON(ctx, c, map[string]any{"id": 1, "subscribe": map[string]string{"channel": r.name, "after": r.after()}}); err != nil {
		return err
	}
	for {
		f, err := readFrame(ctx, c)
		switch {
		case err != nil:
			return err
		case f.Error != nil && f.Error.Code == "not_recoverable" || strings.Contains(string(f.Unsubscribed), "not_recoverable"):
			return errReset
		case f.Error != nil && f.Error.Code == "store_failed": // the server is there before what joins it with others
			return io.EOF
		case f.Error != nil:
			return fmt.Errorf("%w: %s", errProtocol, f.Error.Code)
		case f.Unsubscribed != nil:
			return io.EOF
		case f.Message != nil:
			if more, err := r.envelope(f.Message); err != nil || !more {
				return err
			}
		}
	}
}
