package wsjson

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"baro.dev/ws"
)

// Write sends v as a text message. It waits as ws.Conn.Write does. If v cannot be encoded, nothing is sent. It may be
// called concurrently; v must not change meanwhile and is not kept.
func Write(ctx context.Context, c *ws.Conn, v any) error {
	e := encoders.Get().(*encoder)
	defer e.free()
	text, err := e.encode(v)
	if err != nil {
		return err
	}
	return c.Write(ctx, ws.Text, text)
}

// Send sends v as a text message. It does with a full queue what ws.Socket.Send does. If v cannot be encoded, nothing
// is sent. It may be called concurrently; v must not change meanwhile and is not kept.
func Send(s *ws.Socket, v any) error {
	e := encoders.Get().(*encoder)
	defer e.free()
	text, err := e.encode(v)
	if err != nil {
		return err
	}
	return s.Send(ws.Text, text)
}

// maxPooled is the largest buffer that is kept for later messages.
const maxPooled = 64 << 10

var encoders = sync.Pool{New: func() any {
	e := new(encoder)
	e.json = json.NewEncoder(&e.buf)
	e.json.SetEscapeHTML(false)
	return e
}}

// encoder encodes one value at a time.
type encoder struct {
	buf  bytes.Buffer
	json *json.Encoder
}

// encode returns v as JSON, which is the encoder's until it is freed.
func (e *encoder) encode(v any) ([]byte, error) {
	e.buf.Reset()
	if err := e.json.Encode(v); err != nil {
		return nil, fmt.Errorf("wsjson: encoding message: %w", err)
	}
	return bytes.TrimSuffix(e.buf.Bytes(), []byte("\n")), nil
}

func (e *encoder) free() {
	if e.buf.Cap() <= maxPooled {
		encoders.Put(e)
	}
}
