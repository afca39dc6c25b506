package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"os"
	"strings"
	"time"

	"baro.dev/internal/neterr"
)

// admin is the second listener, for those who operate the server and for backends. It has nothing of the first one's: no limit, no
// lock and no drain of clients keeps it from answering.
type admin struct {
	server      *Server
	metrics     http.Handler
	http        *http.Server
	listener    net.Listener
	connections connections
	loopback    bool
	hostname    string
}

const (
	// maxAdminConnections is how many connections the second listener has. They are few: a scraper, a probe, backends.
	maxAdminConnections = 256
	// profileTimeout bounds how long a profile may be recorded and taken.
	profileTimeout = 5 * time.Minute
	// adminEnd is how long answers under way are waited for, when everything else has ended.
	adminEnd = time.Second
)

func newAdmin(s *Server) *admin {
	a := &admin{server: s, metrics: s.metrics.Handler()}
	a.connections.max.Store(maxAdminConnections)
	a.hostname, _ = os.Hostname()
	a.http = &http.Server{
		Handler:           a,
		ReadHeaderTimeout: s.config.HeaderTimeout,
		MaxHeaderBytes:    s.config.MaxHeaderBytes,
		IdleTimeout:       s.config.IdleTimeout,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			s.metrics.Accepted("admin")
			return a.connections.accepted(ctx, c)
		},
		ConnState: a.connections.changed,
		ErrorLog:  slog.NewLogLogger(quietHandler{s.log.Handler()}, slog.LevelWarn),
	}
	return a
}

// listenAdmin takes the address of the second listener, which nobody misses where it is only the usual one.
func (s *Server) listenAdmin() error {
	if s.admin == nil {
		return nil
	}
	l, err := s.openAdmin()
	if errors.Is(err, neterr.ErrInUse) && s.config.AdminOptional && !s.config.NoPublicAPI {
		s.log.Warn("no metrics and no second listener: something else listens there; choose another address with --admin-listen, or \"\" for none",
			"address", s.config.AdminListen)
		s.admin = nil
		return nil
	}
	if err != nil {
		return &AdminError{s.config.AdminListen, err}
	}
	s.admin.listener = l
	if tcp, ok := l.Addr().(*net.TCPAddr); ok {
		s.admin.loopback = tcp.IP.IsLoopback()
	}
	return nil
}

func (s *Server) openAdmin() (net.Listener, error) {
	if s.adopted.Admin != nil {
		return s.adopted.Admin, nil
	}
	var listen net.ListenConfig
	return listen.Listen(context.Background(), "tcp", s.config.AdminListen)
}

// An AdminError is that of [Server.Listen] when the second listener's address cannot be had.
type AdminError struct {
	Address string
	Err     error
}

func (e *AdminError) Error() string { return fmt.Sprintf("admin-listen %s: %v", e.Address, e.Err) }

// Unwrap returns e.Err.
func (e *AdminError) Unwrap() error { return e.Err }

// AdminURL is where the second listener can be reached; "" where there is none. It comes after [Server.Listen].
func (s *Server) AdminURL() string {
	if s.admin == nil {
		return ""
	}
	return urlsOf("http", s.admin.listener.Addr())[0]
}

func (a *admin) serve() {
	if err := a.http.Serve(a.listener); !errors.Is(err, http.ErrServerClosed) {
		a.server.log.Error("the second listener has ended", "error", err)
	}
}

// shutdown is for when everything else has ended. It may come more than once, as may closeNow.
func (a *admin) shutdown() {
	if a == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), adminEnd)
	defer cancel()
	if a.http.Shutdown(ctx) != nil {
		a.closeNow()
	}
	if a.listener != nil {
		_ = a.listener.Close() // it may never have been served
	}
}

func (a *admin) closeNow() {
	if a == nil {
		return
	}
	_ = a.http.Close()
	if a.listener != nil {
		_ = a.listener.Close()
	}
}

// ServeHTTP answers requests to the second listener.
func (a *admin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s := a.server
	defer s.recoverFrom(r)
	s.bound(w, r)
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	if r.Header["Upgrade"] != nil {
		h.Set("Connection", "close")
	}
	if refused := connectionOf(r.Context()).refused; refused != nil {
		h.Set("Connection", "close")
		s.fail(w, r, refused)
		return
	}
	if err := a.check(r); err != nil {
		s.fail(w, r, err)
		return
	}
	switch path := r.URL.Path; {
	case strings.HasPrefix(path, apiPrefix):
		s.api.serve(w, r)
	case strings.HasPrefix(path, "/debug/pprof/") && s.now().Pprof:
		a.profile(w, r)
	case !a.has(path):
		s.fail(w, r, refusal(http.StatusNotFound, "not_found", "there is nothing here; this listener has "+a.paths()))
	case !readOnly(r):
		s.methodNotAllowed(w, r, "GET, HEAD")
	default:
		a.answer(w, r)
	}
}

func (*admin) has(path string) bool {
	return path == "/" || path == "/metrics" || path == livePath || isReadyPath(path)
}

func (a *admin) answer(w http.ResponseWriter, r *http.Request) {
	switch path := r.URL.Path; {
	case path == "/metrics":
		a.metrics.ServeHTTP(w, r)
	case path == livePath:
		live(w)
	case isReadyPath(path):
		a.server.answerReady(w)
	default:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintf(w, "This is Baro's listener for those who operate it. It has %s.\n", a.paths())
	}
}

func (a *admin) paths() string {
	list := "/api/v1/, /metrics, /livez, /readyz"
	if !a.server.now().Pprof {
		return list
	}
	return list + ", /debug/pprof/"
}

// check refuses what a page in a browser sends, whatever name it was loaded by: a name that somebody has pointed at this machine (DNS
// rebinding) makes a page of theirs one of the same origin.
func (a *admin) check(r *http.Request) error {
	if !fromNoOtherPage(r) {
		return refusal(http.StatusForbidden, "origin_not_allowed", "this listener is for no page of another origin")
	}
	if !a.isOwn(r.Host) {
		return refusal(http.StatusForbidden, "host_not_allowed",
			fmt.Sprintf("this listener is to be had by address, or as localhost, not as %.100q", r.Host))
	}
	return nil
}

// isOwn says whether a request is for this listener by a name that nobody on the web can have pointed at it: on the loopback interface
// its address or localhost, elsewhere as for the API without keys, or the machine's own name.
func (a *admin) isOwn(host string) bool {
	if !a.loopback {
		name, _, err := net.SplitHostPort(host)
		if err != nil {
			name = host
		}
		return isOwnHost(host) || a.hostname != "" && strings.EqualFold(name, a.hostname)
	}
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && addr.Unmap().IsLoopback()
}

func (a *admin) profile(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Time{}) // net/http takes it for the end of the client
	_ = control.SetWriteDeadline(time.Now().Add(profileTimeout))
	ctx, cancel := context.WithTimeout(r.Context(), profileTimeout)
	defer cancel()
	r = r.WithContext(ctx)
	switch strings.TrimPrefix(r.URL.Path, "/debug/pprof/") {
	case "cmdline": // there may be secrets in it
		a.server.notFound(w, r)
	case "profile":
		pprof.Profile(w, r)
	case "symbol":
		pprof.Symbol(w, r)
	case "trace":
		pprof.Trace(w, r)
	default:
		pprof.Index(w, r)
	}
}
