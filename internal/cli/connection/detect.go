package connection

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"baro.dev/internal/cli/exit"
)

// detect makes the first link of a URL that does not say what is spoken there. It asks for the URL, and then for what the answer leaves open.
func (d *dialer) detect(ctx context.Context, from resume) (link, error) {
	u := d.Target.URL
	socketIOPath := strings.Contains(u.Path, "/socket.io") || d.Namespace != "" || len(d.Auth) > 0
	switch {
	case socketIOPath:
		return d.as(ctx, SocketIO, from)
	case u.Scheme != "http" && u.Scheme != "https":
		return d.as(ctx, WebSocket, from)
	case isChannel(u):
		l, err := d.as(ctx, WebSocket, from)
		if !elsewhere(err) {
			return l, err
		}
	}
	return d.ask(ctx, from)
}

// as makes a link, of the protocol that is kept to.
func (d *dialer) as(ctx context.Context, p Protocol, from resume) (link, error) {
	d.Protocol = p
	return d.dial(ctx, p, from)
}

// elsewhere reports whether a WebSocket was refused for what may be no lack of rights: something else may be spoken.
func elsewhere(err error) bool {
	if e, ok := errors.AsType[*RefusedError](err); ok {
		return e.Status != http.StatusUnauthorized && e.Status != http.StatusForbidden && e.Status != http.StatusTooManyRequests && e.Status < 500
	}
	return false
}

// otherwise are the answers after which something else may be spoken.
var otherwise = []int{
	http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotAcceptable, http.StatusUpgradeRequired, http.StatusNotImplemented,
}

// ask tells the protocol by the answer to a request.
func (d *dialer) ask(ctx context.Context, from resume) (link, error) {
	r := d.requests(ctx)
	adopted := false
	defer func() {
		if !adopted {
			r.end()
		}
	}()
	within, cancel := context.WithTimeoutCause(ctx, d.Target.Timeout, fmt.Errorf("no answer within %s: %w", d.Target.Timeout, context.DeadlineExceeded))
	defer cancel()
	asked := *r.url
	header := map[string]string{"Accept": "text/event-stream, application/x-ndjson;q=0.9, */*;q=0.1"}
	if isChannel(&asked) {
		setAfter(&asked, from.id)
	} else {
		header["Last-Event-ID"] = from.id
	}
	resp, err := r.do(within, http.MethodGet, &asked, nil, header, otherwise...)
	if err != nil {
		return nil, err
	}
	kind := mediaType(resp)
	if resp.StatusCode == http.StatusOK {
		switch kind {
		case "text/event-stream":
			d.Protocol, adopted = SSE, true
			return d.follow(r, SSE, resp, from)
		case "application/x-ndjson", "application/ndjson", "application/jsonl", "application/stream+json", "application/json-seq":
			d.Protocol, adopted = NDJSON, true
			return d.follow(r, NDJSON, resp, from)
		}
	}
	text := d.beginning(resp)
	upgrade := resp.StatusCode == http.StatusUpgradeRequired || strings.Contains(strings.ToLower(resp.Header.Get("Upgrade")), "websocket")
	switch {
	case upgrade:
		return d.as(ctx, WebSocket, from)
	case isHandshake(text):
		return d.as(ctx, SocketIO, from)
	case resp.StatusCode == http.StatusOK && isChannel(r.url) && kind == "application/json":
		return d.as(ctx, LongPolling, from)
	case d.speaksSocketIO(within, r):
		return d.as(ctx, SocketIO, from)
	}
	l, err := d.as(ctx, WebSocket, from)
	if elsewhere(err) || err != nil && resp.StatusCode == http.StatusOK {
		return nil, exit.With(exit.Refused, fmt.Errorf("the server answers %d %s of type %q, and neither WebSocket, Socket.IO, an event stream nor JSON lines is found there: --protocol says what it is (%w)",
			resp.StatusCode, http.StatusText(resp.StatusCode), kind, err))
	}
	return l, err
}

// beginning reads a little of an answer, for a second at most.
func (d *dialer) beginning(resp *http.Response) []byte {
	defer time.AfterFunc(refusalTime, func() { resp.Body.Close() }).Stop()
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10)) // what came is what there is to look at
	return text
}

// isHandshake reports whether text is the first packet of Engine.IO 4.
func isHandshake(text []byte) bool { return bytes.HasPrefix(text, []byte(`0{"sid":"`)) }

// speaksSocketIO asks the server whether it speaks Socket.IO, and ends the session that this opens.
func (d *dialer) speaksSocketIO(ctx context.Context, r *requests) bool {
	u := *r.url
	u.Path, u.RawPath, u.RawQuery = cmp.Or(d.Path, "/socket.io/"), "", "EIO=4&transport=polling"
	resp, err := r.do(ctx, http.MethodGet, &u, nil, nil)
	if err != nil {
		return false
	}
	text := d.beginning(resp)
	if !isHandshake(text) {
		return false
	}
	var session struct{ SID string }
	if json.Unmarshal(text[1:], &session) == nil {
		u.RawQuery += "&sid=" + url.QueryEscape(session.SID)
		if resp, err := r.do(ctx, http.MethodPost, &u, []byte("1"), map[string]string{"Content-Type": "text/plain;charset=UTF-8"}); err == nil {
			resp.Body.Close()
		}
	}
	return true
}
