package interop

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"baro.dev/internal/testkit"
	"baro.dev/ws"
)

// prometheus is a program of Debian's package of that name: installed, or where scripts/setup has unpacked it.
func prometheus(t *testing.T, program string) string {
	t.Helper()
	if path, err := exec.LookPath(program); err == nil {
		return path
	}
	path, err := filepath.Abs("../bin/prometheus/" + program)
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		lacks(t, program)
	}
	return path
}

// The alerts are well-formed, and fire when they should.
func TestAlerts(t *testing.T) {
	t.Parallel()
	promtool := prometheus(t, "promtool")
	for _, args := range [][]string{{"check", "rules", "alerts.yml"}, {"test", "rules", "alerts_test.yml"}} {
		cmd := exec.CommandContext(t.Context(), promtool, args...)
		cmd.Dir = "../deploy/prometheus"
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
	}
}

// startPrometheus has Prometheus scrape a server four times a second, with the alerts, and returns its URL.
func startPrometheus(t *testing.T, target string) string {
	t.Helper()
	program := prometheus(t, "prometheus")
	rules, err := filepath.Abs("../deploy/prometheus/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	address := testkit.FreeAddress(t) // it cannot say which port it has been given
	dir := t.TempDir()
	config := fmt.Sprintf(`
global: {scrape_interval: 250ms, scrape_timeout: 250ms, evaluation_interval: 1s}
scrape_configs: [{job_name: baro, static_configs: [{targets: [%q]}]}]
rule_files: [%q]
`, target, rules)
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "--config.file="+filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+address, "--log.level=warn")
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return "http://" + address
}

// ask has Prometheus evaluate an expression, and returns the values. An error of the expression ends the test, one of the connection is nil.
func ask(t *testing.T, prometheus, expr string) (values []string) {
	t.Helper()
	response, err := http.Get(prometheus + "/api/v1/query?query=" + url.QueryEscape(expr))
	if err != nil {
		return nil // it has not begun yet
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode == http.StatusServiceUnavailable {
		return nil
	}
	var answer struct {
		Status, Error string
		Data          struct{ Result []struct{ Value [2]any } }
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.Status != "success" {
		t.Fatalf("%s: %v %s", expr, err, body)
	}
	for _, r := range answer.Data.Result {
		values = append(values, fmt.Sprint(r.Value[1]))
	}
	return values
}

// A real Prometheus scrapes a real server, sees what clients do, and understands all that the dashboard asks it for.
func TestPrometheus(t *testing.T) {
	t.Parallel()
	prometheus(t, "prometheus") // before anything is built
	server, admin := baroServeAdmin(t)
	prom := startPrometheus(t, admin)
	for range 3 {
		c, _, err := ws.Dial(t.Context(), strings.Replace(server, "http", "ws", 1)+"c/news", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.CloseNow()
	}
	response, err := http.Post(server+"c/news", "text/plain", strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	for expr, want := range map[string]string{
		`up{job="baro"}`:                                  "1",
		`sum(baro_connections)`:                           "3",
		`sum(baro_sent_messages_total)`:                   "3",
		`baro_published_total{source="http"}`:             "1",
		`sum(baro_delivery_seconds_count) > bool 0`:       "1",
		`baro_ready`:                                      "1",
		`count(ALERTS{alertstate="firing"}) or vector(0)`: "0",
		`count(baro_build_info{goversion=~"go.+"})`:       "1",
		`process_open_fds{job="baro"} > bool 3`:           "1",
		`histogram_quantile(0.99, sum by (le) (baro_delivery_seconds_bucket)) < bool 60`: "1",
	} {
		deadline := time.Now().Add(patience)
		got := ask(t, prom, expr)
		for ; (len(got) != 1 || got[0] != want) && time.Now().Before(deadline); got = ask(t, prom, expr) {
			time.Sleep(50 * time.Millisecond)
		}
		if len(got) != 1 || got[0] != want {
			t.Errorf("%s is %v, not %s", expr, got, want)
		}
	}
	text, err := os.ReadFile("../deploy/grafana/baro.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct{ Targets []struct{ Expr string } }
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			ask(t, prom, strings.NewReplacer("$instance", ".*", "$__rate_interval", "1m").Replace(target.Expr))
		}
	}
}

// baroServeAdmin is baroServe with a second listener, whose address it returns, too.
func baroServeAdmin(t *testing.T) (server, admin string) {
	t.Helper()
	path, err := buildBaro()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "serve", "--dev", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0")
	cmd.Stderr = t.Output()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) >= 2 && fields[0] == "Local" {
			server = fields[1]
		}
		if len(fields) >= 2 && fields[0] == "Admin" {
			u, err := url.Parse(fields[1])
			if err != nil {
				t.Fatal(err)
			}
			return server, u.Host
		}
	}
	t.Fatal("baro serve does not say where its second listener is")
	return "", ""
}
