package main

import (
	"bytes"
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
	"baro.dev/ws"
)

// A publishing publishes the messages of one publisher, one after the other, and notes where each is acknowledged.
type publishing struct {
	reading      // for its connections
	number       int
	each         int
	large        int // how many bytes each message has more
	retried      int
	begun        bool // a message was, and is not acknowledged yet: it is tried until it is
	acknowledged []channel.Position
	stop         <-chan struct{}  // closed when it is enough, whatever each says; may be nil
	pace         <-chan time.Time // there is one message for each tick; nil: as fast as it gets
}

// due says whether another message is to be published, when that is.
func (p *publishing) due() bool {
	if p.begun {
		return true
	}
	if p.pace != nil {
		select {
		case <-p.stop:
		case <-p.pace:
		}
	}
	select {
	case <-p.stop:
		return false
	default:
		p.begun = len(p.acknowledged) < p.each
		return p.begun
	}
}

// acknowledge notes an answer {offset, epoch}.
func (p *publishing) acknowledge(text []byte) error {
	var at channel.Position
	if err := json.Unmarshal(text, &at); err != nil || at.Offset == 0 {
		return fmt.Errorf("%w: publishing is answered with %.200s", errProtocol, text)
	}
	if n := len(p.acknowledged); n > 0 {
		if last := p.acknowledged[n-1]; at.Epoch != last.Epoch || at.Offset <= last.Offset {
			return fmt.Errorf("%w: after %v, %v is acknowledged", errProtocol, last, at)
		}
	}
	p.acknowledged = append(p.acknowledged, at)
	p.begun = false
	return nil
}

// publishHTTP posts each message to the channel until it is acknowledged, with the same Idempotency-Key, over connections that
// are cut.
func (p *publishing) publishHTTP(ctx context.Context) error {
	return p.publishWith(ctx, func(data []byte, binary bool) (path, kind string, body []byte, err error) {
		if binary {
			return "c/" + p.name, "application/octet-stream", data, nil
		}
		return "c/" + p.name, "text/plain", data, nil
	})
}

// publishAPI is publishHTTP by the API for backends.
func (p *publishing) publishAPI(ctx context.Context) error {
	return p.publishWith(ctx, func(data []byte, binary bool) (path, kind string, body []byte, err error) {
		message := map[string]string{"channel": p.name, "data": string(data)}
		if binary {
			message = map[string]string{"channel": p.name, "base64": base64.StdEncoding.EncodeToString(data)}
		}
		body, err = json.Marshal(message)
		return "api/v1/publish", "application/json", body, err
	})
}

func (p *publishing) publishWith(ctx context.Context, request func(data []byte, binary bool) (path, kind string, body []byte, err error)) error {
	p.http = p.client()
	defer p.http.CloseIdleConnections()
	for p.due() {
		i := len(p.acknowledged)
		data, binary := body(p.number, i)
		path, kind, text, err := request(append(data, strings.Repeat(" ", p.large)...), binary)
		if err == nil {
			text, err = p.insist(ctx, path, text, kind, fmt.Sprintf("publisher-%d-%d", p.number, i))
		}
		if err == nil {
			err = p.acknowledge(text)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// insist posts something until it is acknowledged, whatever happens to the connection or the server, which may move.
func (p *publishing) insist(ctx context.Context, path string, data []byte, kind, key string) ([]byte, error) {
	for {
		text, err := p.post(ctx, p.url()+path, data, kind, key)
		if err == nil || errors.Is(err, errProtocol) || ctx.Err() != nil {
			return text, err
		}
		p.retried++
		pause(ctx, 5*time.Millisecond)
	}
}

// post posts something. What is worth trying again is an error other than errProtocol.
func (p *publishing) post(ctx context.Context, url string, data []byte, kind, key string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", kind)
	request.Header.Set("Idempotency-Key", key)
	response, err := p.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		return nil, err
	case response.StatusCode == http.StatusOK:
		return text, nil
	case response.StatusCode >= 500 || response.StatusCode == http.StatusBadRequest && strings.Contains(string(text), "invalid_body"):
		return nil, fmt.Errorf("status %d, %s", response.StatusCode, text)
	}
	return nil, fmt.Errorf("%w: status %d, %s", errProtocol, response.StatusCode, text)
}

// publishWebSocket publishes envelopes, each of which comes back to it, and leaves and comes back now and then.
func (p *publishing) publishWebSocket(ctx context.Context) error {
	for p.due() {
		c, err := p.dialWebSocket(ctx, p.channelURL(), "baro.v1.json")
		if err != nil {
			return err
		}
		err = p.publishEnvelopes(ctx, c)
		c.CloseNow()
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *publishing) publishEnvelopes(ctx context.Context, c *ws.Conn) error {
	for n := 0; n < 300 && p.due(); n++ {
		data, binary := body(p.number, len(p.acknowledged))
		envelope := map[string]string{"data": string(data)}
		if binary {
			envelope = map[string]string{"base64": base64.StdEncoding.EncodeToString(data)}
		}
		text, err := json.Marshal(envelope)
		if err != nil {
			return err
		}
		if err := c.Write(ctx, ws.Text, text); err != nil {
			return err
		}
		for {
			m, err := c.Read(ctx)
			if err != nil {
				return err
			}
			var came channel.Message
			if err := came.UnmarshalJSON(m.Data); err != nil {
				return fmt.Errorf("%w: %w in %.200s", errProtocol, err, m.Data)
			}
			if bytes.Equal(came.Data, data) {
				if err := p.acknowledge([]byte(fmt.Sprintf(`{"offset":%d,"epoch":%q}`, came.Offset, came.Epoch))); err != nil {
					return err
				}
				break
			}
		}
	}
	return nil
}

// publishSocketIO publishes events, each with a key until it is acknowledged, over connections that are cut.
func (p *publishing) publishSocketIO(ctx context.Context) error {
	return p.again(ctx, func() error {
		s, err := p.dialSocketIO(ctx, "websocket", "")
		if err != nil {
			return err
		}
		defer s.link.close()
		for err == nil && p.due() {
			err = p.publishEvent(ctx, s)
		}
		return err
	})
}

// again has do done until that is without an error that a cut explains.
func (p *publishing) again(ctx context.Context, do func() error) error {
	for {
		err := do()
		if err == nil || errors.Is(err, errProtocol) || ctx.Err() != nil {
			return err
		}
		p.retried++
		pause(ctx, 5*time.Millisecond)
	}
}

func (p *publishing) publishEvent(ctx context.Context, s *socketIO) error {
	data, binary := body(p.number, len(p.acknowledged))
	options := map[string]string{"key": fmt.Sprintf("publisher-%d-%d", p.number, len(p.acknowledged))}
	var ack string
	var err error
	if binary {
		s.acks++
		ack = fmt.Sprintf("43%d[", s.acks)
		c := s.link.(socketLink).c
		if err = c.Write(ctx, ws.Text, fmt.Appendf(nil, `451-%d["publish",%q,{"_placeholder":true,"num":0},{"key":%q}]`, s.acks, p.name, options["key"])); err == nil {
			err = c.Write(ctx, ws.Binary, data)
		}
	} else {
		ack, err = s.emit(ctx, "publish", p.name, string(data), options)
	}
	if err != nil {
		return err
	}
	for {
		packet, _, err := s.next(ctx)
		if err != nil {
			return err
		}
		if rest, ok := strings.CutPrefix(packet, ack); ok {
			return p.acknowledge([]byte(strings.TrimSuffix(rest, "]")))
		}
	}
}

// publishMultiplexed is publishSocketIO over /ws.
func (p *publishing) publishMultiplexed(ctx context.Context) error {
	return p.again(ctx, func() error {
		c, err := p.dialMultiplexed(ctx)
		if err != nil {
			return err
		}
		defer c.CloseNow()
		for err == nil && p.due() {
			err = p.publishCommand(ctx, c)
		}
		return err
	})
}

func (p *publishing) publishCommand(ctx context.Context, c *ws.Conn) error {
	i := len(p.acknowledged)
	data, binary := body(p.number, i)
	command := map[string]string{"channel": p.name, "key": fmt.Sprintf("publisher-%d-%d", p.number, i)}
	if binary {
		command["base64"] = base64.StdEncoding.EncodeToString(data)
	} else {
		command["data"] = string(data)
	}
	if err := writeJSON(ctx, c, map[string]any{"id": i + 1, "publish": command}); err != nil {
		return err
	}
	f, err := readFrame(ctx, c)
	for err == nil && f.Disconnect != nil { // the server stops: it may answer yet
		f, err = readFrame(ctx, c)
	}
	if err != nil {
		return err
	}
	if f.ID == i+1 && f.Error != nil && f.Error.Code == "stopping" {
		return io.EOF
	}
	if f.ID != i+1 || f.Error != nil {
		return fmt.Errorf("%w: command %d is answered with %+v", errProtocol, i+1, f)
	}
	return p.acknowledge(f.OK)
}
