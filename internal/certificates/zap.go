package certificates

import (
	"context"
	"log/slog"

	"go.uber.org/zap/zapcore"
)

// zapCore takes what certmagic logs: for those who debug. What matters of it is logged in words of our own.
type zapCore struct{ log *slog.Logger }

func (c zapCore) Enabled(zapcore.Level) bool {
	return c.log.Enabled(context.Background(), slog.LevelDebug)
}

func (c zapCore) With(fields []zapcore.Field) zapcore.Core {
	return zapCore{c.log.With(attributes(fields)...)}
}

func (c zapCore) Check(e zapcore.Entry, to *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return to.AddCore(e, c)
	}
	return to
}

func (c zapCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	c.log.Debug("ACME: "+e.Message, attributes(fields)...)
	return nil
}

func (zapCore) Sync() error { return nil }

func attributes(fields []zapcore.Field) []any {
	m := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(m)
	}
	list := make([]any, 0, len(m.Fields))
	for name, value := range m.Fields {
		list = append(list, slog.Any(name, value))
	}
	return list
}
