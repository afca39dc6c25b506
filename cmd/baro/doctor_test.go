package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"

	"baro.dev/internal/cli/exit"
)

// The flags, the two renderings and the exit codes; what is found is tested with package doctor.
func TestDoctor(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	diagnose := func(args ...string) (code int, stdout, stderr string) {
		var out, errs bytes.Buffer
		code = run(append([]string{"doctor", "--proxy", "none"}, args...), &out, &errs)
		return code, out.String(), errs.String()
	}
	code, out, errs := diagnose(server.URL + "/live")
	if code != exit.Refused || !strings.Contains(out, "FAIL  handshake") || !strings.Contains(out, " > GET /live HTTP/1.1\n") ||
		!strings.Contains(out, "1. handshake: 404 Not Found instead of 101") || strings.Contains(out, "\x1b") || errs != "baro: 1 problem was found\n" {
		t.Errorf("exit code %d: %q\n%s", code, errs, out)
	}
	if _, out, _ = diagnose(server.URL+"/live", "--color", "always"); !strings.Contains(out, "\x1b[31mFAIL\x1b[m") {
		t.Errorf("it is not coloured:\n%s", out)
	}
	code, out, _ = diagnose(server.URL+"/live", "--json")
	var report struct {
		Schema, Exit int
		Problems     []string
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil || strings.Count(out, "\n") != 1 || code != exit.Refused || report.Exit != code || report.Schema != 1 || len(report.Problems) != 1 {
		t.Errorf("exit code %d, %v: %s", code, err, out)
	}
	for _, args := range [][]string{{}, {"a", "b"}, {"gopher://x"}, {server.URL, "--protocol", "gopher"}, {server.URL, "--idle", "-1s"}} {
		if code, _, errs := diagnose(args...); code != exit.Usage {
			t.Errorf("%q: exit code %d: %s", args, code, errs)
		}
	}
}

// full takes nothing, as a disk that is full.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

// A report that could not be written is no success.
func TestDoctorOutputFull(t *testing.T) {
	for _, args := range [][]string{{}, {"--json"}} {
		var said bytes.Buffer
		code := run(append([]string{"doctor", "http://127.0.0.1:1/"}, args...), full{}, &said)
		if code != exit.Failed || !strings.Contains(said.String(), syscall.ENOSPC.Error()) {
			t.Errorf("%q: %d, %s", args, code, said.String())
		}
	}
}
