package engineio_test

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"

	"baro.dev/engineio"
)

// Who is refused, and why, is told to OnConnectionError and the log, once.
func TestOnConnectionError(t *testing.T) {
	denied := errors.New("not you")
	var log lockedBuffer
	e := calm()
	e.Options.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	e.Options.AllowEIO3 = false
	e.Options.AllowRequest = func(r *http.Request) error {
		if r.URL.Query().Has("deny") {
			return denied
		}
		return nil
	}
	type refusal struct {
		url string
		err *engineio.ConnectionError
	}
	all := make(chan refusal, 10)
	e.OnConnectionError = func(r *http.Request, err *engineio.ConnectionError) { all <- refusal{r.URL.RawQuery, err} }
	s := open(t, e)
	sid := s.poll(4)
	for _, test := range []struct {
		method, query, origin string
		code                  engineio.Code
		message               string
		is                    error
		upgrade               bool
	}{
		{"GET", "EIO=4&transport=x", "", engineio.UnknownTransport, "Transport unknown", nil, false},
		{"GET", "EIO=4&transport=polling&sid=x", "", engineio.UnknownSession, "Session ID unknown", nil, false},
		{"PUT", "EIO=4&transport=polling", "", engineio.BadHandshakeMethod, "Bad handshake method", nil, false},
		{"GET", "EIO=4&transport=websocket", "", engineio.BadRequest, "Bad request", nil, false},
		{"GET", "EIO=4&transport=polling&j=x", "", engineio.BadRequest, "Bad request", nil, false},
		{"GET", "EIO=4&transport=polling", "https://elsewhere.example", engineio.Forbidden, "Forbidden", engineio.ErrCrossOrigin, false},
		{"GET", "EIO=4&transport=polling&deny=1", "", engineio.Forbidden, "not you", denied, false},
		{"GET", "EIO=3&transport=polling", "", engineio.UnsupportedProtocolVersion, "Unsupported protocol version", nil, false},
		{"GET", "EIO=4&transport=websocket&sid=x", "", engineio.UnknownSession, "Session ID unknown", nil, true},
	} {
		log.Reset()
		if test.upgrade {
			if _, err := s.tryDial(test.query); err == nil {
				t.Error("not refused")
			}
		} else {
			var headers []string
			if test.origin != "" {
				headers = []string{"Origin", test.origin}
			}
			s.do(test.method, "/engine.io/?"+test.query, "", headers...)
		}
		got := receive(t, test.query, all)
		if !strings.HasSuffix(got.url, test.query) || got.err.Code != test.code || got.err.Message != test.message ||
			test.is != nil && !errors.Is(got.err, test.is) {
			t.Errorf("%s: %+v", test.query, got)
		}
		if n := strings.Count(log.String(), "\n"); n != 1 || !strings.Contains(log.String(), "request refused") {
			t.Errorf("%s: %d lines\n%s", test.query, n, log.String())
		}
	}
	s.post(4, sid, "4x").expect(t, 200, "ok")
	if len(all) > 0 {
		t.Error("told of what was served, or twice")
	}
}

// The first refusal of a foreign origin is a warning that names the option; then the log is left in peace for a while.
func TestCrossOriginWarning(t *testing.T) {
	var log lockedBuffer
	e := calm()
	e.Options.Logger = slog.New(slog.NewTextHandler(&log, nil))
	s := open(t, e)
	for range 3 {
		if a := s.get(4, "", "Origin", "https://elsewhere.example"); a.status != 403 {
			t.Fatal(a)
		}
	}
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "level=WARN") ||
		!strings.Contains(got, "cross-origin request from https://elsewhere.example: Options.CORS does not allow it") {
		t.Error(got)
	}
}

// Options that mean nothing are a mistake of the program, and seen on the first use, however often.
func TestInvalidOptions(t *testing.T) {
	for _, o := range []engineio.Options{
		{PingInterval: -1}, {Transports: []string{}}, {Transports: []string{"smoke"}}, {MaxBuffered: -1}, {MaxHTTPBufferSize: -1},
		{CORS: &engineio.CORS{Origins: []string{"example.com"}}},
	} {
		want := o.Validate()
		if want == nil || !strings.HasPrefix(want.Error(), "engineio: ") {
			t.Errorf("%+v: %v", o, want)
		}
		e := &engineio.Server{Options: o}
		for range 2 {
			func() {
				defer func() {
					if got, _ := recover().(error); got == nil || got.Error() != want.Error() {
						t.Errorf("panics with %v, want %v", got, want)
					}
				}()
				e.Len()
			}()
		}
	}
}

// lockedBuffer is written by whoever logs, and read by the test.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *lockedBuffer) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b.Reset()
}
