package server

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"baro.dev/internal/webhook"
	"baro.dev/ws"
)

const backendTrace = "4bf92f3577b34da6a3ce929d0e0e4736"

// A backend's request is a part of the backend's trace; what clients say of traces does not count.
func TestTraceOfBackend(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	s := start(t, Config{Dev: true, Traces: sdk.NewTracerProvider(sdk.WithSpanProcessor(spans))})
	parent := "00-" + backendTrace + "-00f067aa0ba902b7-01"
	a, body := request(t, "POST", s.URLs()[0]+"api/v1/publish", `{"channel":"a","data":"x"}`, "Content-Type", "application/json", "Traceparent", parent)
	if a.StatusCode != http.StatusOK {
		t.Fatal(body)
	}
	request(t, "POST", s.URLs()[0]+"c/a", "y", "Traceparent", parent)
	ended := spans.Ended()
	if len(ended) != 2 {
		t.Fatalf("%d spans", len(ended))
	}
	if api := ended[0]; api.Name() != "api publish" || api.SpanContext().TraceID().String() != backendTrace || api.SpanKind() != trace.SpanKindServer {
		t.Errorf("the backend's span is %s of %s", api.Name(), api.SpanContext().TraceID())
	}
	if own := ended[1]; own.Name() != "publish" || own.SpanContext().TraceID().String() == backendTrace {
		t.Errorf("the client's span is %s of %s", own.Name(), own.SpanContext().TraceID())
	}
}

// What a client asks is one trace, to the backend and back.
func TestTraceOfQuestion(t *testing.T) {
	heard := make(chan string, 1)
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		heard <- r.Header.Get("Traceparent")
		http.Error(w, "out of order", http.StatusInternalServerError)
	}))
	defer backend.Close()
	spans := tracetest.NewSpanRecorder()
	s := start(t, Config{
		Traces:   sdk.NewTracerProvider(sdk.WithSpanProcessor(spans)),
		Webhooks: Webhooks{RPC: &webhook.AskerConfig{URL: backend.URL, Secrets: []string{webhook.NewSecret()}}},
	})
	c, _, err := ws.Dial(t.Context(), "ws"+strings.TrimPrefix(s.URLs()[0], "http")+"ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	if err := c.Write(t.Context(), ws.Text, []byte(`{"id":1,"rpc":{"method":"a"}}`)); err != nil {
		t.Fatal(err)
	}
	parent := <-heard
	eventually(t, "both spans have ended", func() bool { return len(spans.Ended()) == 2 })
	post, rpc := spans.Ended()[0], spans.Ended()[1]
	if rpc.Name() != "rpc" || rpc.Status().Code != codes.Error {
		t.Errorf("the question is %s with %v", rpc.Name(), rpc.Status())
	}
	if post.Parent().SpanID() != rpc.SpanContext().SpanID() || post.SpanKind() != trace.SpanKindClient || post.Status().Code != codes.Error {
		t.Errorf("the request is %s of %v, with %v", post.Name(), post.Parent(), post.Status())
	}
	if !strings.Contains(parent, post.SpanContext().TraceID().String()+"-"+post.SpanContext().SpanID().String()) {
		t.Errorf("the backend was told %q", parent)
	}
}
