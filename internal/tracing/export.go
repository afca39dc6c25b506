package tracing

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// exporter posts spans as OTLP in JSON. The exporter of OpenTelemetry would bring gRPC along, which all that Baro is takes less
// time to compile than.
type exporter struct {
	url    string
	header http.Header
	client http.Client
}

// newExporter follows no redirect: the headers, which may have secrets, are for this URL.
func newExporter(url string, header http.Header) *exporter {
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &exporter{url: url, header: header, client: http.Client{CheckRedirect: stay}}
}

const (
	exportTimeout = 10 * time.Second
	maxAnswer     = 4 << 10 // of a collector that refuses, for the log
)

// ExportSpans implements [sdk.SpanExporter]. What a collector does not take is lost: there is more where it came from.
func (x *exporter) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	body, err := json.Marshal(encode(spans))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, exportTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, x.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	maps.Copy(r.Header, x.header)
	r.Header.Set("Content-Type", "application/json")
	response, err := x.client.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("the collector answers %s: %.200q", response.Status, answer)
	}
	return nil
}

// Shutdown implements [sdk.SpanExporter].
func (x *exporter) Shutdown(context.Context) error {
	x.client.CloseIdleConnections()
	return nil
}

// The messages of opentelemetry/proto/trace/v1/trace.proto, by their names in JSON.
type (
	request struct {
		ResourceSpans []resourceSpans `json:"resourceSpans"`
	}
	resourceSpans struct {
		Resource struct {
			Attributes []keyValue `json:"attributes,omitempty"`
		} `json:"resource"`
		ScopeSpans []scopeSpans `json:"scopeSpans"`
	}
	scopeSpans struct {
		Scope struct {
			Name string `json:"name"`
		} `json:"scope"`
		Spans []span `json:"spans"`
	}
	span struct {
		TraceID      string     `json:"traceId"`
		SpanID       string     `json:"spanId"`
		ParentSpanID string     `json:"parentSpanId,omitempty"`
		Flags        uint32     `json:"flags,omitempty"`
		Name         string     `json:"name"`
		Kind         int        `json:"kind"`
		Start        string     `json:"startTimeUnixNano"` // 64 bits are strings in the JSON of Protocol Buffers
		End          string     `json:"endTimeUnixNano"`
		Attributes   []keyValue `json:"attributes,omitempty"`
		Status       status     `json:"status"`
	}
	status struct {
		Message string `json:"message,omitempty"`
		Code    int    `json:"code,omitempty"`
	}
	keyValue struct {
		Key   string         `json:"key"`
		Value map[string]any `json:"value"`
	}
)

// encode puts all under one resource and one scope: there is one of each in this process.
func encode(spans []sdk.ReadOnlySpan) request {
	var all resourceSpans
	var in scopeSpans
	for i, s := range spans {
		if i == 0 {
			all.Resource.Attributes = attributes(s.Resource().Attributes())
			in.Scope.Name = s.InstrumentationScope().Name
		}
		in.Spans = append(in.Spans, newSpan(s))
	}
	all.ScopeSpans = []scopeSpans{in}
	return request{[]resourceSpans{all}}
}

func newSpan(s sdk.ReadOnlySpan) span {
	o := span{
		TraceID: s.SpanContext().TraceID().String(), SpanID: s.SpanContext().SpanID().String(),
		Flags: uint32(s.SpanContext().TraceFlags()), Name: s.Name(),
		Kind:  int(s.SpanKind()), // of the same numbers
		Start: strconv.FormatInt(s.StartTime().UnixNano(), 10), End: strconv.FormatInt(s.EndTime().UnixNano(), 10),
		Attributes: attributes(s.Attributes()),
	}
	if p := s.Parent(); p.HasSpanID() {
		o.ParentSpanID = p.SpanID().String()
	}
	switch s.Status().Code { // whose numbers differ
	case codes.Ok:
		o.Status = status{Code: 1}
	case codes.Error:
		o.Status = status{Message: s.Status().Description, Code: 2}
	case codes.Unset:
	}
	return o
}

func attributes(list []attribute.KeyValue) []keyValue {
	all := make([]keyValue, len(list))
	for i, a := range list {
		all[i] = keyValue{string(a.Key), value(a.Value)}
	}
	return all
}

func value(v attribute.Value) map[string]any {
	switch v.Type() {
	case attribute.BOOL:
		return map[string]any{"boolValue": v.AsBool()}
	case attribute.INT64:
		return map[string]any{"intValue": strconv.FormatInt(v.AsInt64(), 10)}
	case attribute.FLOAT64:
		return map[string]any{"doubleValue": v.AsFloat64()}
	default: // lists become text: none of ours is one
		return map[string]any{"stringValue": v.String()}
	}
}
