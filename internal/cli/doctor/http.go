package doctor

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"baro.dev/internal/cli/target"
	"baro.dev/internal/neterr"
)

// Web is the data of the checks http, http2 and http3.
type Web struct {
	Status     int         `json:"status"`
	Proto      string      `json:"protocol"`
	Location   string      `json:"location,omitempty"` // of a redirect
	AltSvc     string      `json:"alt_svc,omitempty"`
	RoundTrips *RoundTrips `json:"round_trips,omitempty"` // of short requests over an open connection
}

// checkHTTP finds out what there is, and how long it takes to answer.
func checkHTTP(ctx context.Context, e *examination) Result {
	found, err := e.identify(ctx)
	if err != nil {
		return httpFailed(ctx, e, err)
	}
	e.head, e.altSvc, e.status = found.header, found.header.Get("Alt-Svc"), found.status
	e.date = readClock(found)
	data := &Web{Status: found.status, Proto: found.proto, AltSvc: e.altSvc, Location: found.header.Get("Location")}
	if strings.Contains(string(found.body), "No required SSL certificate was sent") {
		return refused(data, certificateWanted, "%s: no certificate of the client was sent", statusLine(found.status))
	}
	if strings.Contains(string(found.body), "HTTP request was sent to HTTPS port") || strings.Contains(string(found.body), "HTTP request to an HTTPS server") {
		return unreachable(data, "Use https or wss for this port.", "the server speaks TLS")
	}
	if found.status >= 300 && found.status < 400 && data.Location != "" {
		return refused(data, redirectAdvice(e.url, data.Location), "%s, to %s", statusLine(found.status), data.Location)
	}
	if e.kind == "" {
		if found.status >= 500 {
			return refused(data, statusAdvice(found.status), "%s: %s%s", statusLine(found.status), said(found.body), by(whoIs(found.header)))
		}
		e.kind, e.path = WebSocket, e.url
	}
	var times []time.Duration
	for range samples {
		a, err := e.get(ctx, e.short(), typeJSON)
		if err != nil {
			break
		}
		times = append(times, a.first)
	}
	data.RoundTrips = roundTrips(times)
	e.pollFor = found.first
	if data.RoundTrips != nil {
		e.pollFor = time.Duration(data.RoundTrips.Median)
		return ok(data, "%s, %s; min/median/max %s", found.proto, e.what(), data.RoundTrips)
	}
	return ok(data, "%s, %s", found.proto, e.what())
}

// short is what answers at once.
func (e *examination) short() *url.URL {
	switch e.kind {
	case Channel:
		return with(e.path, "after=now")
	case SocketIO:
		return with(e.path, "EIO=4&transport=none") // refused, without a session
	case Events:
		root := *e.url
		root.Path, root.RawPath, root.RawQuery = "/favicon.ico", "", ""
		return &root
	}
	return e.path
}

// what says in words what is there.
func (e *examination) what() string {
	switch e.kind {
	case Channel:
		return "baro serve, channel " + e.o.Channel
	case SocketIO:
		return "a server of Socket.IO at " + e.path.Path
	case Events:
		return "an event stream"
	}
	return "something else than baro serve and Socket.IO, examined as a WebSocket"
}

// httpFailed says why there is no answer of HTTP.
func httpFailed(ctx context.Context, e *examination, err error) Result {
	switch {
	case wantsCertificate(err):
		return refused(nil, certificateWanted, "%v", cause(ctx, err))
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return unreachable(nil, "Use http or ws for this port.", "the server speaks HTTP without TLS")
	case strings.Contains(err.Error(), "malformed HTTP"), errors.Is(err, target.ErrUnasked):
		advice := "What listens there is no web server: is the port right?"
		if !e.secure() {
			advice += " If it is the port of TLS, use https or wss."
		}
		return unreachable(nil, advice, "the answer is not HTTP")
	case strings.Contains(err.Error(), "server response headers exceeded"):
		return refused(nil, "No sane server does this.", "the head of the answer is endless")
	case isTimeout(err) || ctx.Err() != nil:
		return unreachable(nil, "Something takes connections and does not answer: a server that hangs, a balancer without a server, or a port that does not speak HTTP.",
			"no answer to a request")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, neterr.ErrReset):
		advice := "Is it a web server? One that expects the header of the PROXY protocol (--proxy-protocol) does this, too."
		if !e.secure() {
			advice += " If it is the port of TLS, use https or wss."
		}
		return unreachable(nil, advice, "the connection ends without an answer")
	}
	return unreachable(nil, "", "no answer: %v", cause(ctx, err))
}

func isTimeout(err error) bool {
	n, isNet := errors.AsType[net.Error](err)
	return isNet && n.Timeout()
}

func redirectAdvice(from *url.URL, location string) string {
	to, err := from.Parse(location)
	if err != nil {
		return "What it names is no address."
	}
	return "WebSockets of browsers follow no redirect. Use the URL that it leads to: baro doctor " + redact(to)
}

// headOf is the head of an answer that a check has no more to say of.
func headOf(a *answer) *Web { return &Web{Status: a.status, Proto: a.proto} }

// notFound says whether a status tells that there is nothing.
func notFound(status int) bool {
	return status == http.StatusNotFound || status == http.StatusGone
}

// by names those who show themselves.
func by(who []string) string {
	if len(who) == 0 {
		return ""
	}
	return " (" + strings.Join(who, ", ") + ")"
}
