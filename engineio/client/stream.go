package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"baro.dev/engineio/internal/frame"
	"baro.dev/engineio/internal/payload"
)

// stream is a link of one stream of WebTransport.
type stream struct {
	set    *settings
	stream io.ReadWriteCloser
	frames frame.Reader
}

func dialStream(ctx context.Context, s *settings, sid string) (link, error) {
	rw, err := s.OpenStream(ctx, s.url(WebTransport, ""), s.Header.Clone())
	if err != nil {
		return nil, fmt.Errorf("engineio/client: webtransport %s: %w", s.base.Host, err)
	}
	l := &stream{set: s, stream: rw, frames: frame.Reader{R: rw, Max: s.MaxMessage}}
	hello := payload.Packet{Type: payload.Open}
	if sid != "" {
		hello.Data, err = json.Marshal(map[string]string{"sid": sid})
	}
	defer context.AfterFunc(ctx, l.cut)()
	if err == nil {
		err = l.write(ctx, []payload.Packet{hello})
	}
	if err != nil {
		l.cut()
		return nil, err
	}
	return l, nil
}

func (l *stream) next() (payload.Packet, error) {
	binary, data, err := l.frames.Next()
	switch {
	case err == io.EOF:
		return payload.Packet{}, ErrServerClosed
	case errors.Is(err, frame.ErrMalformed):
		return payload.Packet{}, violation("%w", err)
	case err != nil:
		return payload.Packet{}, fmt.Errorf("engineio/client: webtransport: %w", err)
	case !binary && !utf8.Valid(data):
		return payload.Packet{}, violation("%w: text that is not UTF-8", frame.ErrMalformed)
	}
	p, err := l.set.format.DecodeMessage(data, binary)
	if err != nil {
		return p, violation("%w", err)
	}
	return p, nil
}

func (l *stream) open(ctx context.Context) (payload.Packet, error) {
	defer context.AfterFunc(ctx, l.cut)()
	return l.next()
}

func (l *stream) serve(_ context.Context, f func(payload.Packet) error) error {
	for {
		p, err := l.next()
		if err == nil {
			err = f(p)
		}
		if err != nil {
			return err
		}
	}
}

func (l *stream) post(payload.Packet) (bool, error) { return false, nil }

func (l *stream) write(_ context.Context, packets []payload.Packet) error {
	var out []byte
	for _, p := range packets {
		out = frame.Append(out, l.set.format, p)
	}
	if _, err := l.stream.Write(out); err != nil {
		return fmt.Errorf("engineio/client: webtransport: %w", err)
	}
	return nil
}

func (l *stream) leave(context.Context) { _ = l.stream.Close() } // which lets what was written arrive

func (l *stream) cut() { _ = l.stream.Close() }
