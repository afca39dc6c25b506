package server

import (
	"context"
	"errors"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"baro.dev/internal/clients"
)

// Attributes of spans, by the conventions of OpenTelemetry where there are some.
const (
	attrChannel   = attribute.Key("messaging.destination.name")
	attrError     = attribute.Key("error.type")
	attrMethod    = attribute.Key("http.request.method")
	attrStatus    = attribute.Key("http.response.status_code")
	attrAddress   = attribute.Key("server.address")
	attrPath      = attribute.Key("url.path")
	attrTransport = attribute.Key("baro.transport")
)

// traceContext is how a trace goes from one process to the next (W3C Trace Context).
var traceContext = propagation.TraceContext{}

// tracing makes spans; nil makes none, and costs nothing.
type tracing struct{ tracer trace.Tracer }

func newTracing(p trace.TracerProvider) *tracing {
	if p == nil {
		return nil
	}
	return &tracing{p.Tracer("baro.dev")}
}

func ignore(error) {}

// begin begins a span, which whoever called ends with what went wrong, or nil.
func (t *tracing) begin(ctx context.Context, name string, kind trace.SpanKind, attributes ...attribute.KeyValue) (context.Context, func(error)) {
	if t == nil {
		return ctx, ignore
	}
	ctx, span := t.tracer.Start(ctx, name, trace.WithSpanKind(kind), trace.WithAttributes(attributes...))
	return ctx, func(err error) {
		if err != nil {
			p := toProblem(err)
			span.SetAttributes(attrError.String(p.Kind()))
			if p.Number < clients.ErrRequest.Number {
				span.SetStatus(codes.Error, p.Message) // a refusal is no fault of the server's
			}
		}
		span.End()
	}
}

// continued begins the span of a backend's request, in the trace that the backend has begun. What clients say of traces does not count.
func (t *tracing) continued(r *http.Request, name string) (*http.Request, func(error)) {
	if t == nil {
		return r, ignore
	}
	ctx := traceContext.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	ctx, end := t.begin(ctx, name, trace.SpanKindServer, attrMethod.String(r.Method), attrPath.String(r.URL.Path))
	return r.WithContext(ctx), end
}

// around has requests to backends be spans, and tells the backend of which trace.
func (t *tracing) around(next http.RoundTripper) http.RoundTripper {
	if t == nil {
		return next
	}
	return traced{t, next}
}

type traced struct {
	*tracing
	next http.RoundTripper
}

// RoundTrip implements [http.RoundTripper].
func (t traced) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, span := t.tracer.Start(r.Context(), r.Method, trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attrMethod.String(r.Method), attrAddress.String(r.URL.Host), attrPath.String(r.URL.Path)))
	defer span.End()
	r = r.Clone(ctx)
	traceContext.Inject(ctx, propagation.HeaderCarrier(r.Header))
	response, err := t.next.RoundTrip(r)
	switch {
	case errors.Is(err, context.Canceled):
		span.SetAttributes(attrError.String("canceled"))
	case err != nil:
		span.SetStatus(codes.Error, "no answer") // the error may have secrets of the URL in it
	default:
		span.SetAttributes(attrStatus.Int(response.StatusCode))
		if response.StatusCode >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, response.Status)
		}
	}
	return response, err
}
