package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"

	"baro.dev/engineio/internal/payload"
	"baro.dev/ws"
)

// webSocket is a link of one WebSocket.
type webSocket struct {
	set  *settings
	conn *ws.Conn
}

func dialWebSocket(ctx context.Context, s *settings, sid string) (link, error) {
	u := s.url(WebSocket, sid)
	h := s.Header.Clone()
	if s.Jar != nil {
		r := http.Request{Header: http.Header{}}
		for _, c := range s.Jar.Cookies(u) {
			r.AddCookie(c)
		}
		if all := r.Header.Get("Cookie"); all != "" {
			if h == nil {
				h = http.Header{}
			}
			h.Set("Cookie", all)
		}
	}
	conn, resp, err := ws.Dial(ctx, u.String(), &ws.DialOptions{
		Subprotocols: s.Subprotocols,
		Header:       h,
		TLS:          s.TLS,
		Proxy:        s.Proxy,
		DialContext:  s.DialContext,
		Compression:  s.PerMessageDeflate,
		Limits:       ws.Limits{MaxMessageSize: s.MaxMessage, HandshakeTimeout: s.Timeout},
		Keepalive:    ws.Keepalive{Interval: -1}, // the server's pings are packets
		Queue:        ws.Queue{MaxBytes: s.MaxBuffered, Full: ws.Drop},
	})
	if resp != nil && s.Jar != nil {
		s.Jar.SetCookies(u, resp.Cookies())
	}
	if err != nil {
		if resp != nil && resp.StatusCode != http.StatusSwitchingProtocols {
			return nil, fmt.Errorf("%w (%w)", refusal(resp), err)
		}
		if failed, ok := errors.AsType[*url.Error](err); ok {
			err = failed.Err
		}
		return nil, fmt.Errorf("engineio/client: websocket %s: %w", s.base.Host, err)
	}
	return &webSocket{s, conn}, nil
}

func (l *webSocket) decode(m ws.Message) (payload.Packet, error) {
	p, err := l.set.format.DecodeMessage(m.Data, m.Type == ws.Binary)
	if err != nil {
		return p, violation("%w", err)
	}
	return p, nil
}

func (l *webSocket) open(ctx context.Context) (payload.Packet, error) {
	m, err := l.conn.Read(ctx)
	if err != nil {
		return payload.Packet{}, lost(err)
	}
	return l.decode(m)
}

// lost is why a connection has ended.
func lost(err error) error {
	if closed, ok := errors.AsType[*ws.CloseError](err); ok && closed.Remote {
		return fmt.Errorf("%w: %w", ErrServerClosed, closed)
	}
	return fmt.Errorf("engineio/client: websocket: %w", err)
}

func (l *webSocket) serve(ctx context.Context, f func(payload.Packet) error) error {
	for m, err := range l.conn.Messages(ctx) {
		if err != nil {
			return lost(err)
		}
		p, err := l.decode(m)
		if err == nil {
			err = f(p)
		}
		if err != nil {
			return err
		}
	}
	return ErrServerClosed
}

var buffers = sync.Pool{New: func() any { return new([]byte) }}

// maxPooled is how large a buffer is kept.
const maxPooled = 64 << 10

func (l *webSocket) message(p payload.Packet, send func(ws.MessageType, []byte) error) error {
	t := ws.Text
	if l.set.format.IsBinary(p) {
		t = ws.Binary
	}
	b := buffers.Get().(*[]byte)
	defer buffers.Put(b)
	*b = l.set.format.AppendMessage((*b)[:0], p)
	err := send(t, *b)
	if cap(*b) > maxPooled {
		*b = nil
	}
	return err
}

func (l *webSocket) post(p payload.Packet) (bool, error) {
	err := l.message(p, l.conn.Send)
	if errors.Is(err, ws.ErrQueueFull) {
		err = ErrBufferFull
	}
	return true, err
}

func (l *webSocket) write(ctx context.Context, packets []payload.Packet) error {
	for _, p := range packets {
		err := l.message(p, func(t ws.MessageType, data []byte) error { return l.conn.Write(ctx, t, data) })
		if err != nil {
			return lost(err)
		}
	}
	return nil
}

func (l *webSocket) leave(ctx context.Context) {
	_ = l.conn.Close(ctx, ws.StatusNormalClosure, "") // it ends in any case
}

func (l *webSocket) cut() { _ = l.conn.CloseNow() }
