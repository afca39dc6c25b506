package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"baro.dev/internal/cli/exit"
	"baro.dev/internal/testkit"
)

func healthcheck(t *testing.T, env []string, args ...string) (int, string) {
	t.Helper()
	c := command(t, append([]string{"healthcheck"}, args...)...)
	c.Env = append(c.Env, env...)
	out, _ := c.CombinedOutput()
	return c.ProcessState.ExitCode(), string(out)
}

// It finds the server by what the server was told, in the environment as well: at the second listener, or else the first, which may
// have a certificate for another name.
func TestHealthcheck(t *testing.T) {
	cert, key, _ := testkit.Certificate(t)
	public, admin := testkit.FreeAddress(t), testkit.FreeAddress(t)
	for name, env := range map[string][]string{
		"second listener": {"BARO_LISTEN=" + public, "BARO_ADMIN_LISTEN=" + admin},
		"first listener":  {"BARO_LISTEN=" + public, "BARO_ADMIN_LISTEN="},
		"TLS":             {"BARO_LISTEN=" + public, "BARO_ADMIN_LISTEN=", "BARO_TLS_CERT=" + cert, "BARO_TLS_KEY=" + key},
		"every address":   {"BARO_LISTEN=0.0.0.0" + public[strings.LastIndex(public, ":"):], "BARO_ADMIN_LISTEN="},
	} {
		t.Run(name, func(t *testing.T) {
			if code, out := healthcheck(t, env); code != exit.Failed || !strings.Contains(out, "refused") {
				t.Errorf("without a server: exit code %d, %s", code, out)
			}
			s := serveCommand(t, env)
			if code, out := healthcheck(t, env); code != exit.OK || out != "ready\n" {
				t.Errorf("exit code %d, %s", code, out)
			}
			_ = s.Process.Kill()
			_ = s.Wait()
		})
	}
}

func TestHealthcheckSays(t *testing.T) {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte(`{"ready":false,"reasons":["draining"]}`))
	}))
	defer backend.Close()
	for _, test := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--url", backend.URL + "/readyz"}, exit.Failed, `not ready: ` + backend.URL + `/readyz answers 503 Service Unavailable: {"ready":false,"reasons":["draining"]}`},
		{[]string{"--url", "nonsense"}, exit.Usage, "no URL"},
		{[]string{"--listen", "127.0.0.1:0", "--admin-listen", ""}, exit.Usage, "give --url"},
		{[]string{"--listen", "nonsense", "--admin-listen", ""}, exit.Usage, `the address "nonsense"`},
	} {
		if code, out := healthcheck(t, nil, test.args...); code != test.code || !strings.Contains(out, test.want) {
			t.Errorf("%v: exit code %d, %s", test.args, code, out)
		}
	}
}
