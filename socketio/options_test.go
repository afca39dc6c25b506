package socketio_test

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"baro.dev/engineio"
	"baro.dev/socketio"
	"baro.dev/socketio/parser"
)

// NewServer panics with what Validate says.
func TestInvalidOptions(t *testing.T) {
	for _, test := range []struct {
		o    socketio.Options
		want string
	}{
		{socketio.Options{Path: "ws"}, `socketio: Path does not begin with a slash: "ws"`},
		{socketio.Options{ConnectTimeout: -1}, "socketio: ConnectTimeout is negative"},
		{socketio.Options{MaxNamespaces: -1}, "socketio: MaxNamespaces is negative"},
		{socketio.Options{Limits: parser.Limits{MaxBytes: -1}}, "socketio: Limits.MaxBytes is negative"},
		{socketio.Options{ConnectionStateRecovery: &socketio.ConnectionStateRecovery{MaxSessions: -1}},
			"socketio: ConnectionStateRecovery.MaxSessions is negative"},
		{socketio.Options{Engine: engineio.Options{PingTimeout: -time.Second}}, "socketio: Engine: engineio: PingTimeout is negative: -1s"},
	} {
		func() {
			defer func() {
				if err, _ := recover().(error); err == nil || err.Error() != test.want || test.o.Validate().Error() != test.want {
					t.Errorf("%v, want %s", err, test.want)
				}
			}()
			socketio.NewServer(&test.o)
		}()
	}
	for _, o := range []*socketio.Options{nil, {}, {Limits: parser.Limits{MaxAttachments: -1}}, {Engine: engineio.Options{HTTPCompression: -1}}} {
		if err := o.Validate(); err != nil {
			t.Error(err)
		}
	}
}

// A page of another origin: the log says which option allows it, as a program that uses this package has it.
func TestOnConnectionError(t *testing.T) {
	var log bytes.Buffer
	o := &socketio.Options{}
	o.Engine.Logger = slog.New(slog.NewTextHandler(&log, nil))
	io, url := start(t, o)
	told := make(chan *engineio.ConnectionError, 2)
	io.OnConnectionError(func(r *http.Request, err *engineio.ConnectionError) {
		if r.Header.Get("Origin") == "" {
			t.Error("another request")
		}
		told <- err
	})
	r, _ := http.NewRequest(http.MethodGet, url+"/socket.io/?EIO=4&transport=polling", nil)
	r.Header.Set("Origin", "https://elsewhere.example")
	a, err := http.DefaultClient.Do(r)
	if err != nil || a.StatusCode != http.StatusForbidden {
		t.Fatal(a, err)
	}
	a.Body.Close()
	if err := got(t, told); err.Code != engineio.Forbidden || !errors.Is(err, engineio.ErrCrossOrigin) {
		t.Error(err)
	}
	if line := log.String(); strings.Count(line, "\n") != 1 || !strings.Contains(line, "level=WARN") ||
		!strings.Contains(line, "cross-origin request from https://elsewhere.example: Options.Engine.CORS does not allow it") {
		t.Error(line)
	}
}
