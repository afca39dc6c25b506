package interop

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"baro.dev/internal/testkit"
	"baro.dev/ws"
)

// A proxy is somebody's reverse proxy, with the configuration of deploy/proxies that docs/reverse-proxies.md shows.
type proxy struct {
	name, program, file string
	// changes are what is different in the test, in pairs; what is to change must be there. ADDRESS and PORT are where it listens.
	changes []string
	// second has the configuration know another server, at SECOND.
	second []string
	// whole is the configuration around FILE, if that is a part; DIR is a directory of its own.
	whole string
	args  []string
}

var proxies = []proxy{
	{
		name: "nginx", program: "/usr/sbin/nginx", file: "nginx.conf",
		changes: []string{"listen 80", "listen ADDRESS", "90s", "4s"},
		second:  []string{"#server 127.0.0.1:8002", "server SECOND"},
		whole: `daemon off; pid DIR/pid; worker_processes 1; error_log stderr warn;
			events { worker_connections 512; }
			http {
				access_log off;
				client_body_temp_path DIR/body; proxy_temp_path DIR/proxy; fastcgi_temp_path DIR/fastcgi; uwsgi_temp_path DIR/uwsgi; scgi_temp_path DIR/scgi;
				include FILE;
			}`,
		args: []string{"-e", "stderr", "-p", "DIR", "-c", "WHOLE"},
	},
	{
		name: "HAProxy", program: "/usr/sbin/haproxy", file: "haproxy.cfg",
		changes: []string{"bind :80", "bind ADDRESS", "90s", "4s", "maxconn 100000", "maxconn 200"},
		second:  []string{"#server two 127.0.0.1:8002", "server two SECOND"},
		args:    []string{"-db", "-f", "FILE"},
	},
	{
		name: "Caddy", program: "/usr/bin/caddy", file: "Caddyfile",
		changes: []string{"www.example.com {", "{\n\tadmin off\n\tauto_https off\n}\nhttp://:PORT {"},
		second:  []string{"#to 127.0.0.1:8002", "to SECOND"},
		args:    []string{"run", "--config", "FILE", "--adapter", "caddyfile"},
	},
	{
		name: "Apache", program: "/usr/sbin/apache2", file: "apache.conf",
		changes: []string{"*:80", "*:PORT", "timeout=90", "timeout=4", "Timeout 90", "Timeout 4"},
		second:  []string{"#BalancerMember http://127.0.0.1:8002", "BalancerMember http://SECOND"},
		whole: `ServerRoot DIR
			DefaultRuntimeDir DIR
			PidFile DIR/pid
			ErrorLog DIR/error.log
			ServerName localhost
			DocumentRoot DIR
			Listen ADDRESS
			LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
			LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
			LoadModule alias_module /usr/lib/apache2/modules/mod_alias.so
			LoadModule headers_module /usr/lib/apache2/modules/mod_headers.so
			LoadModule proxy_module /usr/lib/apache2/modules/mod_proxy.so
			LoadModule proxy_http_module /usr/lib/apache2/modules/mod_proxy_http.so
			LoadModule slotmem_shm_module /usr/lib/apache2/modules/mod_slotmem_shm.so
			LoadModule lbmethod_byrequests_module /usr/lib/apache2/modules/mod_lbmethod_byrequests.so
			LoadModule proxy_balancer_module /usr/lib/apache2/modules/mod_proxy_balancer.so
			Include FILE
			`,
		args: []string{"-DFOREGROUND", "-f", "WHOLE"},
	},
}

// start runs the proxy until the end of the test, as nobody in particular, in front of one server or two, and gives its address.
func (p proxy) start(t *testing.T, changes []string, servers ...string) string {
	t.Helper()
	if _, err := os.Stat(p.program); err != nil {
		lacks(t, p.program)
	}
	text, err := os.ReadFile("../deploy/proxies/" + p.file)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "proxy") //nolint:usetesting // t's is for our user alone
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chown(dir, 65534, 65534); os.Getuid() == 0 && err != nil {
		t.Fatal(err)
	}
	address := testkit.FreeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	changes = append(append([]string{"127.0.0.1:8000", servers[0]}, p.changes...), changes...)
	if len(servers) > 1 {
		changes = append(changes, p.second...)
	}
	config := string(text)
	for ; len(changes) > 0; changes = changes[2:] {
		if !strings.Contains(config, changes[0]) {
			t.Fatalf("%s has no %q", p.file, changes[0])
		}
		config = strings.ReplaceAll(config, changes[0], changes[1])
	}
	names := strings.NewReplacer("DIR", dir, "FILE", filepath.Join(dir, p.file), "WHOLE", filepath.Join(dir, "whole"), "ADDRESS", address, "PORT", port,
		"SECOND", servers[len(servers)-1])
	for name, text := range map[string]string{p.file: config, "whole": p.whole} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(names.Replace(text)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var args []string
	for _, a := range p.args {
		args = append(args, names.Replace(a))
	}
	c := exec.Command(p.program, args...)
	c.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	c.Dir = dir
	c.Stdout, c.Stderr = t.Output(), t.Output()
	if os.Getuid() == 0 {
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	t.Cleanup(func() {
		_ = c.Process.Signal(syscall.SIGTERM)
		kill := time.AfterFunc(patience, func() { _ = c.Process.Kill() })
		defer kill.Stop()
		<-ended
		if log, err := os.ReadFile(filepath.Join(dir, "error.log")); err == nil && t.Failed() {
			t.Logf("%s", log)
		}
	})
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
			return address
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", p.name, err)
		}
	}
}

// server is a running baro serve that can be told to stop.
type server struct {
	address, admin string
	process        *exec.Cmd
	ended          chan error
}

func startServer(t *testing.T, args ...string) *server {
	t.Helper()
	path, err := buildBaro()
	if err != nil {
		t.Fatal(err)
	}
	s := &server{address: testkit.FreeAddress(t), admin: testkit.FreeAddress(t), ended: make(chan error, 1)}
	s.process = exec.Command(path, append([]string{"serve", "--dev", "--listen", s.address, "--admin-listen", s.admin}, args...)...)
	s.process.Stderr = t.Output()
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		s.ended <- s.process.Wait()
		close(s.ended)
	}()
	t.Cleanup(func() {
		s.stop()
		kill := time.AfterFunc(patience, func() { _ = s.process.Process.Kill() })
		defer kill.Stop()
		if err := <-s.ended; err != nil {
			t.Errorf("baro serve, after TERM: %v", err)
		}
	})
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		response, err := http.Get("http://" + s.admin + "/readyz")
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return s
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("baro serve is not ready: %v", err)
		}
	}
}

func (s *server) stop() { _ = s.process.Process.Signal(syscall.SIGTERM) }

// elsewhere is the address that clients have in these tests: another one than the proxies'.
const elsewhere = "127.0.0.2"

func dialElsewhere(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(elsewhere)}}
	return d.DialContext(ctx, network, address)
}

// open opens a WebSocket through a proxy.
func open(t *testing.T, ctx context.Context, address, path string, header http.Header) (*ws.Conn, error) {
	t.Helper()
	c, response, err := ws.Dial(ctx, "ws://"+address+path, &ws.DialOptions{DialContext: dialElsewhere, Header: header})
	if err != nil {
		return nil, fmt.Errorf("%s (%v): %w", path, response, err)
	}
	t.Cleanup(func() { _ = c.CloseNow() })
	return c, nil
}
