package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// Stream is the data of the checks event-stream and ndjson.
type Stream struct {
	Status   int       `json:"status,omitempty"`
	Encoding string    `json:"content_encoding,omitempty"`
	Head     *Duration `json:"head_ms"`  // until the head of the answer; null: it did not come
	First    *Duration `json:"first_ms"` // until the first byte after it
	Poll     Duration  `json:"poll_ms"`  // what a short answer takes, to compare with
}

// checkPoll reads what there is.
func checkPoll(ctx context.Context, e *examination) Result {
	a, err := e.get(ctx, with(e.path, "after=now"), typeJSON)
	if err != nil {
		return broken(nil, "", "no answer: %v", cause(ctx, err))
	}
	if a.status != http.StatusOK {
		return e.refusedBy(headOf(a), a.status, a.body)
	}
	return ok(headOf(a), "200 in %s", Duration(a.first))
}

// refusedBy says how a request was refused.
func (e *examination) refusedBy(data any, status int, body []byte) Result {
	if r := baroRefusal(status, body); r != nil {
		return refused(data, statusAdvice(status), "%s: %s (%s)", statusLine(status), r.Message, r.Code)
	}
	return refused(data, statusAdvice(status), "%s: %s", statusLine(status), said(body))
}

const pollWait = time.Second

// checkLongPoll has the server wait for a message that does not come.
func checkLongPoll(ctx context.Context, e *examination) Result {
	a, err := e.get(ctx, with(e.path, "after=now&wait="+pollWait.String()), typeJSON)
	if err != nil {
		return broken(nil, holdAdvice(whoIs(e.head)), "no answer to a poll that waits for %s: %v", Duration(pollWait), cause(ctx, err))
	}
	data := headOf(a)
	switch {
	case a.status == http.StatusGatewayTimeout || a.status == http.StatusBadGateway:
		return broken(data, idleAdvice(whoIs(a.header))+".", "%s for a poll that waits for %s", statusLine(a.status), Duration(pollWait))
	case a.status != http.StatusOK:
		return e.refusedBy(data, a.status, a.body)
	case a.took > pollWait+e.o.Slow:
		return broken(data, holdAdvice(whoIs(e.head)), "a poll that waits for %s is answered after %s", Duration(pollWait), Duration(a.took))
	case a.took < pollWait/2 && len(a.body) < 128: // there was no message
		return warn(data, "The query is lost on the way, or --max-wait of the server is short: clients poll again and again.",
			"a poll that waits for %s is answered after %s", Duration(pollWait), Duration(a.took))
	}
	if a.took < pollWait/2 {
		return ok(data, "200 after %s, with a message", Duration(a.took))
	}
	return ok(data, "200 after %s, as asked", Duration(a.took))
}

func checkEventStream(ctx context.Context, e *examination) Result {
	if e.kind == Events {
		return e.checkStream(ctx, e.url, typeEvents, false)
	}
	return e.checkStream(ctx, e.path, typeEvents, true)
}

// checkNDJSON reads lines of JSON, of which the first comes with a message, or the first sign of life.
func checkNDJSON(ctx context.Context, e *examination) Result {
	return e.checkStream(ctx, e.path, typeLines, false)
}

// checkStream sees whether a stream begins when it should: its head at once, and if speaks, the first line with it. What holds answers back until they
// are whole, or a buffer is full, shows in that.
func (e *examination) checkStream(ctx context.Context, u *url.URL, accept string, speaks bool) Result {
	data := &Stream{Poll: Duration(e.pollFor)}
	s, err := e.openStream(ctx, u, accept)
	if s != nil {
		defer s.close()
		data.Status, data.Head = s.status, &s.head
	}
	compare := fmt.Sprintf("a short answer takes %s", data.Poll)
	switch {
	case errors.Is(err, errHeld) && accept == typeLines:
		return warn(data, holdAdvice(whoIs(e.head)), "the head of the stream does not come within %s, and perhaps not before its first line; %s", Duration(e.o.Slow), compare)
	case errors.Is(err, errHeld):
		advice := holdAdvice(whoIs(e.head))
		if e.kind == Events {
			advice += " Or the server says nothing before its first event: have it flush the head of the answer."
		}
		return broken(data, advice, "the head of the stream does not come within %s; %s", Duration(e.o.Slow), compare)
	case err != nil:
		return broken(data, "", "no answer: %v", cause(ctx, err))
	case s.status != http.StatusOK:
		body, _ := s.read(maxBody)
		return e.refusedBy(data, s.status, body)
	}
	if t := mediaType(s.header); t != accept {
		return refused(data, "Something else answers at this path.", "the answer is of type %q, not %s", t, accept)
	}
	data.Encoding = s.header.Get("Content-Encoding")
	patience := e.o.Slow
	if accept == typeLines {
		patience = min(patience, 300*time.Millisecond) // nothing is expected
	}
	first, err := s.first(patience)
	switch {
	case err == nil:
		data.First = &first
	case errors.Is(err, errHeld) && speaks:
		return broken(data, holdAdvice(whoIs(e.head)), "the stream begins, and its first line does not come within %s; %s", Duration(e.o.Slow), compare)
	case !errors.Is(err, errHeld):
		return broken(data, "See the log of the server, and of the proxy.", "the stream ends at once: %v", endOfStream(err))
	}
	what := "head in " + s.head.String()
	if data.First != nil {
		what += ", first line in " + data.First.String()
	} else {
		what += ", silent since"
	}
	if isCompressed(s.header) {
		return warn(data, compressAdvice,
			"%s; compressed on the way (%s)", what, data.Encoding)
	}
	return ok(data, "%s", what)
}

const compressAdvice = "Something compresses streams, and waits for more to compress: leave text/event-stream and application/x-ndjson out (gzip_types of nginx, mod_deflate of Apache; " +
	"docs/reverse-proxies.md)."

// isCompressed says whether an answer is not sent as it is.
func isCompressed(h http.Header) bool {
	encoding := h.Get("Content-Encoding")
	return encoding != "" && encoding != "identity"
}

func endOfStream(err error) error {
	if errors.Is(err, io.EOF) {
		return errors.New("as if it were complete")
	}
	return err
}

// errHeld is that something did not come within Options.Slow.
var errHeld = errors.New("it does not come")

// stream is an answer that goes on.
type stream struct {
	status int
	header http.Header
	head   Duration
	body   io.ReadCloser
	start  time.Time
	slow   time.Duration
	cancel context.CancelCauseFunc
}

// openStream asks for a stream, as browsers do, who would take it compressed.
func (e *examination) openStream(ctx context.Context, u *url.URL, accept string) (*stream, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	held := time.AfterFunc(e.o.Slow, func() { cancel(errHeld) })
	r := e.request(ctx, http.MethodGet, u, accept)
	r.Header.Set("Accept-Encoding", "gzip, deflate, br")
	start := time.Now()
	response, err := e.client(1).Do(r)
	if err == nil && !held.Stop() {
		response.Body.Close()
		err = errHeld
	}
	if err != nil {
		held.Stop()
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		cancel(nil)
		return nil, err
	}
	return &stream{response.StatusCode, response.Header, Duration(time.Since(start)), response.Body, start, e.o.Slow, cancel}, nil
}

// first waits for the first byte, and says when it came, counted from the request on.
func (s *stream) first(patience time.Duration) (Duration, error) {
	held := time.AfterFunc(patience, func() { s.cancel(errHeld) })
	defer held.Stop()
	_, err := io.ReadFull(s.body, make([]byte, 1))
	if err != nil && errors.Is(err, context.Canceled) {
		err = errHeld
	}
	return Duration(time.Since(s.start)), err
}

// read reads up to n bytes, as far as they come in time.
func (s *stream) read(n int64) ([]byte, error) {
	held := time.AfterFunc(s.slow, func() { s.cancel(errHeld) })
	defer held.Stop()
	return io.ReadAll(io.LimitReader(s.body, n))
}

func (s *stream) close() {
	s.cancel(nil)
	s.body.Close()
}
