package server

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"baro.dev/channel"
	"baro.dev/internal/auth"
	"baro.dev/internal/clients"
)

// apiContent is a message, but for where it goes.
type apiContent struct {
	Data    *string         `json:"data"`   // text
	Base64  *string         `json:"base64"` // bytes
	JSON    json.RawMessage `json:"json"`   // text, too: of any JSON
	Event   string          `json:"event"`
	ID      string          `json:"id"`
	Key     string          `json:"key"`
	Exclude string          `json:"exclude"` // a client that does not get it
}

type apiMessage struct {
	Channel string `json:"channel"`
	apiContent
}

type apiBatch struct {
	Messages []apiMessage `json:"messages" max:"10000"`
}

type apiBroadcast struct {
	Users    []string   `json:"users" max:"10000"`
	Channels []string   `json:"channels" max:"10000"`
	Message  apiContent `json:"message"`
}

// apiPublished is what became of a message: its place, or why it was not published.
type apiPublished struct {
	Offset    uint64     `json:"offset,omitempty"`
	Epoch     string     `json:"epoch,omitempty"`
	ID        string     `json:"id,omitempty"`
	Duplicate bool       `json:"duplicate,omitempty"` // an earlier message had its key; the place is that one's
	Error     *errorBody `json:"error,omitempty"`
}

type apiResults struct {
	Results []apiPublished `json:"results"`
}

// message makes a message of what a backend has sent.
func (c *apiContent) message() (channel.Message, error) {
	m := channel.Message{Event: c.Event, ID: c.ID, Key: c.Key, Sender: c.Exclude, Exclude: c.Exclude != ""}
	n := 0
	if c.Data != nil {
		m.Data = []byte(*c.Data)
		n++
	}
	if c.JSON != nil {
		var compact bytes.Buffer
		if err := json.Compact(&compact, c.JSON); err != nil {
			return m, badRequest("invalid_data", "json: "+err.Error())
		}
		m.Data = compact.Bytes()
		n++
	}
	if c.Base64 != nil {
		data, err := base64.StdEncoding.DecodeString(*c.Base64)
		if err != nil {
			return m, badRequest("invalid_data", "base64: "+err.Error())
		}
		m.Data, m.Binary = data, true
		n++
	}
	if n != 1 {
		return m, badRequest("invalid_data", "a message has one of data, json and base64")
	}
	return m, nil
}

// key is the idempotency key of the request; "" for none. What of the body has a key of its own keeps that.
func (q *apiRequest) key() (string, error) {
	values := q.Header["Idempotency-Key"]
	switch {
	case len(values) == 0:
		return "", nil
	case len(values) > 1 || values[0] == "":
		return "", badRequest("invalid_key", "the header Idempotency-Key must be there once, and not empty")
	}
	return values[0], nil
}

// submit publishes what there is to publish of many, and says what became of each. items[i] is skipped where results[i] has an error.
func (q *apiRequest) submit(items []channel.Item, results []apiPublished) error {
	for i := range items {
		if results[i].Error != nil {
			continue
		}
		if err := channel.ValidateName(items[i].Channel); err != nil {
			results[i].fail(err)
		} else if err := q.grant.Check(auth.ScopePublish, items[i].Channel); err != nil {
			results[i].fail(err)
		}
	}
	rest := make([]channel.Item, 0, len(items))
	for i := range items {
		if results[i].Error == nil {
			rest = append(rest, items[i])
		}
	}
	done, err := q.server.putAll(rest)
	if err != nil {
		return err
	}
	next := 0
	for i := range results {
		if results[i].Error != nil {
			continue
		}
		d := done[next]
		next++
		if d.Err != nil {
			results[i].fail(d.Err)
			continue
		}
		results[i] = newAPIPublished(d)
	}
	return nil
}

func newAPIPublished(r channel.Result) apiPublished {
	return apiPublished{Offset: r.Message.Offset, Epoch: r.Message.Epoch, ID: r.Message.ID, Duplicate: r.Duplicate}
}

func (p *apiPublished) fail(err error) {
	answer := newErrorAnswer(err)
	p.Error = &answer.Error
}

func (a *api) publish(q *apiRequest, body apiMessage) (int, any, error) {
	key, err := q.key()
	if err != nil {
		return 0, nil, err
	}
	if key != "" && body.Key != "" && key != body.Key {
		return 0, nil, badRequest("invalid_key", "the header Idempotency-Key and the member key are different")
	}
	if body.Key == "" {
		body.Key = key
	}
	if err := channel.ValidateName(body.Channel); err != nil {
		return 0, nil, err
	}
	if err := q.grant.Check(auth.ScopePublish, body.Channel); err != nil {
		return 0, nil, err
	}
	m, err := body.message()
	if err != nil {
		return 0, nil, err
	}
	results, err := a.server.putAll([]channel.Item{{Channel: body.Channel, Message: m}})
	if err != nil {
		return 0, nil, err
	}
	done := results[0]
	if done.Err != nil {
		return 0, nil, done.Err
	}
	return 200, newAPIPublished(done), nil
}

func (a *api) batch(q *apiRequest, body apiBatch) (int, any, error) {
	key, err := q.key()
	if err != nil {
		return 0, nil, err
	}
	items, results := make([]channel.Item, len(body.Messages)), make([]apiPublished, len(body.Messages))
	for i := range body.Messages {
		m := &body.Messages[i]
		if key != "" && m.Key == "" {
			m.Key = fmt.Sprintf("%s/%d", key, i)
		}
		items[i].Channel = m.Channel
		if items[i].Message, err = m.message(); err != nil {
			results[i].fail(err)
		}
	}
	if err := q.submit(items, results); err != nil {
		return 0, nil, err
	}
	return 200, apiResults{results}, nil
}

// maxBroadcastBytes is how many bytes a message may come to in all channels that it goes to at once.
const maxBroadcastBytes = 64 << 20

func (a *api) broadcast(q *apiRequest, body apiBroadcast) (int, any, error) {
	key, err := q.key()
	if err != nil {
		return 0, nil, err
	}
	names := body.Channels
	if (len(body.Users) == 0) == (len(body.Channels) == 0) {
		return 0, nil, badRequest("invalid_broadcast", "a broadcast goes to either users or channels, and to one at least")
	}
	for _, user := range body.Users {
		if user == "" {
			return 0, nil, badRequest("invalid_user", "the name of a user is empty")
		}
		names = append(names, "@"+user)
	}
	if body.Message.Key == "" {
		body.Message.Key = key
	}
	m, err := body.Message.message()
	if err != nil {
		return 0, nil, err
	}
	if n := len(names); n > 1 && n*len(m.Data) > maxBroadcastBytes {
		return 0, nil, clients.ErrTooLarge.With(fmt.Sprintf("%d bytes to %d channels; the limit is %d bytes in all", len(m.Data), n, maxBroadcastBytes))
	}
	items, results := make([]channel.Item, len(names)), make([]apiPublished, len(names))
	for i, name := range names {
		items[i] = channel.Item{Channel: name, Message: m}
	}
	if err := q.submit(items, results); err != nil {
		return 0, nil, err
	}
	return 200, apiResults{results}, nil
}
