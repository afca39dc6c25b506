package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"baro.dev/channel"
	"baro.dev/internal/auth"
	"baro.dev/internal/clients"
)

const (
	channelPrefix  = "/c/"
	allowedMethods = "GET, HEAD, POST, OPTIONS"
)

// ServeHTTP answers every request to the server.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r = s.locate(r)
	if s.log.Enabled(r.Context(), slog.LevelDebug) {
		s.log.DebugContext(r.Context(), "request", "method", r.Method, "url", auth.Redact(r.URL.RequestURI()), "remote", r.RemoteAddr, "conn", connectionOf(r.Context()).id)
	}
	defer s.recoverFrom(r)
	s.bound(w, r)
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	s.announceHTTP3(h, r)

	name, isChannel := strings.CutPrefix(r.URL.Path, channelPrefix)
	upgrade := asksForWebSocket(r)
	if s.isLeaving() && !strings.HasPrefix(r.URL.Path, socketIOPath) { // of whose clients some are to stay for a while
		h.Set("Connection", "close")
	}
	// A proxy that takes a refused upgrade for granted would pass on whatever its client says next.
	isSocketIO := strings.HasPrefix(r.URL.Path, socketIOPath)
	isMultiplex := r.URL.Path == multiplexPath
	if r.ProtoMajor == 1 && r.Header["Upgrade"] != nil && (!isChannel && !isSocketIO && !isMultiplex || !upgrade) {
		h.Set("Connection", "close")
	}

	if r.ProtoMajor == 1 && len(r.TransferEncoding) > 0 {
		// There may have been a length, too, which a proxy in front took for that of the body (RFC 9112 section 6.1). net/http does not say.
		h.Set("Connection", "close")
	}

	refused := connectionOf(r.Context()).refused
	switch {
	case refused != nil:
		h.Set("Connection", "close")
		s.fail(w, r, refused)
	case isChannel:
		s.serveChannel(w, r, name, upgrade)
	case isMultiplex:
		s.multiplex.serve(w, r, upgrade)
	case isSocketIO:
		s.socketIO.serve(w, r)
	case strings.HasPrefix(r.URL.Path, apiPrefix) && s.config.NoPublicAPI:
		s.api.fail(w, r, refusal(http.StatusNotFound, "not_found", "the API is not here, but on the listener for backends (--admin-listen)"))
	case strings.HasPrefix(r.URL.Path, apiPrefix):
		s.api.serve(w, r)
	case r.URL.Path == livePath || isReadyPath(r.URL.Path):
		s.health(w, r)
	case !s.now().NoConsole && s.console.Has(r.URL.Path) && !upgrade:
		if readOnly(r) {
			s.console.ServeHTTP(w, r)
		} else {
			s.methodNotAllowed(w, r, "GET, HEAD")
		}
	default:
		s.notFound(w, r)
	}
}

// bound limits the time that the client may take for its body, and for its answer. Streams bound theirs piece by piece.
func (s *Server) bound(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	limit := s.config.WriteTimeout
	if mayHaveBody(r) && r.Method != http.MethodConnect {
		_ = control.SetReadDeadline(time.Now().Add(s.config.BodyTimeout))
		limit += s.config.BodyTimeout // the answer comes after the body, and HTTP/2 resets a stream whose time is over
	}
	_ = control.SetWriteDeadline(time.Now().Add(limit))
}

// recoverFrom keeps the process alive when a handler panics, as net/http does, but says so in our log.
func (s *Server) recoverFrom(r *http.Request) {
	v := recover()
	if v == nil {
		return
	}
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(v)
	}
	s.log.Error("handler panicked", "method", r.Method, "path", auth.Redact(r.URL.Path), "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
	// What was written may be a part of an answer: the connection must not look as if it were whole.
	panic(http.ErrAbortHandler)
}

func readOnly(r *http.Request) bool {
	return r.Method == http.MethodGet || r.Method == http.MethodHead
}

func (s *Server) notFound(w http.ResponseWriter, r *http.Request) {
	s.fail(w, r, refusal(http.StatusNotFound, "not_found", "there is nothing here; a channel is at "+channelPrefix+"NAME"))
}

func (s *Server) methodNotAllowed(w http.ResponseWriter, r *http.Request, methods string) {
	w.Header().Set("Allow", methods)
	s.fail(w, r, refusal(http.StatusMethodNotAllowed, "method_not_allowed", "allowed are "+methods))
}

// serveChannel answers a request for a channel. The order matters: who may not is told nothing else.
func (s *Server) serveChannel(w http.ResponseWriter, r *http.Request, name string, upgrade bool) {
	foreign, ok := s.now().origins.check(r)
	if !ok {
		refuseUpgrade(w, upgrade)
		s.fail(w, r, errOrigin)
		return
	}
	allow(w.Header(), foreign)
	if err := channel.ValidateName(name); err != nil {
		refuseUpgrade(w, upgrade)
		s.fail(w, r, err)
		return
	}
	q, err := parseQuery(r)
	if err != nil {
		refuseUpgrade(w, upgrade)
		s.fail(w, r, err)
		return
	}
	switch {
	case r.Method == http.MethodOptions:
		preflight(w, r)
	case upgrade:
		s.serveWebSocket(w, r, name, q)
	case r.Method == http.MethodPost:
		s.publish(w, r, name, q)
	case readOnly(r):
		s.read(w, r, name, q)
	default:
		s.methodNotAllowed(w, r, allowedMethods)
	}
}

// read answers a reader over the transport that it accepts.
func (s *Server) read(w http.ResponseWriter, r *http.Request, name string, q query) {
	w.Header().Add("Vary", "Accept")
	if mayHaveBody(r) {
		// The end of a client that still has to send a body would go unnoticed.
		w.Header().Set("Connection", "close")
		s.fail(w, r, badRequest("unexpected_body", "a "+r.Method+" has no body; POST publishes"))
		return
	}
	var err error
	media := negotiate(r.Header)
	switch {
	case media == typeJSON:
		err = s.poll(w, r, name, q)
	case media != "" && r.Method == http.MethodGet && !s.lets():
		err = clients.ErrConnects
	case media == typeSSE:
		err = s.streamSSE(w, r, name, q)
	case media == typeNDJSON:
		err = s.streamNDJSON(w, r, name, q)
	default:
		err = refusal(http.StatusNotAcceptable, "not_acceptable", "a channel is to be had as "+typeJSON+", "+typeSSE+" or "+typeNDJSON)
	}
	if errors.Is(err, context.Canceled) {
		panic(http.ErrAbortHandler) // the client has gone, or half of it: it must not take silence for an answer
	}
	switch {
	case err == nil:
	case media == typeSSE && r.Header["Sec-Fetch-Mode"] != nil && toProblem(err).Number < clients.ErrRequest.Number:
		s.putOff(w, r, err)
	default:
		s.fail(w, r, explain(r, err))
	}
}
