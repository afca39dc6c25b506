package main

import (
	"cmp"
	"context"
	"time"

	"baro.dev/internal/tracing"
)

// tracesTimeout is how long what is left may take when the server has stopped.
const tracesTimeout = 5 * time.Second

// sendTraces has the server's traces sent, if that is switched on, until what it returns is called. The variables are those of
// OpenTelemetry's specification.
func sendTraces(o *settings, lookup func(string) (string, bool)) (stop func(), err error) {
	endpoint, _ := lookup("OTEL_EXPORTER_OTLP_ENDPOINT")
	headers, _ := lookup("OTEL_EXPORTER_OTLP_HEADERS")
	c := tracing.Config{
		Endpoint: cmp.Or(o.Traces.Endpoint, endpoint), Headers: headers, Sample: o.Traces.Sample, Version: o.Server.Version, Log: o.Server.Log,
	}
	if c.Endpoint == "" {
		return func() {}, nil
	}
	p, err := tracing.New(c)
	if err != nil {
		return nil, err
	}
	o.Server.Traces = p
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), tracesTimeout)
		defer cancel()
		if err := p.Close(ctx); err != nil {
			o.Server.Log.Warn("stopping", "error", err)
		}
	}, nil
}
