package server

import (
	"context"
	"log/slog"
	"strings"
)

// quietHandler takes what net/http logs. What any client can cause, and causes all day, is for those who debug.
type quietHandler struct{ slog.Handler }

func (h quietHandler) Handle(ctx context.Context, r slog.Record) error {
	for _, usual := range []string{"http: TLS handshake error", "http2: ", "http: URL query contains semicolon"} {
		if strings.HasPrefix(r.Message, usual) {
			r.Level = slog.LevelDebug
		}
	}
	if !h.Enabled(ctx, r.Level) {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}
