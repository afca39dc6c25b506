package load

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// channelName is that of a channel of many.
func (o *Options) channelName(i int) string {
	name, _ := o.channel()
	if o.Channels == 1 {
		return name
	}
	return fmt.Sprintf("%s-%d", name, i+1)
}

// channelPath is the path of a channel on the server of u.
func channelPath(u *url.URL, name string) string {
	before, _, _ := strings.Cut(u.Path, "/c/")
	return before + "/c/" + name
}

// fanOut has publishers publish, and subscribers get it.
func (r *run) fanOut() error {
	o := r.o
	r.result.Size, r.result.Channels, r.result.Publishers = o.Size, o.Channels, o.Publishers
	mark := newMark()
	for i := range max(o.Publishers, o.Channels) {
		r.streams = append(r.streams, &stream{id: i, channel: o.channelName(i % o.Channels)})
	}
	err := r.openAll(o.Connections, o.Ramp, func(ctx context.Context, i int, _ int64) error { return r.subscribe(ctx, i, mark) })
	if err != nil {
		return err
	}
	r.result.Connections = len(r.listeners)
	if err := r.openAll(o.Publishers, 0, func(ctx context.Context, i int, _ int64) error { return r.publisher(ctx, i, mark) }); err != nil {
		return err
	}
	r.measure(func() int64 { return r.unanswered() + r.undelivered() })
	r.countLost()
	return nil
}

// subscribe opens a subscriber.
func (r *run) subscribe(ctx context.Context, i int, mark []byte) error {
	channel := i % r.o.Channels
	name := r.o.channelName(channel)
	l := newListener(channel, r.o.Channels, r.streams, mark)
	u := with(r.o.Target.URL, channelPath(r.o.Target.URL, name), "")
	if err := r.receive(ctx, i, r.transport(i/r.o.Channels), u, name, l); err != nil {
		return err
	}
	r.mu.Lock()
	r.listeners = append(r.listeners, l)
	r.mu.Unlock()
	return nil
}

// receive opens a connection of a worker over which l receives. A name, if there is one, is that of the channel that Socket.IO is to
// subscribe to.
func (r *run) receive(ctx context.Context, i int, transport Transport, u *url.URL, name string, l *listener) error {
	t, next := &r.o.Target, ""
	d, err := t.begin(ctx, u, func(d *door) (err error) {
		switch transport {
		case WebSocket:
			return d.webSocket(u)
		case SocketIO:
			return d.subscribeSocketIO(u, r.o.Namespace, name)
		case LongPolling:
			next, err = d.now(u)
			return err
		case EventStream:
			return d.get(u, "text/event-stream")
		default:
			return d.get(u, "application/x-ndjson")
		}
	})
	if err != nil {
		return err
	}
	r.workerOf(i).adopt(d.Conn, d.rest(), func(c *conn) speaker {
		l.conn = c
		switch transport {
		case WebSocket:
			l.receiver = &overWebSocket{webSocket{conn: c}}
		case SocketIO:
			l.receiver = &overSocketIO{engine{webSocket: webSocket{conn: c}, prefix: namespacePrefix(r.o.Namespace)}}
		case LongPolling:
			l.receiver = newPolls(c, t, u, next)
		default:
			l.receiver = &overStream{}
		}
		return l
	})
	return nil
}

// subscribeSocketIO subscribes to a channel as docs/serve.md says.
func (d *door) subscribeSocketIO(u *url.URL, namespace, name string) error {
	f := &frames{}
	if name == "" {
		return d.socketIO(u, f, namespace)
	}
	if err := d.socketIO(with(u, "/", ""), f, namespace); err != nil {
		return err
	}
	quoted, _ := json.Marshal(name)
	if err := d.say(`420["subscribe",` + string(quoted) + `]`); err != nil {
		return err
	}
	for {
		m, err := d.message(f, maxGreeting)
		if err != nil {
			return err
		}
		if text := string(m); strings.HasPrefix(text, "430") {
			if strings.HasPrefix(text, `430[{"error"`) {
				return fmt.Errorf("not subscribed: %.200s", text[len("430"):])
			}
			return nil
		}
	}
}

// get asks for a stream, whose answer is read by others.
func (d *door) get(u *url.URL, kind string) error {
	head := append(d.target.requestHead("GET", u), "Cache-Control: no-cache\r\nAccept: "+kind+"\r\n\r\n"...)
	if _, err := d.Write(head); err != nil {
		return err
	}
	const line = len("HTTP/1.1 200")
	d.most.N = maxHead
	b, err := d.in.Peek(line)
	if err != nil || string(b[line-3:]) == "200" {
		return err
	}
	answer, err := d.answer()
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	return refusal(answer)
}

// now asks for the position of a channel.
func (d *door) now(u *url.URL) (string, error) {
	if _, err := d.Write(append(d.target.requestHead("GET", with(u, u.Path, "after=now")), "\r\n"...)); err != nil {
		return "", err
	}
	answer, err := d.answer()
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return "", refusal(answer)
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxHead))
	if err != nil {
		return "", err
	}
	return position(body)
}

// publisher opens a publisher.
func (r *run) publisher(ctx context.Context, i int, mark []byte) error {
	o := r.o
	p := publisher{mark: mark, payload: filler(o.Size)}
	for s := i; s < len(r.streams); s += o.Publishers {
		p.streams = append(p.streams, r.streams[s])
	}
	u, byCommands := o.Target.URL, o.PublishBy == "websocket"
	if o.PublishBy == "api" {
		u = o.api()
	}
	d, err := o.Target.begin(ctx, u, func(d *door) error {
		if byCommands {
			return d.webSocket(with(u, "/ws", ""))
		}
		return nil
	})
	if err != nil {
		return err
	}
	a := &asker{publishes: true, closed: o.Rate == 0, limit: o.limit(), wire: o.InFlight}
	r.workerOf(i).adopt(d.Conn, d.rest(), func(c *conn) speaker {
		a.conn, p.conn = c, c
		if byCommands {
			a.codec = newCommands(p)
		} else {
			a.codec, a.wire = newPosts(p, o), 1
			if a.closed {
				a.limit = 1
			}
		}
		return a
	})
	r.mu.Lock()
	r.askers = append(r.askers, a)
	r.mu.Unlock()
	return nil
}

// undelivered is how many deliveries to subscribers that are there have not come.
func (r *run) undelivered() (n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.listeners {
		w := l.conn.worker
		w.mu.Lock()
		if !l.gone {
			n += l.missing()
		}
		w.mu.Unlock()
	}
	return n
}

// countLost counts what did not come as lost.
func (r *run) countLost() {
	if r.ctx.Err() == nil {
		lost := r.undelivered()
		r.workers[0].do(func() { r.workers[0].tally.lost += lost })
	}
}
