package server

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"baro.dev/channel"
	"baro.dev/internal/metrics"
)

// retryMillis is after how long a browser comes back by itself when a stream breaks.
const retryMillis = "2000"

var sse = format{
	transport: metrics.SSE,
	mediaType: typeSSE,
	message:   sseMessage,
	heartbeat: []byte(":\n\n"),
	open: func(p channel.Position) []byte {
		// An event without data is not dispatched, but its id counts: whoever is cut before the first message comes
		// back to this place (HTML, "dispatch the event").
		b := append([]byte("retry: "+retryMillis+"\nid: "), p.String()...)
		return append(b, "\n\n"...)
	},
	lost: func(p channel.Position) []byte {
		b := append([]byte("retry: "+retryMillis+"\nevent: baro.reset\nid: "), p.String()...)
		b = append(b, "\ndata: {\"epoch\":\""...)
		b = append(b, p.Epoch...)
		b = append(b, "\",\"offset\":"...)
		b = strconv.AppendUint(b, p.Offset, 10)
		return append(b, "}\n\n"...)
	},
	leave:  sseRetry,
	invite: sseRetry,
}

// sseRetry tells a browser when to come back.
func sseRetry(after time.Duration) []byte {
	b := strconv.AppendInt([]byte("retry: "), after.Milliseconds(), 10)
	return append(b, "\n\n"...)
}

// sseJSON is sse with envelopes as data.
var sseJSON = func() format {
	f := sse
	f.message = func(m *channel.Message) []byte {
		b := append(sseID(m), "data: "...)
		return append(m.AppendJSON(b), "\n\n"...)
	}
	return f
}()

var ndjson = format{
	transport: metrics.NDJSON,
	mediaType: typeNDJSON,
	message: func(m *channel.Message) []byte {
		return append(m.AppendJSON(make([]byte, 0, len(m.Data)+160)), '\n')
	},
	heartbeat: []byte("\n"),
	open:      func(channel.Position) []byte { return nil },
	leave:     func(time.Duration) []byte { return nil },
}

func (s *Server) streamSSE(w http.ResponseWriter, r *http.Request, name string, q query) error {
	f := &sse
	switch q.get("format") {
	case "", "text":
	case "json":
		f = &sseJSON
	default:
		return badRequest("invalid_format", "format must be text or json")
	}
	identity, h, err := s.identify(r, "sse")
	if err != nil {
		return err
	}
	from, err := s.begin(identity, name, q, false)
	if err != nil {
		return err
	}
	// A browser keeps the URL when it comes back, and what it says here is newer.
	if ids := r.Header["Last-Event-Id"]; len(ids) > 0 && ids[0] != "" {
		p, err := channel.ParsePosition(ids[0])
		if err != nil || p.Epoch == "" || len(ids) > 1 {
			// An error would keep the browser from ever coming back.
			p = channel.Position{Epoch: "unknown"}
		}
		from = channel.After(p)
	}
	return s.stream(w, r, newFollower(name, identity, h), name, from, f)
}

// putOff has a browser come back later: at an error its EventSource would give up for good (HTML, "processing model" of server-sent
// events).
func (s *Server) putOff(w http.ResponseWriter, r *http.Request, err error) {
	s.refused(r, toProblem(err))
	body, _ := json.Marshal(newErrorAnswer(err)) // our own types
	h := w.Header()
	h.Set("Content-Type", typeSSE)
	h.Set("Cache-Control", "no-store")
	h.Set("Connection", "close")
	fmt.Fprintf(w, "retry: %d\nevent: baro.refused\ndata: %s\n\n", s.returnAfter().Milliseconds(), body)
}

func (s *Server) streamNDJSON(w http.ResponseWriter, r *http.Request, name string, q query) error {
	identity, h, err := s.identify(r, "ndjson")
	if err != nil {
		return err
	}
	from, err := s.begin(identity, name, q, false)
	if err != nil {
		return err
	}
	return s.stream(w, r, newFollower(name, identity, h), name, from, &ndjson)
}

func sseID(m *channel.Message) []byte {
	b := append(make([]byte, 0, len(m.Data)+64), "id: "...)
	return append(m.Position().Append(b), '\n')
}

func sseMessage(m *channel.Message) []byte {
	b := sseID(m)
	if m.Event != "" || m.Binary {
		b = append(b, "event: "...)
		if m.Event == "" {
			b = append(b, "message"...)
		}
		b = append(b, m.Event...)
		if m.Binary {
			b = append(b, ";base64"...)
		}
		b = append(b, '\n')
	}
	if m.Binary {
		b = append(b, "data: "...)
		b = base64.StdEncoding.AppendEncode(b, m.Data)
		return append(b, "\n\n"...)
	}
	for rest, more := m.Data, true; more; {
		var line []byte
		line, rest, more = cutLine(rest)
		b = append(b, "data: "...)
		b = append(b, line...)
		b = append(b, '\n')
	}
	return append(b, '\n')
}

// cutLine takes the first line. Event streams know CR, LF and CRLF as ends of lines; a stray one would end the field,
// and begin another of the publisher's making.
func cutLine(b []byte) (line, rest []byte, more bool) {
	i := bytes.IndexAny(b, "\r\n")
	switch {
	case i < 0:
		return b, nil, false
	case b[i] == '\r' && i+1 < len(b) && b[i+1] == '\n':
		return b[:i], b[i+2:], true
	}
	return b[:i], b[i+1:], true
}
