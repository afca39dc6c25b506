package server

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"baro.dev/engineio"
	"baro.dev/internal/auth"
	"baro.dev/internal/clients"
	"baro.dev/ws"
)

const (
	// maxTold is how many lines of one kind the log gets in a second. What happens beyond is counted in the next.
	maxTold = 5
	// maxToldBytes is how much of what a client says goes into a line.
	maxToldBytes = 200
)

// teller tells the log what any client can cause, in one line each, without letting clients fill it.
type teller struct {
	log *slog.Logger

	mu    sync.Mutex
	kinds map[string]*lately
}

// lately is how often something was told, and has happened beyond, since a moment.
type lately struct {
	since         time.Time
	lines, untold int
}

// tell logs something of a kind, of which there are few.
func (t *teller) tell(ctx context.Context, kind, message string, attrs ...slog.Attr) {
	if !t.log.Enabled(ctx, slog.LevelInfo) {
		return
	}
	untold, ok := t.count(kind)
	if !ok {
		return
	}
	if untold > 0 {
		attrs = append(attrs, slog.Int("untold", untold))
	}
	t.log.LogAttrs(ctx, slog.LevelInfo, message, attrs...)
}

// count says whether there may be another line of a kind, and what has happened without one.
func (t *teller) count(kind string) (untold int, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	k := t.kinds[kind]
	if k == nil {
		if t.kinds == nil {
			t.kinds = make(map[string]*lately)
		}
		k = new(lately)
		t.kinds[kind] = k
	}
	if now := time.Now(); now.Sub(k.since) >= time.Second {
		k.since, k.lines = now, 0
	}
	if k.lines == maxTold {
		k.untold++
		return 0, false
	}
	k.lines++
	untold, k.untold = k.untold, 0
	return untold, true
}

// refused tells that a request was refused, and why. The message is what the client is told; hints are for the operator alone.
func (s *Server) refused(r *http.Request, p *clients.Error, hints ...slog.Attr) {
	attrs := []slog.Attr{
		slog.String("reason", p.Code), slog.String("why", cutTold(auth.Redact(p.Message))), slog.Int("status", p.Status),
		slog.String("method", cutTold(r.Method)), slog.String("url", cutTold(auth.Redact(r.URL.RequestURI()))), slog.String("remote", r.RemoteAddr), slog.Uint64("conn", connectionOf(r.Context()).id),
	}
	if origin := r.Header.Get("Origin"); origin != "" && p.Code == errOrigin.Code {
		attrs = append(attrs, slog.String("origin", cutTold(origin)), slog.String("setting", "--allow-origin"))
	}
	s.metrics.Refused(p.Kind())
	s.teller.tell(r.Context(), p.Kind(), "refused", append(attrs, hints...)...)
}

// refusedClient tells that a client was refused after its connection had been opened.
func (s *Server) refusedClient(h *clients.Hello, err error) {
	p := toProblem(err)
	s.metrics.Refused(p.Kind())
	s.teller.tell(context.Background(), p.Kind(), "refused",
		slog.String("reason", p.Code), slog.String("why", cutTold(auth.Redact(p.Message))), slog.String("transport", h.Transport), slog.String("remote", h.Remote))
}

// refusedHandshake is for [ws.Server.OnRefuse].
func (s *Server) refusedHandshake(r *http.Request, err *ws.HandshakeError) {
	s.refused(r, refusal(err.Status, "bad_handshake", err.Reason))
}

// refusedSocketIO is for [socketio.Server.OnConnectionError]. Of requests of other origins the engine itself warns.
func (s *Server) refusedSocketIO(r *http.Request, err *engineio.ConnectionError) {
	if errors.Is(err, engineio.ErrCrossOrigin) {
		return
	}
	if p, ok := errors.AsType[*clients.Error](err.Err); ok {
		s.refused(r, p)
		return
	}
	p := refusal(http.StatusBadRequest, "socketio_"+strings.ToLower(strings.ReplaceAll(err.Code.String(), " ", "_")), err.Message)
	if err.Code == engineio.Forbidden {
		p.Status = http.StatusForbidden
	}
	var hints []slog.Attr
	if err.Err != nil {
		hints = append(hints, slog.String("detail", cutTold(auth.Redact(err.Err.Error()))))
	}
	s.refused(r, p, hints...)
}

// slow tells that a client was cut that reads too slowly.
func (s *Server) slow(c *clients.Client) {
	k := c.Connection()
	s.metrics.SlowConsumer(transportOf(k.Transport))
	s.teller.tell(context.Background(), "slow", "slow client cut",
		slog.String("client", k.Client), slog.String("transport", k.Transport), slog.String("remote", k.Remote))
}

// cutTold is the beginning of what a client said.
func cutTold(s string) string {
	if len(s) <= maxToldBytes {
		return s
	}
	return strings.ToValidUTF8(s[:maxToldBytes], "") + "…"
}
