// Package tracing sends traces to an OpenTelemetry collector.
package tracing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Config is how traces are sent. A zero field means the default, which is given with it.
type Config struct {
	// Endpoint is the URL of the collector, which must take OTLP in JSON over HTTP, as all do: "http://localhost:4318". A URL without
	// a path gets /v1/traces.
	Endpoint string
	// Headers go with each request, as OTEL_EXPORTER_OTLP_HEADERS has them: "name=value,name=value", percent-encoded.
	Headers string
	// Sample is which part of the traces that begin here is sent, 0 to 1. One that a backend has begun is sent if the backend
	// sends its own.
	Sample float64
	// Version is that of the server.
	Version string
	// Log is told what goes wrong, once a minute at most.
	Log *slog.Logger
}

// A Provider makes tracers. [Provider.Close] ends it.
type Provider struct {
	trace.TracerProvider
	sdk *sdk.TracerProvider
}

// New makes a provider. It does not connect yet: a collector that is not there loses traces, and nothing else.
func New(c Config) (*Provider, error) {
	endpoint, err := parse(c.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("the endpoint of traces %q: %w", c.Endpoint, err)
	}
	if !(c.Sample >= 0 && c.Sample <= 1) {
		return nil, fmt.Errorf("the part of traces that is sent, %v, must be 0 to 1", c.Sample)
	}
	headers, err := parseHeaders(c.Headers)
	if err != nil {
		return nil, fmt.Errorf("the headers of traces: %w", err)
	}
	about, err := resource.Merge(
		resource.NewSchemaless(attribute.String("service.name", "baro"), attribute.String("service.version", c.Version)),
		resource.Environment(), // OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES
	)
	if err != nil {
		return nil, fmt.Errorf("traces: OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	otel.SetErrorHandler(&reporter{log: c.Log}) // there is one for the process
	p := sdk.NewTracerProvider(
		sdk.WithBatcher(newExporter(endpoint, headers)),
		sdk.WithResource(about),
		sdk.WithSampler(sdk.ParentBased(sdk.TraceIDRatioBased(c.Sample))),
	)
	return &Provider{p, p}, nil
}

func parse(endpoint string) (string, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", errors.New("it must be http:// or https:// and name a host")
	}
	if strings.Trim(u.Path, "/") == "" {
		u.Path = "/v1/traces"
	}
	return u.String(), nil
}

// parseHeaders reads W3C Baggage without its properties, as the OpenTelemetry specification of the OTLP exporter says.
func parseHeaders(text string) (http.Header, error) {
	h := http.Header{}
	for pair := range strings.SplitSeq(text, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		name, value, ok := strings.Cut(pair, "=")
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if name = strings.TrimSpace(name); !ok || name == "" || err != nil {
			return nil, errors.New("they must be name=value, separated by commas")
		}
		h.Set(name, value)
	}
	return h, nil
}

// Close sends what is left, until ctx is done.
func (p *Provider) Close(ctx context.Context) error {
	if err := p.sdk.Shutdown(ctx); err != nil {
		return fmt.Errorf("traces are lost: %w", err)
	}
	return nil
}

// reporter logs what goes wrong, without filling the log.
type reporter struct {
	log  *slog.Logger
	mu   sync.Mutex
	last time.Time
}

// Handle implements [otel.ErrorHandler].
func (r *reporter) Handle(err error) {
	r.mu.Lock()
	now := time.Now()
	tell := r.log != nil && (r.last.IsZero() || now.Sub(r.last) >= time.Minute)
	if tell {
		r.last = now
	}
	r.mu.Unlock()
	if tell {
		r.log.Warn("traces cannot be sent", "error", err)
	}
}
