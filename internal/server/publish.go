package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel/trace"

	"baro.dev/channel"
	"baro.dev/internal/auth"
	"baro.dev/internal/clients"
	"baro.dev/internal/metrics"
)

// published is the answer to a publisher.
type published struct {
	Offset uint64 `json:"offset"`
	Epoch  string `json:"epoch"`
	ID     string `json:"id"`
}

func (s *Server) publish(w http.ResponseWriter, r *http.Request, name string, q query) {
	publish, err := s.publisher(r, name)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	kind, err := kindOf(r.Header)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	data, err := s.readBody(w, r, int64(s.config.Channels.MaxMessageBytes))
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.config.WriteTimeout))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	_, end := s.tracing.begin(r.Context(), "publish", trace.SpanKindServer, attrChannel.String(name), attrTransport.String("http"))
	m, err := s.put(metrics.ByHTTP, func() (*channel.Message, error) {
		return publish(channel.Message{
			Event:  q.get("event"),
			ID:     q.get("id"),
			Key:    r.Header.Get("Idempotency-Key"),
			Data:   data,
			Binary: kind == kindBinary || (kind == kindUnknown && !utf8.Valid(data)),
		})
	})
	end(err)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	writeJSON(w, http.StatusOK, published{m.Offset, m.Epoch, m.ID})
}

// publisher is how whoever sends the request publishes: a backend with an API key, or a client that may.
func (s *Server) publisher(r *http.Request, name string) (func(channel.Message) (*channel.Message, error), error) {
	grant, err := s.backend(r)
	if err == nil {
		if err := grant.Check(auth.ScopePublish, name); err != nil {
			return nil, err
		}
		return func(m channel.Message) (*channel.Message, error) { return s.hub.Publish(name, m) }, nil
	}
	if !errors.Is(err, auth.ErrMissing) {
		return nil, err
	}
	identity, _, err := s.identify(r, "http")
	if err != nil {
		return nil, err
	}
	// What it may is decided before the body is read.
	if err := s.registry.May(identity, auth.Publish, name); err != nil {
		return nil, err
	}
	return func(m channel.Message) (*channel.Message, error) {
		return s.registry.PublishAs(identity, r.RemoteAddr, name, m)
	}, nil
}

type kind int

const (
	kindUnknown kind = iota // text if it can be
	kindText
	kindBinary
)

// kindOf says whether a body is text, by its Content-Type.
func kindOf(h http.Header) (kind, error) {
	if encoding := h.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return 0, refusal(http.StatusUnsupportedMediaType, "unsupported_encoding", "a body must not be compressed")
	}
	value := h.Get("Content-Type")
	if value == "" {
		return kindUnknown, nil
	}
	media, parameters, err := mime.ParseMediaType(value)
	if err != nil {
		return 0, badRequest("invalid_type", "the Content-Type is malformed")
	}
	text := strings.HasPrefix(media, "text/") || strings.HasSuffix(media, "+json") ||
		media == "application/json" || media == "application/x-www-form-urlencoded"
	if !text {
		return kindBinary, nil
	}
	if c := parameters["charset"]; c != "" && !strings.EqualFold(c, "utf-8") && !strings.EqualFold(c, "us-ascii") {
		return 0, refusal(http.StatusUnsupportedMediaType, "unsupported_charset", "text must be in UTF-8")
	}
	return kindText, nil
}

// bodies holds the buffers that bodies are read into. They grow with what has come, not with what was announced.
var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// maxPooledBytes keeps the odd large body from staying in memory for good.
const maxPooledBytes = 64 << 10

// readBody reads a body of up to limit bytes.
func (s *Server) readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if r.ContentLength > limit {
		w.Header().Set("Connection", "close")
		return nil, tooLarge(limit)
	}
	b := bodies.Get().(*bytes.Buffer)
	defer func() {
		if b.Cap() <= maxPooledBytes {
			b.Reset()
			bodies.Put(b)
		}
	}()
	_, err := io.Copy(b, http.MaxBytesReader(w, r.Body, limit))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, tooLarge(limit)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		w.Header().Set("Connection", "close")
		return nil, &clients.Error{Status: http.StatusRequestTimeout, Number: clients.ErrTimeout.Number, Code: "timeout", Message: "the body took too long"}
	}
	if err != nil {
		w.Header().Set("Connection", "close")
		return nil, badRequest("invalid_body", "the body broke off, or is malformed")
	}
	return bytes.Clone(b.Bytes()), nil
}

func tooLarge(limit int64) error {
	return fmt.Errorf("%w: the limit is %d bytes", channel.ErrTooLarge, limit)
}
