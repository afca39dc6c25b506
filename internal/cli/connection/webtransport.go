package connection

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/webtransport-go"

	"baro.dev/internal/cli/exit"
)

// webTransport is a link of a session of WebTransport. What is sent are lines of one stream in both directions, which it opens; or datagrams:
// messages with the event "datagram". What comes are the lines of that stream, those of other streams in both directions ("stream"), streams in
// one direction, each a message ("message"), and datagrams ("datagram").
type webTransport struct {
	d         *dialer
	transport *webtransport.Transport
	session   *webtransport.Session
	stream    *webtransport.Stream
	resp      *http.Response
	events    chan Message
	done      chan struct{}
	once      sync.Once
	err       error

	mu  sync.Mutex // of whoever writes
	out []byte
}

// maxStreams is how many streams of the server are read at a time.
const maxStreams = 16

func (d *dialer) webTransport(ctx context.Context) (link, error) {
	t := d.Target
	ctx, cancel := context.WithTimeoutCause(ctx, t.Timeout, fmt.Errorf("no session within %s: %w", t.Timeout, context.DeadlineExceeded))
	defer cancel()
	addr := authority(t.URL)
	at, ok := t.Address(addr)
	if !ok {
		return nil, exit.With(exit.Usage, errors.New("WebTransport is not spoken over a unix socket"))
	}
	header, err := d.header(ctx)
	if err != nil {
		return nil, err
	}
	l := &webTransport{d: d, events: make(chan Message), done: make(chan struct{})}
	l.transport = &webtransport.Transport{TLSClientConfig: t.TLS.Clone(), QUICConfig: &quic.Config{
		HandshakeIdleTimeout: t.Timeout, KeepAlivePeriod: quicKeepAlive, EnableDatagrams: true, EnableStreamResetPartialDelivery: true,
		MaxIncomingStreams: maxStreams, MaxIncomingUniStreams: maxStreams + 3, // which HTTP/3 has for itself
	}}
	if at != addr {
		l.transport.DialAddr = func(ctx context.Context, _ string, config *tls.Config, qc *quic.Config) (*quic.Conn, error) {
			return quic.DialAddrEarly(ctx, at, config, qc)
		}
	}
	l.resp, l.session, err = l.transport.Dial(ctx, t.URL.String(), header) //nolint:bodyclose // a CONNECT's: the session has it
	if err == nil {
		l.stream, err = l.session.OpenStreamSync(ctx)
	}
	if err != nil {
		l.cut()
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		} else if l.resp != nil && l.resp.StatusCode/100 != 2 {
			err = &RefusedError{Status: l.resp.StatusCode, Header: l.resp.Header}
		}
		return nil, unreached(ctx, err, l.resp != nil)
	}
	go l.follow(l.stream, "")
	go l.datagrams()
	go l.streams()
	go l.messages()
	return l, nil
}

func (l *webTransport) push(m Message) bool {
	if !utf8.Valid(m.Data) {
		m.Kind = Binary
	}
	select {
	case l.events <- m:
		return true
	case <-l.done:
		return false
	}
}

// follow has each line of a stream be a message. The link ends with its own stream.
func (l *webTransport) follow(s *webtransport.Stream, name string) {
	in := lines{chunks: newChunks(streamBody{s}), max: l.d.maxMessage()}
	defer in.chunks.close()
	ctx := l.session.Context()
	for {
		line, err := in.line(ctx)
		if err != nil {
			if own := name == ""; own || errors.Is(err, ErrTooLarge) {
				l.end(err)
			}
			return
		}
		if !l.push(Message{Event: name, Data: append([]byte(nil), line...)}) {
			return
		}
	}
}

// streamBody is a stream whose reading is given up by Close.
type streamBody struct{ *webtransport.Stream }

func (b streamBody) Close() error {
	b.CancelRead(0)
	return nil
}

func (l *webTransport) datagrams() {
	for {
		data, err := l.session.ReceiveDatagram(l.session.Context())
		if err != nil || !l.push(Message{Event: "datagram", Data: data}) {
			return
		}
	}
}

func (l *webTransport) streams() {
	for {
		s, err := l.session.AcceptStream(l.session.Context())
		if err != nil {
			l.end(err)
			return
		}
		go l.follow(s, "stream")
	}
}

func (l *webTransport) messages() {
	for {
		s, err := l.session.AcceptUniStream(l.session.Context())
		if err != nil {
			return
		}
		go func() {
			data, err := io.ReadAll(io.LimitReader(s, l.d.maxMessage()+1))
			switch {
			case int64(len(data)) > l.d.maxMessage():
				l.end(fmt.Errorf("%w: a stream of more than %d bytes", ErrTooLarge, l.d.maxMessage()))
			case err == nil:
				l.push(Message{Event: "message", Data: data})
			}
		}()
	}
}

// end has receive return, when what has come is read; the session says more of why than a stream does.
func (l *webTransport) end(err error) {
	if cause := context.Cause(l.session.Context()); cause != nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	if e, ok := errors.AsType[*webtransport.SessionError](err); ok && e.Remote && e.ErrorCode == 0 {
		err = io.EOF
	}
	l.once.Do(func() {
		l.err = broken(err)
		close(l.done)
	})
}

func (l *webTransport) receive(ctx context.Context) (Message, error) {
	select {
	case m := <-l.events:
		return m, nil
	default:
	}
	select {
	case m := <-l.events:
		return m, nil
	case <-l.done:
		return Message{}, l.err
	case <-ctx.Done():
		return Message{}, context.Cause(ctx)
	}
}

func (l *webTransport) send(ctx context.Context, m Message) error {
	switch {
	case m.Kind == Event:
		return bad(errors.New("WebTransport has no events with arguments"))
	case m.Event == "datagram":
		if err := l.session.SendDatagram(m.Data); err != nil && l.session.Context().Err() == nil {
			return bad(err)
		}
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	defer context.AfterFunc(ctx, func() { _ = l.stream.SetWriteDeadline(time.Unix(1, 0)) })() // half a line would be left: the stream cannot be used again
	l.out = append(append(l.out[:0], m.Data...), '\n')
	if _, err := l.stream.Write(l.out); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return broken(err)
	}
	return nil
}

func (l *webTransport) ping(context.Context) (time.Duration, error) { return 0, ErrNoPing }

// leaving is how long the server has to end the session when this side has nothing more to say: QUIC forgets what has not been sent when a
// connection is closed.
const leaving = time.Second

func (l *webTransport) close(ctx context.Context, code int, reason string) error {
	l.end(ErrClosed)
	_ = l.stream.Close()
	select {
	case <-l.session.Context().Done():
	case <-ctx.Done():
	case <-time.After(leaving):
	}
	err := l.session.CloseWithError(webtransport.SessionErrorCode(uint32(code)), reason)
	_ = l.transport.Close()
	return err
}

func (l *webTransport) cut() {
	if l.session != nil {
		l.end(ErrClosed)
		_ = l.session.CloseWithError(0, "")
	}
	_ = l.transport.Close()
}

func (l *webTransport) info(i *Info) {
	i.Protocol, i.HTTP, i.TLS, i.CanSend = WebTransport, "HTTP/3", tls.VersionName(tls.VersionTLS13), true
	i.Remote, i.Header = l.session.RemoteAddr().String(), l.resp.Header
}
