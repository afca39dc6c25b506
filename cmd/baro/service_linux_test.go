package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"

	"baro.dev/internal/testkit"
)

// manager is what a service manager is to the command: who hears of its state, and hands it sockets.
type manager struct {
	t      *testing.T
	socket *net.UnixConn
	env    []string
}

func newManager(t *testing.T, env ...string) *manager {
	t.Helper()
	address := &net.UnixAddr{Name: filepath.Join(t.TempDir(), "notify"), Net: "unixgram"}
	socket, err := net.ListenUnixgram("unixgram", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	return &manager{t, socket, append(env, "NOTIFY_SOCKET="+address.Name)}
}

// start starts baro serve with sockets, as systemd does: what is in the environment holds for the process of this id alone.
func (m *manager) start(names string, sockets []*os.File, args ...string) (*exec.Cmd, logFile) {
	m.t.Helper()
	c := exec.CommandContext(m.t.Context(), "/bin/sh", append([]string{"-c", `LISTEN_PID=$$ exec "$0" serve "$@"`, os.Args[0]}, args...)...)
	c.Env = append(os.Environ(), "BARO_TEST_AS_COMMAND=1")
	c.Env = append(c.Env, m.env...)
	if sockets != nil {
		c.Env = append(c.Env, fmt.Sprintf("LISTEN_FDS=%d", len(sockets)), "LISTEN_FDNAMES="+names)
		c.ExtraFiles = sockets
	}
	log := newLogFile(m.t)
	c.Stderr = log.to(m.t)
	if err := c.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { _ = c.Process.Kill() })
	return c, log
}

// logFile is a file that a process writes its log to, so that it can be read meanwhile.
type logFile string

func newLogFile(t *testing.T) logFile { return logFile(filepath.Join(t.TempDir(), "log")) }

func (l logFile) to(t *testing.T) *os.File {
	t.Helper()
	f, err := os.Create(string(l))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func (l logFile) String() string {
	text, _ := os.ReadFile(string(l))
	return string(text)
}

// hear waits to be told of what begins with want, and returns all that was told with it.
func (m *manager) hear(want string, log logFile) string {
	m.t.Helper()
	if err := m.socket.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		m.t.Fatal(err)
	}
	for buffer := make([]byte, 4096); ; {
		n, err := m.socket.Read(buffer)
		if err != nil {
			m.t.Fatalf("waiting for %s: %v; %s", want, err, log)
		}
		if said := string(buffer[:n]); strings.HasPrefix(said, want) {
			return said
		}
	}
}

// listenPlain listens as systemd does, by TCP and no other protocol.
func listenPlain() (net.Listener, error) {
	var config net.ListenConfig
	config.SetMultipathTCP(false)
	return config.Listen(context.Background(), "tcp", "127.0.0.1:0")
}

func fileOf(t *testing.T, socket interface{ File() (*os.File, error) }) *os.File {
	t.Helper()
	f, err := socket.File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// The manager holds the socket while the server is started again: nobody is refused meanwhile, and everybody is answered.
func TestSocketActivation(t *testing.T) {
	l, err := listenPlain()
	if err != nil {
		t.Fatal(err)
	}
	sockets := []*os.File{fileOf(t, l.(*net.TCPListener))}
	url := "http://" + l.Addr().String()
	l.Close()
	m := newManager(t, "WATCHDOG_USEC=300000")
	serve := func() (*exec.Cmd, logFile) {
		c, log := m.start("http", sockets, "--dev", "--listen", "192.0.2.1:1", "--log-format", "json")
		if said := m.hear("READY=1", log); !strings.Contains(said, "\nSTATUS=Serving http://localhost:") {
			t.Errorf("the manager is told %q", said)
		}
		m.hear("WATCHDOG=1", log)
		m.hear("WATCHDOG=1", log)
		return c, log
	}
	first, log := serve()

	stop, asked := make(chan struct{}), make(chan error, 1)
	answers := 0
	go func() {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		for {
			response, err := client.Get(url + "/livez")
			if err != nil {
				asked <- err
				return
			}
			response.Body.Close()
			answers++
			select {
			case <-stop:
				asked <- nil
				return
			default:
			}
		}
	}()
	for range 2 {
		if err := first.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		said := m.hear("STOPPING=1", log)
		if !strings.Contains(said, "EXTEND_TIMEOUT_USEC=40000000") { // 30 s, and 10
			t.Errorf("the manager is told %q", said)
		}
		if err := first.Wait(); err != nil {
			t.Fatalf("%v: %s", err, log)
		}
		first, log = serve()
	}
	close(stop)
	if err := <-asked; err != nil || answers == 0 {
		t.Errorf("after %d answers: %v", answers, err)
	}
	_ = first.Process.Signal(syscall.SIGTERM)
	if err := first.Wait(); err != nil {
		t.Errorf("%v: %s", err, log)
	}
	if !strings.Contains(log.String(), "a socket of the service manager") {
		t.Errorf("the log: %s", log)
	}
}

// The second listener is the socket called admin, whatever the order.
func TestSocketActivationAdmin(t *testing.T) {
	var sockets []*os.File
	var addresses []string
	for range 2 {
		l, err := listenPlain()
		if err != nil {
			t.Fatal(err)
		}
		sockets = append(sockets, fileOf(t, l.(*net.TCPListener)))
		addresses = append(addresses, l.Addr().String())
		l.Close()
	}
	m := newManager(t)
	c, log := m.start("admin:http", sockets, "--dev", "--admin-listen", "192.0.2.1:1")
	m.hear("READY=1", log)
	for i, want := range []int{http.StatusOK, http.StatusNotFound} {
		if status, _ := get(t, "http://"+addresses[i]+"/metrics"); status != want {
			t.Errorf("%s: status %d", addresses[i], status)
		}
	}
	_ = c.Process.Signal(syscall.SIGTERM)
	if err := c.Wait(); err != nil {
		t.Errorf("%v: %s", err, log)
	}
}

// HTTP/3 is served on the UDP socket that was handed over.
func TestSocketActivationUDP(t *testing.T) {
	cert, key, roots := testkit.Certificate(t)
	l, err := listenPlain()
	if err != nil {
		t.Fatal(err)
	}
	u, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := newManager(t)
	sockets := []*os.File{fileOf(t, u.(*net.UDPConn)), fileOf(t, l.(*net.TCPListener))}
	l.Close()
	u.Close()
	c, log := m.start("baro.socket:baro.socket", sockets, "--dev", "--http3", "--tls-cert", cert, "--tls-key", key)
	m.hear("READY=1", log)
	over3 := &http3.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	defer over3.Close()
	for address, transport := range map[string]http.RoundTripper{
		u.LocalAddr().String(): over3,
		l.Addr().String():      &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true},
	} {
		response, err := (&http.Client{Transport: transport}).Get("https://" + address + "/livez")
		if err != nil {
			t.Fatalf("%s: %v", address, err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || string(body) != "ok\n" {
			t.Errorf("%s: %q, %v", response.Proto, body, err)
		}
	}
	_ = c.Process.Signal(syscall.SIGTERM)
	if err := c.Wait(); err != nil {
		t.Errorf("%v: %s", err, log)
	}
}

func TestSocketActivationMistakes(t *testing.T) {
	two := make([]*os.File, 2)
	for i := range two {
		l, err := listenPlain()
		if err != nil {
			t.Fatal(err)
		}
		two[i] = fileOf(t, l.(*net.TCPListener))
		l.Close()
	}
	plain, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	m := newManager(t)
	for want, sockets := range map[string][]*os.File{
		"there can be one of TCP,":                 two,
		`"a" that was handed over neither listens`: {plain},
	} {
		c, log := m.start("a:b", sockets, "--dev", "--listen", "127.0.0.1:0")
		if err := c.Wait(); err == nil || !strings.Contains(log.String(), want) {
			t.Errorf("%v: %s; want %q", err, log, want)
		}
	}
	// What is meant for another process is left alone.
	c := exec.CommandContext(t.Context(), os.Args[0], "serve", "--dev", "--listen", "127.0.0.1:0")
	c.Env = append(os.Environ(), "BARO_TEST_AS_COMMAND=1", "LISTEN_PID=1", "LISTEN_FDS=7")
	c.Env = append(c.Env, m.env...)
	log := newLogFile(t)
	c.Stderr = log.to(t)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	m.hear("READY=1", log)
	_ = c.Process.Signal(syscall.SIGTERM)
	if err := c.Wait(); err != nil {
		t.Errorf("%v: %s", err, log)
	}
}
