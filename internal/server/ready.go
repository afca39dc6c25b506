package server

import (
	"net/http"
)

// livePath answers as long as the process does.
const livePath = "/livez"

// isReadyPath says whether a path is that of what load balancers ask.
func isReadyPath(path string) bool { return path == "/readyz" || path == "/healthz" }

// Why a server is not ready.
const (
	reasonListening = "not_listening"
	reasonDraining  = "draining"
	reasonStore     = "store_failed"
	reasonBroker    = "broker_away"
	reasonBehind    = "behind"
)

// ready says whether the server wants clients, and if not, why.
func (s *Server) ready() (ok bool, reasons []string) {
	if !s.serving.Load() {
		reasons = append(reasons, reasonListening)
	}
	if s.leaving.begun.Load() {
		reasons = append(reasons, reasonDraining)
	}
	if s.store != nil && s.store.failing() {
		reasons = append(reasons, reasonStore)
	}
	if s.joined.isAway() {
		reasons = append(reasons, reasonBroker)
	}
	if s.joined.behind() != nil {
		reasons = append(reasons, reasonBehind)
	}
	return len(reasons) == 0, reasons
}

// readiness is the answer to /readyz.
type readiness struct {
	Ready   bool     `json:"ready"`
	Reasons []string `json:"reasons"`
}

func (s *Server) answerReady(w http.ResponseWriter) {
	ok, reasons := s.ready()
	if reasons == nil {
		reasons = []string{}
	}
	status := http.StatusOK
	if !ok {
		status = http.StatusServiceUnavailable
	}
	w.Header().Set("Cache-Control", "no-store")
	writeJSON(w, status, readiness{ok, reasons})
}

func live(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write([]byte("ok\n"))
}

// health answers what asks for the server's health.
func (s *Server) health(w http.ResponseWriter, r *http.Request) {
	switch {
	case !readOnly(r):
		s.methodNotAllowed(w, r, "GET, HEAD")
	case r.URL.Path == livePath:
		live(w)
	default:
		s.answerReady(w)
	}
}
