package connection

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// stream is a link of an answer that does not end: an event stream, or lines.
type stream struct {
	*requests
	protocol Protocol
	resp     *http.Response
	lines    lines
	events   EventParser
	rest     []byte // of the chunk that is lent, for events
}

var accepted = map[Protocol]string{SSE: "text/event-stream", NDJSON: "application/x-ndjson"}

func (d *dialer) stream(ctx context.Context, p Protocol, from resume) (link, error) {
	r := d.requests(ctx)
	u := *r.url
	header := map[string]string{"Accept": accepted[p], "Cache-Control": "no-store"}
	switch {
	case isChannel(&u):
		setAfter(&u, from.id)
	case p == SSE:
		header["Last-Event-ID"] = from.id
	}
	ctx, cancel := context.WithTimeoutCause(ctx, d.Target.Timeout, fmt.Errorf("no answer within %s: %w", d.Target.Timeout, context.DeadlineExceeded))
	defer cancel()
	resp, err := r.do(ctx, http.MethodGet, &u, nil, header) //nolint:bodyclose // the link closes it
	if err != nil {
		r.end()
		return nil, gone(err)
	}
	return d.follow(r, p, resp, from)
}

// gone is err, or that what was missed cannot be had any more.
func gone(err error) error {
	if e, ok := errors.AsType[*RefusedError](err); ok && e.Status == http.StatusGone {
		return &missedError{}
	}
	return err
}

// follow makes a link of an answer that has come.
func (d *dialer) follow(r *requests, p Protocol, resp *http.Response, from resume) (link, error) {
	var why string
	switch kind := mediaType(resp); {
	case resp.StatusCode != http.StatusOK:
		why = "that is no stream" // as 204, by which a server has an EventSource not come back
	case p == SSE && kind != accepted[SSE]:
		why = fmt.Sprintf("of type %q: no event stream", kind)
	}
	if why != "" {
		defer r.end()
		return nil, refusal(resp, why)
	}
	s := &stream{requests: r, protocol: p, resp: resp}
	s.lines = lines{chunks: newChunks(resp.Body), max: d.maxMessage()}
	s.events = EventParser{Max: d.maxMessage(), ID: from.id, id: from.id}
	return s, nil
}

func (s *stream) receive(ctx context.Context) (Message, error) {
	var m Message
	var err error
	if s.protocol == SSE {
		m, err = s.event(ctx)
	} else {
		m, err = s.line(ctx)
	}
	switch _, missed := errors.AsType[*missedError](err); {
	case err == nil, missed, ctx.Err() != nil && errors.Is(err, context.Cause(ctx)), errors.Is(err, ErrMessage):
		return m, err
	case s.ctx.Err() != nil:
		return m, ErrClosed
	case err == io.EOF:
		return m, errOver
	}
	return m, broken(err)
}

func (s *stream) line(ctx context.Context) (Message, error) {
	for {
		line, err := s.lines.line(ctx)
		if err != nil {
			return Message{}, err
		}
		if len(line) == 0 {
			continue // a heartbeat
		}
		if isChannel(s.url) {
			return opened(line)
		}
		return Message{Data: line}, nil
	}
}

func (s *stream) event(ctx context.Context) (Message, error) {
	for {
		rest, found, err := s.events.Next(s.rest)
		s.rest = rest
		if err != nil {
			return Message{}, err
		}
		if found {
			return s.happened()
		}
		if s.rest, err = s.lines.next(ctx); err != nil {
			return Message{}, err
		}
	}
}

// happened makes a message of an event.
func (s *stream) happened() (Message, error) {
	e := &s.events
	m := Message{Event: e.Name, Data: e.Data, ID: e.ID}
	if !isChannel(s.url) {
		return m, nil
	}
	switch name, binary := strings.CutSuffix(e.Name, ";base64"); {
	case e.Name == "baro.reset":
		return m, &missedError{e.ID}
	case e.Name == "baro.refused":
		return m, broken(fmt.Errorf("the server refuses: %q", truncated(e.Data)))
	case binary:
		data, err := base64.StdEncoding.AppendDecode(nil, e.Data)
		if err == nil {
			if name == "message" { // that it has no name
				name = ""
			}
			m.Kind, m.Event, m.Data = Binary, name, data
		}
	}
	return m, nil
}

// resume says where the stream has been followed to: an event without data may have said so.
func (s *stream) resume() resume {
	if s.protocol == NDJSON {
		return resume{} // messages have said it
	}
	return resume{id: s.events.ID, retry: s.events.Retry}
}

func truncated(p []byte) []byte { return p[:min(len(p), maxQuoted)] }

func (s *stream) cut() {
	s.lines.close()
	s.end()
}

func (s *stream) close(context.Context, int, string) error {
	s.cut()
	return nil
}

func (s *stream) info(i *Info) {
	i.Protocol = s.protocol
	s.describe(i, s.resp)
}
