package connection

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	eio "baro.dev/engineio/client"
	"baro.dev/engineio/webtransport"
	"baro.dev/internal/cli/exit"
	"baro.dev/internal/cli/target"
	sio "baro.dev/socketio/client"
)

// socketIO is a link of Socket.IO. It comes back by itself, if that is wanted, and recovers as far as the server does.
type socketIO struct {
	d      *dialer
	socket *sio.Socket
	events chan Message
	done   chan struct{} // closed at the end, for which err is
	once   sync.Once
	err    error
	tell   func(State)
	back   atomic.Int64 // how often it has come back
}

// place is where Socket.IO is: the URL of a namespace, and the path of the server.
func (d *dialer) place() (u *url.URL, path string) {
	v := *d.Target.URL
	path = d.Path
	if at := strings.Index(v.Path, "/socket.io"); at >= 0 && path == "" {
		path = v.Path
		v.Path = "/"
	}
	if d.Namespace != "" {
		v.Path = "/" + strings.TrimPrefix(d.Namespace, "/")
	}
	v.RawPath = ""
	return &v, path
}

func (d *dialer) socketIO(ctx context.Context) (link, error) {
	u, path := d.place()
	header, err := d.header(ctx)
	if err != nil {
		return nil, err
	}
	t := d.Target
	o := &sio.Options{
		NoReconnection: !d.Reconnect, ReconnectionAttempts: d.MaxAttempts, ReconnectionDelay: d.Delay, ReconnectionDelayMax: d.MaxDelay,
		Engine: eio.Options{
			Path: path, Query: u.Query(), Header: header, Transports: d.Transports, TLS: t.TLS, Proxy: t.Proxy, DialContext: t.DialContext,
			PerMessageDeflate: d.Compression, Subprotocols: d.Subprotocols, Timeout: t.Timeout, MaxMessage: d.maxMessage(),
		},
	}
	u.RawQuery = ""
	for _, name := range []string{"EIO", "transport", "sid", "t"} {
		o.Engine.Query.Del(name)
	}
	if len(d.Auth) > 0 {
		o.Auth = d.Auth
	}
	if d.HTTP == 2 {
		return nil, exit.With(exit.Usage, errors.New("Socket.IO is spoken over HTTP/1.1 here or, by WebTransport, over HTTP/3"))
	}
	if u.Scheme == "https" || u.Scheme == "wss" {
		o.Engine.OpenStream = webtransport.Stream(t.TLS)
	}
	if o.Engine.Transports == nil {
		o.Engine.Transports = transports(u, d.HTTP)
	}
	o.Engine.TryAllTransports = len(o.Engine.Transports) > 1
	s, err := sio.New(u.String(), o)
	if err != nil {
		return nil, exit.With(exit.Usage, err)
	}
	l := &socketIO{d: d, socket: s, events: make(chan Message, 64), done: make(chan struct{}), tell: d.tell}
	if err := l.connect(ctx); err != nil {
		return nil, err
	}
	return l, nil
}

// transports are those that a URL and a version of HTTP say.
func transports(u *url.URL, version int) []string {
	switch {
	case version == 3:
		return []string{eio.WebTransport}
	case strings.HasPrefix(u.Scheme, "ws"):
		return []string{eio.WebSocket}
	}
	return []string{eio.Polling, eio.WebSocket}
}

// connect waits for the first connection: what keeps that from being made is the end.
func (l *socketIO) connect(ctx context.Context) error {
	s, m := l.socket, l.socket.Manager()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var connected atomic.Bool
	var why atomic.Pointer[error]
	s.OnAny(l.happened)
	s.OnConnect(func() {
		if connected.Swap(true) {
			l.back.Add(1)
			l.tell(State{Kind: Connected, Recovered: s.Recovered()})
		}
	})
	m.OnReconnectError(func(err error) {
		if !connected.Load() {
			why.CompareAndSwap(nil, &err)
			cancel(err)
		}
	})
	m.OnReconnectAttempt(func(n int) {
		if connected.Load() {
			l.tell(State{Kind: Waiting, Attempt: n})
		}
	})
	m.OnReconnectFailed(func() { l.end(broken(sio.ErrGivenUp)) })
	s.OnConnectError(func(err error) {
		if _, refused := errors.AsType[*sio.ConnectError](err); refused {
			l.end(refusedByServer(err))
		}
	})
	s.OnDisconnect(func(reason sio.Reason, err error) {
		switch {
		case reason == sio.ServerDisconnect:
			l.end(io.EOF)
		case reason == sio.ClientDisconnect:
			l.end(ErrClosed)
		case l.d.Reconnect:
			l.tell(State{Kind: Disconnected, Err: disconnected(reason, err)})
		default:
			l.end(broken(disconnected(reason, err)))
		}
	})
	err := s.Connect(ctx)
	if err == nil {
		return nil
	}
	if first := why.Load(); first != nil {
		err = *first
	}
	l.cut()
	return refusedByServer(err)
}

func disconnected(reason sio.Reason, err error) error {
	if err == nil {
		return errors.New(string(reason))
	}
	return fmt.Errorf("%s: %w", reason, err)
}

// refusedByServer is why there is no connection of Socket.IO.
func refusedByServer(err error) error {
	if e, ok := errors.AsType[*sio.ConnectError](err); ok {
		why := "the server refuses the namespace: " + e.Message
		if !e.Data.IsZero() {
			why += " " + e.Data.String()
		}
		return exit.With(exit.Refused, errors.New(why))
	}
	if e, ok := errors.AsType[*eio.RefusedError](err); ok {
		refused := &RefusedError{Status: e.Status, Body: e.Message}
		if e.Status == http.StatusProxyAuthRequired {
			refused.Why = target.ProxyAdvice
		}
		return exit.With(exit.Refused, refused)
	}
	if errors.Is(err, eio.ErrProtocol) || errors.Is(err, sio.ErrProtocol) {
		return exit.With(exit.Refused, err)
	}
	return unreached(context.Background(), err, false)
}

// happened makes a message of an event. It waits, and the server with it, until there is room.
func (l *socketIO) happened(e *sio.Event) {
	data := []byte{'['}
	for i, v := range e.Data().All() {
		if i > 0 {
			data = append(data, ',')
		}
		text, err := v.MarshalJSON()
		if err != nil {
			text = []byte("null")
		}
		data = append(data, text...)
	}
	m := Message{Kind: Event, Event: e.Name(), Data: append(data, ']')}
	if e.WantsAck() {
		m.Ack = func(arguments []byte) error {
			args, err := split(arguments)
			if err != nil {
				return err
			}
			return e.Ack(args...)
		}
	}
	select {
	case l.events <- m:
	case <-l.done:
	}
}

// split reads a JSON array of arguments.
func split(data []byte) ([]any, error) {
	var all []json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, fmt.Errorf("arguments must be a JSON array: %w", err)
	}
	args := make([]any, len(all))
	for i := range all {
		args[i] = all[i]
	}
	return args, nil
}

func (l *socketIO) end(err error) {
	l.once.Do(func() {
		l.err = err
		close(l.done)
	})
}

func (l *socketIO) receive(ctx context.Context) (Message, error) {
	select {
	case m := <-l.events:
		return m, nil
	default:
	}
	select {
	case m := <-l.events:
		return m, nil
	case <-l.done:
		select {
		case m := <-l.events:
			return m, nil
		default:
		}
		return Message{}, l.err
	case <-ctx.Done():
		return Message{}, context.Cause(ctx)
	}
}

// retryFull is after how long it is tried again to send where too much waits.
const retryFull = 5 * time.Millisecond

func (l *socketIO) send(ctx context.Context, m Message) error {
	name, args := m.Event, []any{string(m.Data)}
	switch m.Kind {
	case Binary:
		args[0] = m.Data
	case Event:
		var err error
		if args, err = split(m.Data); err != nil {
			return bad(err)
		}
	}
	if name == "" {
		name = "message"
	}
	for {
		err := l.emit(m, name, args)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, sio.ErrClosed):
			return ErrClosed
		case !errors.Is(err, sio.ErrBufferFull) && !errors.Is(err, eio.ErrBufferFull):
			return bad(err)
		}
		select {
		case <-time.After(retryFull):
		case <-l.done:
			return l.err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (l *socketIO) emit(m Message, name string, args []any) error {
	select {
	case <-l.done:
		return l.err
	default:
	}
	if m.Acked == nil {
		return l.socket.Emit(name, args...)
	}
	return l.socket.EmitFunc(name, func(a sio.Args, err error) {
		if err != nil {
			m.Acked(nil, err)
			return
		}
		data, err := json.Marshal(a.Args())
		m.Acked(data, err)
	}, args...)
}

func (l *socketIO) ping(context.Context) (time.Duration, error) { return 0, ErrNoPing }

func (l *socketIO) close(ctx context.Context, _ int, _ string) error {
	err := l.socket.Manager().Close(ctx)
	l.end(ErrClosed)
	return err
}

func (l *socketIO) cut() {
	l.end(ErrClosed)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = l.socket.Manager().Close(ctx) // nothing is waited for
}

func (l *socketIO) info(i *Info) {
	i.Protocol, i.ID, i.Namespace, i.CanSend = SocketIO, l.socket.ID(), l.socket.Namespace(), true
	if s := l.socket.Manager().Engine(); s != nil {
		i.Transport = s.Transport()
	}
	i.Stats.Reconnects = l.back.Load()
}
