package bridge

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/net/http/httpguts"

	"baro.dev/internal/auth"
	"baro.dev/ws"
)

// serveWebSocket has WebSockets joined with targets that are streams.
func (b *Bridge) serveWebSocket(ctx context.Context) error {
	_, at, secure, err := b.c.From.front()
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	h := &front{Bridge: b, ctx: ctx, path: at, stop: stop}
	server := &http.Server{
		Handler:           b.c.Guard.Middleware(h, h.refused),
		TLSConfig:         b.c.TLS,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       30 * time.Second,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(b.log.Handler(), slog.LevelDebug),
	}
	var waiting atomic.Int64
	server.ConnState = func(c net.Conn, s http.ConnState) {
		switch s {
		case http.StateNew:
			if waiting.Add(1) > int64(b.c.MaxConnections+extraConnections) {
				c.Close()
			}
		case http.StateHijacked, http.StateClosed:
			waiting.Add(-1)
		}
	}
	unlink := context.AfterFunc(ctx, func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
		defer cancel()
		_ = server.Shutdown(closing)
	})
	defer unlink()
	defer server.Close()
	if secure {
		err = server.ServeTLS(b.l, "", "")
	} else {
		err = server.Serve(b.l)
	}
	if ctx.Err() != nil {
		b.pairs.Wait()
		if err = context.Cause(ctx); errors.Is(err, errDone) {
			err = h.result
		}
	}
	return err
}

// extraConnections is how many connections there may be whose requests are yet to come, or are refused, beyond those that are let in.
const extraConnections = 64

// errDone is why a bridge to standard input and output stops: it has carried its one connection.
var errDone = errors.New("done")

// front answers requests.
type front struct {
	*Bridge
	ctx  context.Context
	path string
	stop context.CancelCauseFunc

	result error // of the one connection to standard input and output; for whoever has waited for the pairs
}

func (h *front) refused(r *http.Request, err error) {
	h.log.Warn("refused", "from", r.RemoteAddr, "path", r.URL.Path, "target", r.URL.Query().Get("target"),
		"origin", r.Header.Get("Origin"), "host", r.Host, "error", err)
}

// refusal is why a client is not let in, and with what status.
type refusal struct {
	status int
	reason string
	err    error         // for the log
	after  time.Duration // of 429: when to come again
}

// errNobody is that a request shows nothing that could be right: no secret is found out by that.
var errNobody = errors.New("no name and password, and no token")

// try has a secret of a request looked at, unless too many were wrong that came from its address, and says why it is refused: by wrong, if the
// secret is not known.
func (h *front) try(r *http.Request, wrong *refusal, find func() error) *refusal {
	err := h.attempts.Try(r.RemoteAddr, find)
	e, _ := errors.AsType[*auth.Error](err)
	switch {
	case err == nil:
		return nil
	case e != nil && e.Kind == auth.ErrTooMany:
		return &refusal{status: http.StatusTooManyRequests, reason: e.Reason, after: e.After}
	}
	return wrong
}

// known is the error of a secret that was looked for.
func known(ok bool) error {
	if ok {
		return nil
	}
	return &auth.Error{Kind: auth.ErrUnknownKey, Reason: "it is in no file"}
}

func (h *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	to, leave, no := h.admit(r)
	if no != nil {
		if no.err == nil {
			no.err = errors.New(no.reason)
		}
		h.refused(r, no.err)
		switch no.status {
		case http.StatusUnauthorized:
			h.challenge(w.Header())
		case http.StatusServiceUnavailable:
			w.Header().Set("Retry-After", "5")
		case http.StatusTooManyRequests:
			w.Header().Set("Retry-After", strconv.Itoa(1+int(no.after.Seconds())))
		}
		if r.ProtoMajor == 1 {
			w.Header().Set("Connection", "close")
		}
		http.Error(w, no.reason, no.status)
		return
	}
	defer leave()
	c, err := ws.Accept(w, r, &ws.AcceptOptions{
		Subprotocols: append(append([]string{}, h.c.Subprotocols...), HalfClose, "binary"),
		CheckOrigin:  func(*http.Request) error { return nil }, // the guard has
		Compression:  h.c.Compression,
		Limits:       h.limits(),
		Keepalive:    h.keepalive(),
		Queue:        ws.Queue{MaxBytes: maxQueued},
	})
	if err != nil {
		h.refused(r, err)
		return
	}
	h.join(c, r, to)
}

// admit says where a request is to be carried, or why it is not. leave gives its place back.
func (h *front) admit(r *http.Request) (to choice, leave func(), no *refusal) {
	if h.path != "/" && path.Clean("/"+r.URL.Path) != h.path {
		return to, nil, &refusal{status: http.StatusNotFound, reason: "there is nothing at this path"}
	}
	if h.basic != nil || h.bearer != nil {
		no = h.try(r, &refusal{status: http.StatusUnauthorized, reason: "who may connect has a name and password, or a token"}, func() error { return h.authorize(r) })
		if no != nil {
			return to, nil, no
		}
	}
	if !httpguts.HeaderValuesContainsToken(r.Header["Connection"], "upgrade") && r.Method == http.MethodGet {
		return to, h.pass, nil // no WebSocket: Accept says so
	}
	to, no = h.choose(r)
	if no != nil {
		return to, nil, no
	}
	leave, ok := h.enter()
	if !ok {
		return to, nil, &refusal{status: http.StatusServiceUnavailable, reason: "there are as many connections as allowed"}
	}
	return to, leave, nil
}

func (h *front) pass() {}

// join connects to the target and carries what comes. What the client sends meanwhile waits in the kernel.
func (h *front) join(c *ws.Conn, r *http.Request, to choice) {
	defer c.CloseNow()
	log := h.log.With("connection", h.number.Add(1), "from", r.RemoteAddr, "to", to.String())
	s, err := h.connect(h.ctx, to)
	if err != nil {
		reason := "the target cannot be reached"
		if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
			reason = "the target does not answer"
		}
		log.Warn("not joined", "error", err)
		_ = c.Close(context.WithoutCancel(h.ctx), ws.StatusBadGateway, reason)
		return
	}
	err = h.carry(h.ctx, &pair{ws: c, stream: s}, log)
	if to.Kind == Stdio {
		h.result = broken(err)
		h.stop(errDone)
	}
}

// authorize tells whether a request is of somebody who may come, where a file says who.
func (h *front) authorize(r *http.Request) error {
	values := r.Header.Values("Authorization")
	if len(values) > 1 {
		return errNobody
	}
	if name, password, ok := r.BasicAuth(); ok {
		if h.basic == nil {
			return errNobody
		}
		_, ok = h.basic.find(name + ":" + password)
		return known(ok)
	}
	if h.bearer == nil {
		return errNobody
	}
	token := r.URL.Query().Get("access_token") // RFC 6750 section 2.3: a page can set no header
	if len(values) == 1 {
		scheme, rest, _ := strings.Cut(values[0], " ")
		if !strings.EqualFold(scheme, "Bearer") || token != "" {
			return errNobody
		}
		token = strings.TrimLeft(rest, " ")
	}
	if token == "" {
		return errNobody
	}
	_, ok := h.bearer.find(token)
	return known(ok)
}

func (h *front) challenge(header http.Header) {
	if h.basic != nil {
		header.Add("WWW-Authenticate", `Basic realm="baro bridge", charset="UTF-8"`)
	}
	if h.bearer != nil {
		header.Add("WWW-Authenticate", `Bearer realm="baro bridge"`)
	}
}

// choose finds the target of a request: the one there is, that of a token, or that which the client asks for and may have.
func (h *front) choose(r *http.Request) (choice, *refusal) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return choice{}, &refusal{status: http.StatusBadRequest, reason: "the query cannot be read", err: err}
	}
	switch {
	case h.targets != nil:
		token, ok := tokenOf(query, r.Header)
		if !ok {
			return choice{}, &refusal{status: http.StatusForbidden, reason: "a token is needed: one, as ?token= or as a subprotocol"}
		}
		var to choice
		no := h.try(r, &refusal{status: http.StatusForbidden, reason: "the token is not known"}, func() error {
			to.Endpoint, ok = h.targets.find(token)
			return known(ok)
		})
		return to, no
	case len(h.c.Allow) > 0:
		if len(query["target"]) != 1 {
			return choice{}, &refusal{status: http.StatusForbidden, reason: "a target is needed: ?target=HOST:PORT"}
		}
		ctx, cancel := context.WithTimeout(r.Context(), h.c.ConnectTimeout)
		defer cancel()
		addresses, err := choose(ctx, h.c.Allow, query.Get("target"), h.resolve)
		switch {
		case errors.Is(err, errNoAddress):
			return choice{}, &refusal{status: http.StatusBadGateway, reason: err.Error(), err: err}
		case err != nil:
			return choice{}, &refusal{status: http.StatusForbidden, reason: err.Error(), err: err}
		}
		return choice{Endpoint: Endpoint{TCP, query.Get("target")}, addresses: addresses}, nil
	}
	return choice{Endpoint: h.c.To}, nil
}

// tokenPrefix is before a token that a page, which can set no header, offers as a subprotocol beside "binary".
const tokenPrefix = "token."

// tokenOf is the one token of a request.
func tokenOf(query url.Values, header http.Header) (string, bool) {
	tokens := query["token"]
	for _, line := range header.Values("Sec-WebSocket-Protocol") {
		for name := range strings.SplitSeq(line, ",") {
			if token, ok := strings.CutPrefix(strings.TrimSpace(name), tokenPrefix); ok {
				tokens = append(tokens, token)
			}
		}
	}
	if len(tokens) != 1 {
		return "", false
	}
	return tokens[0], true
}
