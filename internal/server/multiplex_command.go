package server

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"baro.dev/channel"
	"baro.dev/internal/clients"
	"baro.dev/internal/jsonstring"
	"baro.dev/internal/metrics"
	"baro.dev/ws"
)

const (
	// maxCommandID is the largest integer that all of JavaScript's numbers up to it can tell apart.
	maxCommandID = 1<<53 - 1
	// maxDepth is how deep arrays and objects may be nested in a frame.
	maxDepth = 64
)

// commandFrame is what a client sends: an id, if it wants an answer, and one command.
type commandFrame struct {
	ID          uint64              `json:"-"` // 0 where there is none
	Said        *uint64             `json:"id"`
	Connect     *connectCommand     `json:"connect"`
	Subscribe   *subscribeCommand   `json:"subscribe"`
	Unsubscribe *unsubscribeCommand `json:"unsubscribe"`
	Publish     *publishCommand     `json:"publish"`
	Presence    *presenceCommand    `json:"presence"`
	History     *historyCommand     `json:"history"`
	RPC         *rpcCommand         `json:"rpc"`
	Refresh     *refreshCommand     `json:"refresh"`
	Answer      *answerCommand      `json:"answer"`
	Ping        *struct{}           `json:"ping"`
}

type connectCommand struct {
	Token string          `json:"token"`
	Data  json.RawMessage `json:"data"`
}

type subscribeCommand struct {
	Channel string `json:"channel"`
	subscribeOptions
}

type unsubscribeCommand struct {
	Channel string `json:"channel"`
}

type publishCommand struct {
	Channel string          `json:"channel"`
	Data    *string         `json:"data"`   // one of the three
	Base64  *string         `json:"base64"` // binary
	JSON    json.RawMessage `json:"json"`   // anything, published as it is written
	publishOptions
}

// publishOptions are what a publisher may choose beside the data.
type publishOptions struct {
	Event   string `json:"event"`
	ID      string `json:"id"`
	Key     string `json:"key"`
	Exclude bool   `json:"exclude"`
}

func (o *publishOptions) message(data []byte, binary bool) channel.Message {
	return channel.Message{Data: data, Binary: binary, Event: o.Event, ID: o.ID, Key: o.Key, Exclude: o.Exclude}
}

type presenceCommand struct {
	Channel string `json:"channel"`
	Limit   *int   `json:"limit"`
}

type historyCommand struct {
	Channel string `json:"channel"`
	historyOptions
}

type rpcCommand struct {
	Method string          `json:"method"`
	Data   json.RawMessage `json:"data"`
}

type refreshCommand struct {
	Token string `json:"token"`
}

type answerCommand struct {
	Call  string          `json:"call"`
	Data  json.RawMessage `json:"data"`
	Error *struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

// parseFrame reads a frame. With an error the id is the frame's nevertheless, if it could be read.
func parseFrame(m ws.Message) (f commandFrame, err error) {
	switch {
	case m.Type != ws.Text:
		return f, badRequest("invalid_frame", "a frame is JSON, in a text message")
	case deeper(m.Data, maxDepth):
		return f, badRequest("invalid_frame", fmt.Sprintf("more than %d arrays and objects are nested", maxDepth))
	}
	err = json.Unmarshal(m.Data, &f)
	if f.Said != nil {
		if f.ID = *f.Said; f.ID == 0 || f.ID > maxCommandID {
			return commandFrame{}, badRequest("invalid_frame", "an id is a number from 1 to 2^53-1")
		}
	}
	if err != nil {
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			if wrong.Field == "" {
				return commandFrame{}, badRequest("invalid_frame", "a frame is one JSON object, and not of the type "+wrong.Value)
			}
			return commandFrame{ID: f.ID}, badRequest("invalid_frame", fmt.Sprintf("%q cannot be a %s", wrong.Field, wrong.Value))
		}
		return commandFrame{}, badRequest("invalid_frame", "a frame is one JSON object: "+err.Error())
	}
	if at := jsonstring.LoneSurrogate(m.Data); at >= 0 {
		return commandFrame{ID: f.ID}, badRequest("invalid_frame", fmt.Sprintf("at byte %d: half of a surrogate pair is no character", at+1))
	}
	n := 0
	for _, there := range []bool{
		f.Connect != nil, f.Subscribe != nil, f.Unsubscribe != nil, f.Publish != nil, f.Presence != nil, f.History != nil,
		f.RPC != nil, f.Refresh != nil, f.Answer != nil, f.Ping != nil,
	} {
		if there {
			n++
		}
	}
	switch {
	case n == 0:
		err = badRequest("unknown_command", "the frame has no command that this server knows")
	case n > 1:
		err = badRequest("invalid_frame", "the frame has more than one command")
	}
	return f, err
}

// deeper says whether more than limit arrays and objects are nested. What is not JSON is for others to find.
func deeper(data []byte, limit int) bool {
	depth, text, escaped := 0, false, false
	for _, c := range data {
		switch {
		case escaped:
			escaped = false
		case text:
			escaped, text = c == '\\', c != '"'
		case c == '"':
			text = true
		case c == '{' || c == '[':
			if depth++; depth > limit {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// reply is how a command is answered.
type reply struct {
	visitor *visitor
	id      uint64 // 0: only errors are told
}

func (r reply) ok(result any) {
	if r.id > 0 {
		r.visitor.say(commandAnswer{ID: r.id, OK: result})
	}
}

func (r reply) fail(err error) {
	e := r.visitor.server.newCommandError(err)
	r.visitor.say(commandAnswer{ID: r.id, Error: &e})
}

// result answers with a result or an error.
func (r reply) result(result any, err error) {
	if err != nil {
		r.fail(err)
	} else {
		r.ok(result)
	}
}

// received does what a frame asks for.
func (v *visitor) received(m ws.Message) {
	if !v.server.keepSocketPace(&v.pace, v.socket, len(m.Data)) {
		v.server.tooFast(v.client)
		v.Close(endRate)
		return
	}
	f, err := parseFrame(m)
	r := reply{v, f.ID}
	if err == nil && f.Connect != nil {
		v.connect(f.Connect, r)
		return
	}
	if v.client == nil {
		if err == nil {
			err = clients.ErrCredentials.With("the first command must be connect")
		}
		r.fail(err)
		v.coming.timer.Stop()
		v.refuse(err)
		return
	}
	if err != nil {
		r.fail(err)
		return
	}
	v.coming = nil
	v.do(&f, r)
}

// do does a command of a client that is connected.
func (v *visitor) do(f *commandFrame, r reply) {
	switch {
	case f.Subscribe != nil:
		err := v.subscribe(metrics.Multiplex, f.Subscribe.Channel, f.Subscribe.subscribeOptions, func(s clients.Start) { r.ok(newPlace(s.Position)) })
		if err != nil {
			r.fail(err)
		}
	case f.Unsubscribe != nil:
		if !v.client.Unsubscribe(f.Unsubscribe.Channel) {
			r.fail(clients.ErrNotIn)
			return
		}
		r.ok(struct{}{})
	case f.Publish != nil:
		m, err := f.Publish.message()
		if err != nil {
			r.fail(err)
			return
		}
		r.result(v.publish(metrics.ByMultiplex, f.Publish.Channel, m))
	case f.Presence != nil:
		r.result(v.presence(f.Presence.Channel, f.Presence.Limit))
	case f.History != nil:
		r.result(v.history(f.History.Channel, f.History.historyOptions))
	case f.RPC != nil:
		v.background(v.socket.Context(), func(ctx context.Context) (any, error) { return v.rpc(ctx, f.RPC.Method, f.RPC.Data) }, r.result)
	case f.Refresh != nil:
		v.background(v.socket.Context(), func(ctx context.Context) (any, error) { return v.refresh(ctx, f.Refresh.Token) }, r.result)
	case f.Answer != nil:
		a := f.Answer
		var refused *clients.Refused
		if a.Error != nil {
			refused = refusedBy(a.Error.Code, a.Error.Message)
		}
		r.result(struct{}{}, v.client.Answer(a.Call, a.Data, refused))
	case f.Ping != nil:
		r.ok(struct{}{})
	}
}

// message is what is to be published.
func (c *publishCommand) message() (channel.Message, error) {
	n := 0
	for _, there := range []bool{c.Data != nil, c.Base64 != nil, c.JSON != nil} {
		if there {
			n++
		}
	}
	switch {
	case n != 1:
		return channel.Message{}, badRequest("invalid_data", `there must be one of "data", "base64" and "json"`)
	case c.Data != nil:
		return c.publishOptions.message([]byte(*c.Data), false), nil
	case c.JSON != nil:
		return c.publishOptions.message(c.JSON, false), nil
	}
	data, err := base64.StdEncoding.DecodeString(*c.Base64)
	if err != nil {
		return channel.Message{}, badRequest("invalid_data", `"base64" is not base64: `+err.Error())
	}
	return c.publishOptions.message(data, true), nil
}
