// Package brokers starts brokers for tests: redis-server and nats-server as Debian has them, each a process of its own on a free port
// of the loopback, with a directory of its own. They end with the test. Only tests import it.
//
// A missing program fails the test in CI, and skips it elsewhere.
package brokers

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"baro.dev/internal/testkit"
)

// A Server is the process of a broker. Its methods, but Do, are for the goroutine of the test.
type Server struct {
	// Addr is where it answers: 127.0.0.1 and the port, which stays the same over Restart.
	Addr string

	t       testing.TB
	name    string
	command func(dir string) []string // the arguments for a directory with the data, and the files that they name
	ready   func(addr string) error
	dir     string
	cmd     *exec.Cmd
	ended   chan struct{}
	paused  bool
}

// Redis starts a redis-server without authentication, which appends what it has to a file. args are added to its command line, as
// in "--maxmemory", "1mb".
func Redis(t testing.TB, args ...string) *Server {
	t.Helper()
	return start(t, "redis-server", func(port string) func(string) []string {
		return func(dir string) []string { return append(redisArgs(port, dir), args...) }
	}, redisReady)
}

func redisArgs(port, dir string) []string {
	return []string{
		"--bind", "127.0.0.1", "--port", port, "--dir", dir, "--save", "", "--appendonly", "yes", "--appendfsync", "no",
		"--loglevel", "notice", "--daemonize", "no",
	}
}

// NATS starts Debian's nats-server with JetStream. args are added to its command line.
func NATS(t testing.TB, args ...string) *Server {
	t.Helper()
	return start(t, "nats-server", func(port string) func(string) []string {
		return func(dir string) []string {
			return append([]string{"--addr", "127.0.0.1", "--port", port, "--jetstream", "--store_dir", dir}, args...)
		}
	}, natsReady)
}

// start starts a program on a free port, and waits until it answers.
func start(t testing.TB, name string, command func(port string) func(dir string) []string, ready func(addr string) error) *Server {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("needs %s: run make setup", name)
		}
		t.Skipf("needs %s: run make setup", name)
	}
	s := &Server{t: t, name: name, ready: ready, dir: t.TempDir()}
	t.Cleanup(func() {
		s.Kill()
		if t.Failed() {
			s.log()
		}
	})
	for try := 0; ; try++ {
		port := testkit.FreePort(t)
		s.Addr, s.command = "127.0.0.1:"+port, command(port)
		err := s.run()
		if err == nil {
			return s
		}
		s.Kill()
		if try == 3 { // until then somebody else may have taken the port
			t.Fatalf("%s: %v", name, err)
		}
	}
}

// run starts the process, from a thread that lasts as long: where the system can, the process ends with this one.
func (s *Server) run() error {
	s.t.Helper()
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()
	data := filepath.Join(s.dir, "data")
	if err := os.MkdirAll(data, 0o700); err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.Command(s.name, s.command(data)...)
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = log, log, together
	started, ended := make(chan error), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(ended)
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		s.t.Fatal(err)
	}
	s.cmd, s.ended, s.paused = cmd, ended, false
	return s.wait(func() error { return s.ready(s.Addr) })
}

// wait waits until f returns no error, or the process has ended.
func (s *Server) wait(f func() error) error {
	for start := time.Now(); ; {
		err := f()
		if err == nil {
			return nil
		}
		select {
		case <-s.ended:
			return fmt.Errorf("ended: %w", err)
		case <-time.After(5 * time.Millisecond):
		}
		if time.Since(start) > testkit.Patience {
			return err
		}
	}
}

// Port returns the port of Addr.
func (s *Server) Port() int {
	_, port, _ := net.SplitHostPort(s.Addr)
	n, _ := strconv.Atoi(port)
	return n
}

// Pid returns the id of the process.
func (s *Server) Pid() int { return s.cmd.Process.Pid }

// Kill ends the process at once, as kill -9 does. What it has been given and has answered is still in its directory.
func (s *Server) Kill() { s.end(os.Kill) }

// Stop asks the process to end, and waits until it has.
func (s *Server) Stop() {
	s.Continue()
	s.end(os.Interrupt)
}

func (s *Server) end(signal os.Signal) {
	if s.cmd == nil {
		return
	}
	if err := s.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.t.Errorf("%s: %v", s.name, err)
	}
	select {
	case <-s.ended:
	case <-time.After(testkit.Patience):
		_ = s.cmd.Process.Kill()
		<-s.ended
		s.t.Errorf("%s did not end on %v", s.name, signal)
	}
	s.cmd = nil
}

// Restart starts the process again, on the same port and with what it had; it is killed first if it is there. It waits until the server
// answers.
func (s *Server) Restart() {
	s.t.Helper()
	s.Kill()
	if err := s.run(); err != nil {
		s.t.Fatalf("%s: %v", s.name, err)
	}
}

// RestartEmpty is Restart, but what the server had is lost.
func (s *Server) RestartEmpty() {
	s.t.Helper()
	s.Kill()
	if err := os.RemoveAll(filepath.Join(s.dir, "data")); err != nil {
		s.t.Fatal(err)
	}
	s.Restart()
}

// Pause has the process stand still (SIGSTOP): connections stay, nothing is answered.
func (s *Server) Pause() {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sigstop); err != nil {
		s.t.Fatal(err)
	}
	s.paused = true
}

// Continue has a process that stands still go on.
func (s *Server) Continue() {
	if s.cmd == nil || !s.paused {
		return
	}
	if err := s.cmd.Process.Signal(sigcont); err != nil && !errors.Is(err, syscall.ESRCH) {
		s.t.Errorf("%s: %v", s.name, err)
	}
	s.paused = false
}

func (s *Server) log() {
	text, _ := os.ReadFile(filepath.Join(s.dir, "log"))
	const most = 4 << 10
	s.t.Logf("%s at %s:\n%s", s.name, s.Addr, text[max(0, len(text)-most):])
}
