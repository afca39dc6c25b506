package server

import (
	_ "embed"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"baro.dev/internal/auth"
	"baro.dev/internal/clients"
	"baro.dev/internal/origin"
	"baro.dev/internal/strictjson"
)

const (
	apiPrefix    = "/api/"
	apiRoot      = "/api/v1/"
	apiDocument  = apiRoot + "openapi.json"
	apiCallsPath = apiRoot + "calls/" // and the id of a call
)

//go:embed openapi.json
var openAPI []byte

// A route is a question of the HTTP API. It has one method: what changes nothing is a GET, and has a query; all others are
// POSTs with a JSON object.
type route struct {
	name   string // its path
	method string
	scope  auth.Scope
	// many says that the body may be as long as that of many messages.
	many bool
	// The answer is sent as JSON, unless it is a rawJSON.
	answer func(*apiRequest) (status int, answer any, err error)
}

// rawJSON is an answer that is JSON already.
type rawJSON []byte

// api is the HTTP API for backends.
type api struct {
	server  *Server
	started time.Time
	routes  map[string]route // by their paths behind apiRoot
	paths   []string         // of the routes, sorted
}

func newAPI(s *Server) *api {
	a := &api{server: s, started: time.Now()}
	a.routes = map[string]route{
		"publish":     {method: http.MethodPost, scope: auth.ScopePublish, answer: post(a.publish)},
		"batch":       {method: http.MethodPost, scope: auth.ScopePublish, answer: post(a.batch), many: true},
		"broadcast":   {method: http.MethodPost, scope: auth.ScopePublish, answer: post(a.broadcast), many: true},
		"subscribe":   {method: http.MethodPost, scope: auth.ScopeManage, answer: post(a.subscribe), many: true},
		"unsubscribe": {method: http.MethodPost, scope: auth.ScopeManage, answer: post(a.unsubscribe), many: true},
		"disconnect":  {method: http.MethodPost, scope: auth.ScopeManage, answer: post(a.disconnect), many: true},
		"call":        {method: http.MethodPost, scope: auth.ScopeCall, answer: post(a.call)},
		"calls/{id}":  {method: http.MethodGet, scope: auth.ScopeCall, answer: a.callState},
		"presence":    {method: http.MethodGet, scope: auth.ScopeRead, answer: a.presence},
		"history":     {method: http.MethodGet, scope: auth.ScopeRead, answer: a.history},
		"channels":    {method: http.MethodGet, scope: auth.ScopeRead, answer: a.channels},
		"connections": {method: http.MethodGet, scope: auth.ScopeRead, answer: a.connections},
		"nodes":       {method: http.MethodGet, scope: auth.ScopeRead, answer: a.nodes},
		"info":        {method: http.MethodGet, scope: auth.ScopeRead, answer: a.info},
	}
	for path, rt := range a.routes {
		rt.name = path
		a.routes[path] = rt
		a.paths = append(a.paths, path)
	}
	slices.Sort(a.paths)
	return a
}

// find finds the route of a path, and the id in it.
func (a *api) find(path string) (route, string, bool) {
	if id, ok := strings.CutPrefix(path, apiCallsPath); ok && id != "" && !strings.Contains(id, "/") {
		return a.routes["calls/{id}"], id, true
	}
	name, ok := strings.CutPrefix(path, apiRoot)
	rt, known := a.routes[name]
	return rt, "", ok && known && name != "calls/{id}"
}

// serve answers a request. The order matters: who may not is told nothing of what is here, and no body is read.
func (a *api) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	if !fromNoOtherPage(r) {
		a.fail(w, r, refusal(http.StatusForbidden, "origin_not_allowed", "the API is for backends: pages may not use it"))
		return
	}
	if r.URL.Path == apiDocument {
		a.document(w, r)
		return
	}
	rt, id, ok := a.find(r.URL.Path)
	switch {
	case !ok:
		a.fail(w, r, refusal(http.StatusNotFound, "not_found", "there is nothing here ("+
			strictjson.Suggest(strings.TrimPrefix(r.URL.Path, apiRoot), a.paths)+"); the API is described at "+apiDocument))
		return
	case r.Method != rt.method:
		h.Set("Allow", rt.method)
		a.fail(w, r, refusal(http.StatusMethodNotAllowed, "method_not_allowed", "this is to be asked for with "+rt.method))
		return
	}
	begun := time.Now()
	operation, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, apiRoot), "/")
	a.server.metrics.APIRequest(operation, a.answer(w, r, rt, id), time.Since(begun))
}

// answer answers a request for a route, and returns the status.
func (a *api) answer(w http.ResponseWriter, r *http.Request, rt route, id string) int {
	grant, err := a.grant(r)
	if err == nil {
		err = grant.Check(rt.scope)
	}
	if err != nil {
		a.fail(w, r, err)
		return toProblem(err).Status
	}
	r, end := a.server.tracing.continued(r, "api "+rt.name)
	q := &apiRequest{Request: r, w: w, server: a.server, grant: grant, id: id, limit: a.server.bodyLimit(rt.many)}
	status, answer, err := rt.answer(q)
	end(err)
	if err != nil {
		a.fail(w, r, err)
		return toProblem(err).Status
	}
	if raw, ok := answer.(rawJSON); ok {
		w.Header().Set("Content-Type", typeJSON)
		w.WriteHeader(status)
		_, _ = w.Write(raw)
		return status
	}
	writeJSON(w, status, answer)
	return status
}

// fail answers with an error. A body that was not read is not waited for.
func (a *api) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.ContentLength != 0 && r.ProtoMajor == 1 {
		w.Header().Set("Connection", "close")
	}
	a.server.fail(w, r, err)
}

func (a *api) document(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", http.MethodGet)
		a.fail(w, r, refusal(http.StatusMethodNotAllowed, "method_not_allowed", "this is to be asked for with GET"))
		return
	}
	w.Header().Set("Content-Type", typeJSON)
	_, _ = w.Write(openAPI)
}

// grant says what whoever sends the request may.
func (a *api) grant(r *http.Request) (auth.Grant, error) {
	grant, err := a.server.backend(r)
	if !errors.Is(err, auth.ErrMissing) {
		return grant, err
	}
	if !a.server.config.Dev {
		return grant, clients.ErrCredentials.With("an API key is needed, in the header Authorization: Bearer KEY; baro token key makes one")
	}
	if host := askedHost(r); !isOwnHost(host) {
		return grant, clients.ErrForbidden.With(fmt.Sprintf("without an API key the API is to be had by address, or as localhost, not as %.100q", host))
	}
	return auth.Unlimited(), nil
}

// fromNoOtherPage says that no page of another origin has sent the request, as far as its browser says so: pages may not use the API,
// whatever origins are allowed to use channels.
func fromNoOtherPage(r *http.Request) bool {
	for _, site := range r.Header["Sec-Fetch-Site"] {
		if site != "same-origin" && site != "none" {
			return false
		}
	}
	values := r.Header["Origin"]
	if len(values) == 0 {
		return true
	}
	from, err := origin.Parse(values[0])
	return len(values) == 1 && err == nil && same(from, r)
}

// isOwnHost says whether a name cannot be one that somebody on the web has pointed at this machine, for their page to be of the
// same origin as it: it is an address, or is not of the public domain name system (RFC 6761, RFC 6762; .internal is reserved for
// private use).
func isOwnHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return true
	}
	return host != "" && !strings.Contains(host, ".") || strings.HasSuffix(host, ".localhost") ||
		strings.HasSuffix(host, ".local") || strings.HasSuffix(host, ".internal")
}
