package load

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// A receiver is how deliveries come over a connection.
type receiver interface {
	// receive takes what has come, and gives those parts of it to f in which stamps may be.
	receive(b []byte, f func([]byte)) error
	goodbye() []byte
}

// A listener is a subscriber of a channel.
type listener struct {
	conn     *conn
	receiver receiver
	finder   finder
	channel  int
	streams  []*stream // all there are
	channels int
	trackers []tracker // of the streams in its channel
	gone     bool
}

// newListener returns one for a channel; streams i with i modulo channels are in it.
func newListener(channel, channels int, streams []*stream, mark []byte) *listener {
	return &listener{
		finder: finder{mark: mark}, channel: channel, streams: streams, channels: channels,
		trackers: make([]tracker, (len(streams)-channel+channels-1)/channels),
	}
}

func (l *listener) hear(b []byte, now int64) error {
	t := l.conn.worker.tally
	return l.receiver.receive(b, func(b []byte) {
		l.finder.find(b, func(s stamp) {
			if s.stream >= len(l.streams) || s.stream%l.channels != l.channel {
				return
			}
			fresh, late := l.trackers[s.stream/l.channels].take(s.number)
			if !fresh {
				t.duplicated++
				return
			}
			if late {
				t.reordered++
			}
			t.all++
			if s.due >= t.from && s.due < t.to {
				t.delivered++
			}
			t.came(s.due, now)
		})
	})
}

func (l *listener) goodbye() []byte { return l.receiver.goodbye() }

func (l *listener) ended(err error) {
	l.gone = true
	if err != nil {
		l.conn.worker.errors.add(err)
	}
}

// missing is how many messages have been published that have not come, as far as is known.
func (l *listener) missing() (n int64) {
	for i := range l.trackers {
		s := l.streams[l.channel+i*l.channels]
		n += max(0, int64(s.sent.Load())-int64(s.refused.Load())-int64(l.trackers[i].got))
	}
	return n
}

// overWebSocket has messages be frames.
type overWebSocket struct{ webSocket }

func (r *overWebSocket) receive(b []byte, f func([]byte)) error {
	for len(b) > 0 {
		piece, rest, ok, err := r.next(b)
		if err != nil {
			return err
		}
		b = rest
		switch {
		case !ok:
		case r.opcode >= opClose:
			if err := r.hearControl(piece); err != nil {
				return err
			}
		default:
			f(piece)
		}
	}
	return nil
}

// overSocketIO has messages be events.
type overSocketIO struct{ engine }

func (r *overSocketIO) receive(b []byte, f func([]byte)) error {
	return r.hearPackets(b, func(_ byte, rest []byte) error {
		f(rest)
		return nil
	})
}

// overStream has messages be events of a stream, or lines, of a response that does not end.
type overStream struct{ responses }

func (r *overStream) receive(b []byte, f func([]byte)) error {
	for len(b) > 0 {
		piece, rest, err := r.next(b)
		if err != nil {
			return err
		}
		b = rest
		if len(piece) > 0 {
			f(piece)
		}
		if r.status != http.StatusOK && r.status != 0 {
			return &StatusError{Status: r.status}
		}
		if r.ends {
			return errors.New("the stream was ended by the server")
		}
	}
	return nil
}

func (r *overStream) goodbye() []byte { return nil }

// overPolls asks again and again for what follows.
type overPolls struct {
	responses
	conn *conn
	head string // of the request, up to the position
	tail string
	end  []byte // of the body
}

// maxPosition is how far from the end of an answer its position begins, at most.
const maxPosition = 512

func newPolls(c *conn, t *Target, u *url.URL, next string) *overPolls {
	p := &overPolls{conn: c}
	request := string(t.requestHead("GET", with(u, u.Path, "wait=30s&after=POSITION"))) + "\r\n"
	p.head, p.tail, _ = strings.Cut(request, "POSITION")
	p.ask(next)
	return p
}

func (r *overPolls) ask(next string) { r.conn.send([]byte(r.head + url.QueryEscape(next) + r.tail)) }

func (r *overPolls) receive(b []byte, f func([]byte)) error {
	for len(b) > 0 {
		piece, rest, err := r.next(b)
		if err != nil {
			return err
		}
		b = rest
		if len(piece) > 0 {
			f(piece)
			r.end = append(r.end, piece[max(0, len(piece)-maxPosition):]...)
			r.end = append(r.end[:0], r.end[max(0, len(r.end)-maxPosition):]...)
		}
		if !r.ends {
			continue
		}
		if r.status != http.StatusOK {
			return &StatusError{r.status, string(r.end)}
		}
		next, err := position(r.end)
		if err != nil {
			return err
		}
		r.end = r.end[:0]
		if r.last {
			return errors.New("the server closes the connection after an answer")
		}
		r.ask(next)
	}
	return nil
}

// position is where the answer to a poll says that the next one begins.
func position(end []byte) (string, error) {
	text := string(end)
	if i := strings.LastIndex(text, `"next":"`); i >= 0 {
		if next, _, ok := strings.Cut(text[i+len(`"next":"`):], `"`); ok {
			return next, nil
		}
	}
	return "", fmt.Errorf("an answer to a poll that does not say where it ends: %.100q", text)
}

func (r *overPolls) goodbye() []byte { return nil }
