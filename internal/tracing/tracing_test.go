package tracing

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// A collector gets what was traced, in the JSON of OTLP.
func TestExport(t *testing.T) {
	var got struct {
		ResourceSpans []struct {
			Resource   struct{ Attributes []map[string]any }
			ScopeSpans []struct {
				Scope struct{ Name string }
				Spans []map[string]any
			}
		}
	}
	var header http.Header
	var path string
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header, path = r.Header, r.URL.Path
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = json.Unmarshal(body, &got)
		}
		if err != nil {
			t.Error(err)
		}
	}))
	defer collector.Close()
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test")
	p, err := New(Config{Endpoint: collector.URL, Headers: "X-Key=a%20b, x-other=c", Sample: 1, Version: "1.2"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, outer := p.Tracer("baro.dev").Start(t.Context(), "outer", trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
		attribute.String("s", "text"), attribute.Int64("i", 1<<60), attribute.Bool("b", true), attribute.Float64("f", 1.5)))
	_, inner := p.Tracer("baro.dev").Start(ctx, "inner")
	inner.SetStatus(codes.Error, "broken")
	inner.End()
	outer.End()
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if path != "/v1/traces" || header.Get("Content-Type") != "application/json" || header.Get("X-Key") != "a b" || header.Get("X-Other") != "c" {
		t.Errorf("posted to %s with %v", path, header)
	}
	if len(got.ResourceSpans) != 1 || len(got.ResourceSpans[0].ScopeSpans) != 1 || len(got.ResourceSpans[0].ScopeSpans[0].Spans) != 2 {
		t.Fatalf("got %+v", got)
	}
	about := map[string]any{}
	for _, a := range got.ResourceSpans[0].Resource.Attributes {
		about[a["key"].(string)] = a["value"].(map[string]any)["stringValue"]
	}
	if about["service.name"] != "baro" || about["service.version"] != "1.2" || about["deployment.environment"] != "test" {
		t.Errorf("the resource is %v", about)
	}
	in, out := got.ResourceSpans[0].ScopeSpans[0].Spans[0], got.ResourceSpans[0].ScopeSpans[0].Spans[1]
	if in["name"] != "inner" || in["traceId"] != out["traceId"] || in["parentSpanId"] != out["spanId"] ||
		!reflect.DeepEqual(in["status"], map[string]any{"message": "broken", "code": 2.0}) || in["kind"] != 1.0 {
		t.Errorf("the inner span is %v", in)
	}
	if out["name"] != "outer" || out["kind"] != 2.0 || out["parentSpanId"] != nil || len(out["traceId"].(string)) != 32 || out["startTimeUnixNano"].(string) == "0" {
		t.Errorf("the outer span is %v", out)
	}
	want := []any{
		map[string]any{"key": "s", "value": map[string]any{"stringValue": "text"}},
		map[string]any{"key": "i", "value": map[string]any{"intValue": "1152921504606846976"}},
		map[string]any{"key": "b", "value": map[string]any{"boolValue": true}},
		map[string]any{"key": "f", "value": map[string]any{"doubleValue": 1.5}},
	}
	if !reflect.DeepEqual(out["attributes"], want) {
		t.Errorf("its attributes are %v", out["attributes"])
	}
}

// A collector that refuses, or is not there, loses traces, and the log says so once.
func TestCollectorFails(t *testing.T) {
	collector := httptest.NewServer(http.NotFoundHandler())
	defer collector.Close()
	var log bytes.Buffer
	p, err := New(Config{Endpoint: collector.URL + "/elsewhere", Sample: 1, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		_, span := p.Tracer("baro.dev").Start(t.Context(), "lost")
		span.End()
		if err := p.sdk.ForceFlush(context.Background()); err == nil || !strings.Contains(err.Error(), "404") {
			t.Errorf("sending gives %v", err)
		}
	}
	_ = p.Close(t.Context())
	if n := strings.Count(log.String(), "traces cannot be sent"); n > 1 {
		t.Errorf("logged %d times: %s", n, &log)
	}
}

// The headers, which may have secrets, go nowhere else.
func TestNoRedirect(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("asked elsewhere, with %v", r.Header) }))
	defer elsewhere.Close()
	collector := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer collector.Close()
	p, err := New(Config{Endpoint: collector.URL, Headers: "X-Key=secret", Sample: 1})
	if err != nil {
		t.Fatal(err)
	}
	_, span := p.Tracer("baro.dev").Start(t.Context(), "lost")
	span.End()
	if err := p.sdk.ForceFlush(t.Context()); err == nil || !strings.Contains(err.Error(), "307") {
		t.Errorf("sending gives %v", err)
	}
	_ = p.Close(t.Context())
}

func TestMistakes(t *testing.T) {
	for _, c := range []Config{
		{Endpoint: "collector:4318"}, {Endpoint: "grpc://collector"}, {Endpoint: "http://"}, {Endpoint: "http://a", Sample: 1.1},
		{Endpoint: "http://a", Sample: -1}, {Endpoint: "http://a", Headers: "x"}, {Endpoint: "http://a", Headers: "x=%zz"},
	} {
		if _, err := New(c); err == nil {
			t.Errorf("%+v is accepted", c)
		}
	}
}
