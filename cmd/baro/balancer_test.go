package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"baro.dev/internal/cli/exit"
	"baro.dev/internal/testkit"
)

// balanced are the nodes of a cluster behind HAProxy, with the configuration of deploy/proxies: each request goes to the next of them,
// whosever it is.
type balanced struct {
	*nodes
	admin    []string // their second listeners
	clients  string   // the address for clients
	backends string   // the URL for the API
	cpu      []float64
	carried  map[string]float64
}

// startBalanced starts n nodes, which keep their addresses over a restart, and HAProxy before them.
func startBalanced(t *testing.T, n int, args ...string) *balanced {
	t.Helper()
	const haproxy = "/usr/sbin/haproxy"
	if _, err := os.Stat(haproxy); err != nil {
		lacks(t, "HAProxy")
	}
	free := testkit.FreeAddresses(t, 2*n+2)
	web, admin := free[:n], free[n:2*n]
	b := &balanced{admin: admin, clients: free[2*n], backends: "http://" + free[2*n+1] + "/", cpu: make([]float64, n), carried: map[string]float64{}}
	b.nodes = startNodesWith(t, n, func(i int) []string { return []string{"--listen", web[i], "--admin-listen", admin[i]} },
		append(args, "--trusted-proxy", "127.0.0.1")...)

	text, err := os.ReadFile("../../deploy/proxies/haproxy-cluster.cfg")
	if err != nil {
		t.Fatal(err)
	}
	changes := []string{":80\n", b.clients + "\n", "127.0.0.1:8080", free[2*n+1], "maxconn 100000", "maxconn 4000"}
	if !whole {
		changes = append(changes, "inter 1s", "inter 250ms")
	}
	for i := range n {
		_, port, _ := net.SplitHostPort(admin[i])
		changes = append(changes, fmt.Sprintf("10.0.0.%d:8000 check port 8001", i+1), web[i]+" check port "+port, fmt.Sprintf("10.0.0.%d:8001", i+1), admin[i])
	}
	for i := 0; i < len(changes); i += 2 {
		if !strings.Contains(string(text), changes[i]) {
			t.Fatalf("the configuration has no %q", changes[i])
		}
	}
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(file, []byte(strings.NewReplacer(changes...).Replace(string(text))), 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), haproxy, "-db", "-f", file)
	c.Stdout, c.Stderr = t.Output(), t.Output()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		response, err := http.Get(b.backends + "readyz")
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return b
			}
		}
		if time.Now().After(end) {
			t.Fatalf("HAProxy finds no server within a minute: %v", err)
		}
	}
}

// lacks skips a test that needs what is not there, and fails it in CI.
func lacks(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("needs %s: run make setup", what)
	}
	t.Skipf("needs %s: run make setup", what)
}

// measure adds what a node has spent and carried since it was started.
func (b *balanced) measure(i int) {
	b.t.Helper()
	_, text := get(b.t, "http://"+b.admin[i]+"/metrics")
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		n, _ := strconv.ParseFloat(value, 64)
		if name == "process_cpu_seconds_total" {
			b.cpu[i] += n
		}
		if rest, ok := strings.CutPrefix(name, `baro_cluster_carried_total{kind="`); ok {
			b.carried[strings.TrimSuffix(rest, `"}`)] += n
		}
	}
}

// restart stops a node in peace, and starts it again, as another program if that is not nil.
func (b *balanced) restart(i int, other func(args ...string) *exec.Cmd) {
	b.t.Helper()
	b.measure(i)
	if code := b.procs[i].stop(b.t, syscall.SIGTERM); code != exit.OK {
		b.t.Errorf("node %d: exit code %d: %s", i, code, b.procs[i].log)
	}
	b.startAs(i, other)
	b.waitReady(i, true)
}

// startAs is start, as another program.
func (b *balanced) startAs(i int, other func(args ...string) *exec.Cmd) {
	b.t.Helper()
	if other == nil {
		b.start(i)
		return
	}
	b.procs[i] = startProcess(b.t, other(append([]string{"serve", "--dev"}, b.each[i]...)...), nil)
	b.URLs[i] = b.procs[i].url
}
