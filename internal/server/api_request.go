package server

import (
	"errors"
	"fmt"
	"math"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"baro.dev/internal/auth"
	"baro.dev/internal/clients"
	"baro.dev/internal/strictjson"
)

// What one request may be about.
const (
	maxBatch      = 10_000   // messages, or users, clients and channels
	maxBatchBytes = 16 << 20 // of its body
	maxListed     = 10_000   // in an answer
)

// bodyLimit is how long the body of a request may be: a message, every byte of which may be an escape of six, or many.
func (s *Server) bodyLimit(many bool) int64 {
	one := envelopeOverhead*int64(s.config.Channels.MaxMessageBytes) + 64<<10
	if many {
		return max(one, maxBatchBytes)
	}
	return one
}

// apiRequest is a request to the API of somebody who has the scope for it.
type apiRequest struct {
	*http.Request
	w      http.ResponseWriter
	server *Server
	grant  auth.Grant
	id     string // in the path
	limit  int64  // of the body
}

// post makes of what answers a body an answer to a request.
func post[Body any](answer func(*apiRequest, Body) (int, any, error)) func(*apiRequest) (int, any, error) {
	reader := strictjson.For[Body]()
	return func(q *apiRequest) (int, any, error) {
		if q.URL.RawQuery != "" {
			return 0, nil, badRequest("invalid_query", "what is asked for is in the body; there is no query")
		}
		if err := q.server.takesRequests(); err != nil {
			return 0, nil, err
		}
		if err := checkJSON(q.Header); err != nil {
			return 0, nil, err
		}
		data, err := q.server.readBody(q.w, q.Request, q.limit)
		q.allow(0)
		if err != nil {
			return 0, nil, err
		}
		body, err := reader.Read(data)
		if err != nil {
			return 0, nil, bodyError(err)
		}
		return answer(q, body)
	}
}

func bodyError(err error) error {
	if wrong, ok := errors.AsType[*strictjson.Error](err); ok && wrong.TooMany {
		return clients.ErrTooLarge.With("the body: " + err.Error())
	}
	return badRequest("invalid_body", "the body: "+err.Error())
}

// allow gives the request some time more, and what it takes to accept the answer.
func (q *apiRequest) allow(d time.Duration) {
	control := http.NewResponseController(q.w)
	_ = control.SetReadDeadline(time.Time{}) // net/http takes it for the end of the client
	_ = control.SetWriteDeadline(time.Now().Add(d + q.server.config.WriteTimeout))
}

// checkJSON wants a body that says that it is JSON, so that no form of a page is taken for it, and nobody's mistake for text.
func checkJSON(h http.Header) error {
	if values := h["Content-Encoding"]; len(values) > 0 && (len(values) > 1 || !strings.EqualFold(values[0], "identity")) {
		return refusal(http.StatusUnsupportedMediaType, "unsupported_encoding", "a body must not be compressed")
	}
	values := h["Content-Type"]
	if len(values) != 1 {
		return refusal(http.StatusUnsupportedMediaType, "unsupported_type", "the header Content-Type: application/json is needed, once")
	}
	media, parameters, err := mime.ParseMediaType(values[0])
	charset := parameters["charset"]
	if err != nil || media != typeJSON || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return refusal(http.StatusUnsupportedMediaType, "unsupported_type", fmt.Sprintf("a body is application/json, in UTF-8, and not %.100q", values[0]))
	}
	return nil
}

// parameters reads the query, in which there may be these.
func (q *apiRequest) parameters(known ...string) (map[string]string, error) {
	if q.ContentLength != 0 {
		return nil, badRequest("unexpected_body", "a GET has no body: what is asked for is in the query")
	}
	values, err := url.ParseQuery(q.URL.RawQuery)
	if err != nil {
		return nil, badRequest("invalid_query", "the query is malformed: "+err.Error())
	}
	got := make(map[string]string, len(known))
	for _, name := range known {
		list, ok := values[name]
		switch {
		case len(list) > 1:
			return nil, badRequest("invalid_query", fmt.Sprintf("%q is given %d times", name, len(list)))
		case ok:
			got[name] = list[0]
			delete(values, name)
		}
	}
	for name := range values {
		return nil, badRequest("invalid_query", fmt.Sprintf("there is no parameter %.40q here; %s", name, strictjson.Suggest(name, known)))
	}
	return got, nil
}

// listLimit is how many there are to be in an answer.
func listLimit(p map[string]string, otherwise int) (int, error) {
	text, ok := p["limit"]
	if !ok {
		return otherwise, nil
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || n > maxListed {
		return 0, badRequest("invalid_limit", fmt.Sprintf("limit must be a number of 0 to %d", maxListed))
	}
	return int(n), nil
}

// noLimited refuses a key that is for some channels only.
func (q *apiRequest) noLimited(what string) error {
	if q.grant.Limited() {
		return clients.ErrForbidden.With("the API key " + q.grant.ID + " is for some channels only, and so not for " + what)
	}
	return nil
}

// apiTime is a time like "5s", or a number of seconds.
type apiTime time.Duration

func (d *apiTime) UnmarshalJSON(b []byte) error {
	wrong := fmt.Errorf(`%.40s is not a time like "5s", or a number of seconds`, b)
	if b[0] == '"' {
		parsed, err := time.ParseDuration(strings.Trim(string(b), `"`))
		if err != nil || parsed < 0 {
			return wrong
		}
		*d = apiTime(parsed)
		return nil
	}
	seconds, err := strconv.ParseFloat(string(b), 64)
	if err != nil || !(seconds >= 0) || seconds > math.MaxInt32 {
		return wrong
	}
	*d = apiTime(seconds * float64(time.Second))
	return nil
}
