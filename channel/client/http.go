package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"baro.dev/channel"
	"baro.dev/internal/webclient"
)

func newHTTP(s *settings) http.Client {
	return http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     webclient.Route{TLS: s.TLS, Proxy: s.Proxy, DialContext: s.DialContext, Timeout: s.Timeout}.Transport(),
	}
}

// do sends a request for a channel; "" is for the probe. An answer that is not 200 is an error.
func (c *Client) do(ctx context.Context, method, name string, query url.Values, body []byte, header ...string) (*http.Response, error) {
	u := *c.set.base
	u.Path += "c/" + name
	if name == "" {
		u.Path = c.set.base.Path + "ws"
	}
	u.RawQuery = query.Encode()
	r, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("channel/client: %w", err)
	}
	if r.Header, err = c.authorization(ctx); err != nil {
		return nil, err
	}
	if host := r.Header.Get("Host"); host != "" {
		r.Host = host
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, fmt.Errorf("channel/client: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		said, err := io.ReadAll(io.LimitReader(resp.Body, maxError))
		return nil, errors.Join(refusal(resp.StatusCode, resp.Header, said), err)
	}
	return resp, nil
}

// probe asks whether HTTP passes: the server says that this is for WebSockets.
func (c *Client) probe() error {
	ctx, cancel := context.WithTimeout(c.ctx, c.set.Timeout)
	defer cancel()
	resp, err := c.do(ctx, http.MethodGet, "", nil, nil)
	if err == nil {
		resp.Body.Close()
		return violation("the server has no /ws")
	}
	if e, ok := errors.AsType[*Error](err); ok && e.Code == "upgrade_required" {
		return nil
	}
	return err
}

// post publishes by a request.
func (c *Client) post(ctx context.Context, name string, m *channel.Message) (at channel.Position, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.set.Timeout)
	defer cancel()
	defer context.AfterFunc(c.ctx, cancel)()
	kind := "text/plain;charset=UTF-8"
	if m.Binary {
		kind = "application/octet-stream"
	}
	query := url.Values{}
	if m.Event != "" {
		query.Set("event", m.Event)
	}
	if m.ID != "" {
		query.Set("id", m.ID)
	}
	resp, err := c.do(ctx, http.MethodPost, name, query, m.Data, "Content-Type", kind, "Idempotency-Key", m.Key)
	if err != nil {
		if c.ctx.Err() != nil {
			err = ErrClosed
		}
		return at, err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxError)).Decode(&at); err != nil {
		return at, fmt.Errorf("channel/client: the answer to a POST: %w", err)
	}
	return at, nil
}

// polled is the answer to a poll.
type polled struct {
	Messages []channel.Message
	Epoch    string
	Offset   uint64
	Next     string
}

func (c *Client) poll(ctx context.Context, name, after string, wait time.Duration) (p polled, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.set.Timeout+wait)
	defer cancel()
	query := url.Values{"after": {after}}
	if wait > 0 {
		query.Set("wait", wait.String())
	}
	resp, err := c.do(ctx, http.MethodGet, name, query, nil, "Accept", "application/json")
	if err != nil {
		return p, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, c.set.MaxMessage+1))
	switch {
	case err != nil:
		return p, fmt.Errorf("channel/client: %w", err)
	case int64(len(text)) > c.set.MaxMessage:
		return p, violation("an answer has more than %d bytes", c.set.MaxMessage)
	}
	if err := json.Unmarshal(text, &p); err != nil {
		return p, violation("the answer to a poll: %w", err)
	}
	next, err := channel.ParsePosition(p.Next)
	if err != nil {
		return p, violation("the answer to a poll: %w", err)
	}
	p.Epoch, p.Offset = next.Epoch, next.Offset
	return p, nil
}
