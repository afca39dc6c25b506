package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"baro.dev/internal/cli/exit"
	"baro.dev/internal/cli/load"
	"baro.dev/ws"
)

// The flags arrive, the result is where it is to be, and the codes are those that docs/cli.md has.
func TestBench(t *testing.T) {
	echo := &ws.Server{OnMessage: func(c *ws.Socket, m ws.Message) { _ = c.Send(m.Type, m.Data) }}
	s := httptest.NewServer(echo)
	t.Cleanup(func() { echo.Close(); s.Close() })
	bench := func(args ...string) (code int, stdout, stderr string) {
		var out, diagnostics bytes.Buffer
		code = run(append([]string{"bench"}, args...), &out, &diagnostics)
		return code, out.String(), diagnostics.String()
	}

	svg := filepath.Join(t.TempDir(), "report.svg")
	code, out, progress := bench(s.URL, "-c", "3", "-r", "200", "-d", "300ms", "--warm-up", "10ms", "--size", "100", "--json", "--svg", svg)
	var r load.Result
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != exit.OK {
		t.Fatalf("%d, %v: %s %s", code, err, out, progress)
	}
	if r.Messages+r.Unsent != 60 || r.Loop != "open" || r.Connections != 3 || r.Size != 100 || r.ErrorCount+r.Lost != 0 || !strings.Contains(progress, "measuring") {
		t.Errorf("%s\n%s", out, progress)
	}
	if b, err := os.ReadFile(svg); err != nil || !bytes.HasPrefix(b, []byte("<svg ")) {
		t.Errorf("%.100q, %v", b, err)
	}
	if code, out, progress = bench(s.URL, "-d", "100ms", "--warm-up", "10ms", "-q"); code != exit.OK || !strings.Contains(out, "closed loop") || progress != "" {
		t.Errorf("%d: %s %s", code, out, progress)
	}

	if _, help, _ := bench("--help"); strings.Contains(help, "HTTPS_PROXY") || strings.Contains(help, "for each new connection") {
		t.Errorf("the help has what bench does not do:\n%s", help)
	}

	refusing := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(refusing.Close)
	wrong := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Upgrade", "websocket")
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Sec-WebSocket-Accept", "AAAA")
		w.WriteHeader(http.StatusSwitchingProtocols)
	}))
	t.Cleanup(wrong.Close)
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{}, exit.Usage, "takes one URL"},
		{[]string{wrong.URL, "-q"}, exit.Refused, "Sec-WebSocket-Accept"},
		{[]string{s.URL, "--size", "3"}, exit.Usage, "size: 3"},
		{[]string{s.URL, "--scenario", "dance"}, exit.Usage, "no scenario"},
		{[]string{s.URL, "--proxy", "http://localhost:1"}, exit.Usage, "no proxy"},
		{[]string{s.URL, "--scenario", "fanout"}, exit.Usage, "/c/NAME"},
		{[]string{"ws://203.0.113.5/", "-c", "100"}, exit.Usage, "--yes"},
		{[]string{"ws://127.0.0.1:1/", "-q"}, exit.Unreachable, "refused"},
		{[]string{refusing.URL, "-q"}, exit.Refused, "404"},
		{[]string{s.URL, "--channels", "2"}, exit.Usage, "--channels is for the scenario fanout"},
		{[]string{s.URL, "--event", "say"}, exit.Usage, "--event is for echoes over Socket.IO"},
		{[]string{s.URL, "--scenario", "reconnect", "--rate", "5"}, exit.Usage, "--rate is for"},
		{[]string{s.URL + "/c/a", "--api", s.URL}, exit.Usage, "--api is for --publish-by api"},
		{[]string{s.URL, "--http", "2"}, exit.Usage, "unknown flag: --http"},
	} {
		if code, _, said := bench(c.args...); code != c.code || !strings.Contains(said, c.says) {
			t.Errorf("%q: %d, %s", c.args, code, said)
		}
	}
}
