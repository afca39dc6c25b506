package doctor

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxBody is how much of an answer is read, in bytes.
const maxBody = 2 << 20

// answer is what a short request got.
type answer struct {
	status int
	proto  string
	header http.Header
	body   []byte // up to maxBody; nothing of a stream
	sent   time.Time
	first  time.Duration // until the head was there
	took   time.Duration
}

// fetch asks for something that is short, and reads what comes as far as that is so.
func (e *examination) fetch(ctx context.Context, version int, r *http.Request) (*answer, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	start := time.Now()
	response, err := e.client(version).Do(r.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	a := &answer{status: response.StatusCode, proto: response.Proto, header: response.Header, sent: start, first: time.Since(start)}
	if !isStream(response.Header) {
		a.body, err = io.ReadAll(io.LimitReader(response.Body, maxBody))
	}
	a.took = time.Since(start)
	return a, err
}

func (e *examination) get(ctx context.Context, u *url.URL, accept string) (*answer, error) {
	return e.fetch(ctx, 1, e.request(ctx, http.MethodGet, u, accept))
}

// isStream says whether an answer is one that does not end.
func isStream(h http.Header) bool {
	t := mediaType(h)
	return t == typeEvents || t == typeLines
}

const (
	typeEvents = "text/event-stream"
	typeLines  = "application/x-ndjson"
	typeJSON   = "application/json"
)

func mediaType(h http.Header) string {
	t, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		t, _, _ = strings.Cut(h.Get("Content-Type"), ";")
	}
	return strings.ToLower(strings.TrimSpace(t))
}

// statusLine is a status as people know it.
func statusLine(status int) string {
	return strings.TrimSpace(itoa(status) + " " + http.StatusText(status))
}

// refusal is an error as baro serve answers it (docs/http-api.md), or one of Engine.IO, which has a number for the code.
type refusal struct {
	status  int
	Code    string
	Message string
}

// baroRefusal reads an error of baro serve; nil if it is none.
func baroRefusal(status int, body []byte) *refusal {
	var answer struct {
		Error struct {
			Code    string `json:"code"`
			Number  int    `json:"number"`
			Message string `json:"message"`
		} `json:"error"`
	}
	if json.Unmarshal(body, &answer) != nil || answer.Error.Code == "" || answer.Error.Number == 0 {
		return nil
	}
	return &refusal{status, answer.Error.Code, answer.Error.Message}
}

// engineRefusal reads an error of Engine.IO; nil if it is none.
func engineRefusal(status int, body []byte) *refusal {
	var answer struct {
		Code    *int   `json:"code"`
		Message string `json:"message"`
	}
	if json.Unmarshal(body, &answer) != nil || answer.Code == nil {
		return nil
	}
	return &refusal{status, itoa(*answer.Code), answer.Message}
}

// said is the beginning of a body, for people, in one line.
func said(body []byte) string {
	if r := cmp.Or(baroRefusal(0, body), engineRefusal(0, body)); r != nil {
		return r.Message
	}
	text := strings.Join(strings.Fields(string(body[:min(len(body), 200)])), " ")
	if isHTML(body) {
		return "a page of HTML"
	}
	if text == "" {
		return "nothing"
	}
	return "\"" + text + "\""
}

// isHTML says whether a body looks like a page.
func isHTML(body []byte) bool {
	begin := bytes.ToLower(bytes.TrimSpace(body[:min(len(body), 200)]))
	return bytes.HasPrefix(begin, []byte("<!doctype html")) || bytes.HasPrefix(begin, []byte("<html"))
}

// statusAdvice says what can be done about a status that is an error, whoever answers it.
func statusAdvice(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "Say who asks: --token, --basic or --cookie. The clocks of the server and of whoever made the token must agree (docs/auth.md)."
	case http.StatusForbidden:
		return "What was sent gives no right to it: the token, its rights, the rules of the channel (docs/channels.md), or the page's --origin (--allow-origin)."
	case http.StatusNotFound:
		return "Is the path right, and does the proxy pass it on as it is? Channels are at /c/NAME, Socket.IO at /socket.io/."
	case http.StatusMethodNotAllowed:
		return "What is at this path is something else than what was asked for."
	case http.StatusMisdirectedRequest:
		return "Whoever answers does not serve this host: see its name, and --server-name."
	case http.StatusTooManyRequests:
		return "There were too many requests or connections from this address; behind a proxy see --trusted-proxy (docs/limits.md)."
	case http.StatusBadGateway:
		return "A proxy answers, and cannot reach the server behind it: does that run, at the address that the proxy has?"
	case http.StatusServiceUnavailable:
		return "The server is full, or is stopping; or a proxy finds none that is ready (/readyz)."
	case http.StatusGatewayTimeout:
		return "A proxy answers, and the server behind it did not in time."
	}
	if status >= 500 {
		return "See the log of the server, and of the proxy."
	}
	return ""
}
