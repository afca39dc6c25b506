package engineio

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"time"
)

// refuse answers a request that is not served, and tells of it.
func (e *Server) refuse(w http.ResponseWriter, r *http.Request, why *ConnectionError) {
	e.tell(r, why)
	reject(w, r, why)
}

// tell logs that a request is refused, and calls OnConnectionError.
func (e *Server) tell(r *http.Request, why *ConnectionError) {
	level := slog.LevelDebug
	if errors.Is(why, ErrCrossOrigin) && e.warns() {
		level = slog.LevelWarn
	}
	e.set.Logger.Log(context.Background(), level, "request refused", "remote", r.RemoteAddr, "code", int(why.Code), "error", why)
	if e.OnConnectionError != nil {
		e.OnConnectionError(r, why)
	}
}

// warnInterval is how often the log is warned of cross-origin requests: whoever has forgotten to allow an origin is to see it, and
// whoever makes many is not to fill the log.
const warnInterval = time.Minute

// warns reports whether the log is to be warned of a cross-origin request.
func (e *Server) warns() bool {
	now := time.Now().UnixNano()
	last := e.warned.Load()
	return now-last >= int64(warnInterval) && e.warned.CompareAndSwap(last, now)
}

// reject answers a request that is not served.
func reject(w http.ResponseWriter, r *http.Request, why *ConnectionError) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	if isUpgrade(r) {
		// What came behind the request is frames, not another request.
		if r.ProtoMajor == 1 {
			h.Set("Connection", "close")
		}
		h.Set("Content-Type", "text/html")
		w.WriteHeader(why.Code.status())
		_, _ = w.Write([]byte(why.Message))
		return
	}
	h.Set("Content-Type", "application/json")
	body, _ := json.Marshal(struct {
		Code    Code   `json:"code"`
		Message string `json:"message"`
	}{why.Code, why.Message})
	w.WriteHeader(why.Code.status())
	_, _ = w.Write(body)
}
