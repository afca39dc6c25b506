package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"baro.dev/internal/cli/exit"
	"baro.dev/internal/testkit"
)

// TestMain lets the tests run this program as the command.
func TestMain(m *testing.M) {
	if os.Getenv("BARO_TEST_AS_COMMAND") != "" {
		main()
	}
	os.Exit(m.Run())
}

func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0], args...)
	c.Env = append(os.Environ(), "BARO_TEST_AS_COMMAND=1")
	return c
}

// process is a running baro serve.
type process struct {
	*exec.Cmd
	url  string
	said string         // on the standard output, until the URL
	more *bufio.Scanner // what it says then
	log  *bytes.Buffer  // to be read when the server has ended
}

func serveCommand(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	said := func(v string) bool { return strings.HasPrefix(v, "BARO_ADMIN_LISTEN=") }
	if !slices.Contains(args, "--admin-listen") && !slices.ContainsFunc(env, said) {
		args = append(args, "--admin-listen", "") // the usual address is one for all on this machine
	}
	return startServe(t, env, append([]string{"--dev"}, args...)...)
}

func startServe(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	return startProcess(t, command(t, append([]string{"serve"}, args...)...), env)
}

func startProcess(t *testing.T, c *exec.Cmd, env []string) *process {
	t.Helper()
	s := &process{Cmd: c, log: new(bytes.Buffer)}
	s.Env = append(s.Env, env...)
	s.Stderr = s.log
	out, err := s.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Process.Kill() })
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		s.said += lines.Text() + "\n"
		if _, url, ok := strings.Cut(lines.Text(), "Local"); ok {
			s.url, s.more = strings.TrimSpace(url), lines
			return s
		}
	}
	_ = s.Wait()
	t.Fatalf("no URL was printed: %s", s.log)
	return nil
}

func (s *process) stop(t *testing.T, sig os.Signal) int {
	t.Helper()
	if err := s.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
	_ = s.Wait()
	return s.ProcessState.ExitCode()
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func TestServe(t *testing.T) {
	for _, sig := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		s := serveCommand(t, nil, "--listen", "127.0.0.1:0", "--log-format", "json")
		if !strings.Contains(s.said, "whoever reaches it may do everything") {
			t.Errorf("with --dev the server says %q", s.said)
		}
		if status, page := get(t, s.url); status != 200 || !strings.Contains(page, "<title>Baro (바로)</title>") {
			t.Errorf("the page: status %d", status)
		}
		response, err := http.Post(s.url+"c/demo", "text/plain", strings.NewReader("메세지"))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if _, body := get(t, s.url+"c/demo"); !strings.Contains(body, `"data":"메세지"`) {
			t.Errorf("a poll is answered %s", body)
		}
		if code := s.stop(t, sig); code != exit.OK {
			t.Errorf("%v: exit code %d, %s", sig, code, s.log)
		}
		if !strings.Contains(s.log.String(), `"msg":"stopped"`) {
			t.Errorf("the log has %s", s.log)
		}
	}
}

func TestServeEnvironment(t *testing.T) {
	s := serveCommand(t, []string{"BARO_LISTEN=127.0.0.1:0", "BARO_MAX_MESSAGE_BYTES=3", "BARO_LOG_FORMAT=text"})
	response, err := http.Post(s.url+"c/demo", "text/plain", strings.NewReader("four"))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d for a message beyond BARO_MAX_MESSAGE_BYTES", response.StatusCode)
	}
	if code := s.stop(t, syscall.SIGTERM); code != exit.OK || !strings.Contains(s.log.String(), "msg=stopped") {
		t.Errorf("exit code %d, %s", code, s.log)
	}
}

// What the file says holds, unless the environment or a flag says otherwise. A token in a URL is not in the log.
func TestServeConfig(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "baro.yml")
	secret := must(t, "token", "secret")
	for name, text := range map[string]string{
		"secret": secret,
		"baro.yml": `
listen: 192.0.2.1:1
max_message_bytes: 1KiB
log: {level: debug, format: json}
channels:
  - {pattern: open/*, access: {subscribe: anyone, history: anyone}}
  - {pattern: "**", access: {publish: users}}
auth: {keys: [{secret_file: secret}]}
anonymous: true
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out := must(t, "check", "--config", file); !strings.Contains(out, "is right") {
		t.Errorf("check: %s", out)
	}
	s := startServe(t, []string{"BARO_LISTEN=127.0.0.1:0", "BARO_MAX_MESSAGE_BYTES=2KiB"}, "--config", file)
	token := strings.TrimSpace(must(t, "token", "mint", "--key-file", filepath.Join(dir, "secret"), "--user", "kim"))
	post := func(path, data string) int {
		t.Helper()
		response, err := http.Post(s.url+path, "text/plain", strings.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response.StatusCode
	}
	if status, _ := get(t, s.url+"c/open/a"); status != http.StatusOK {
		t.Errorf("status %d for what anyone may", status)
	}
	if status := post("c/open/a", "x"); status != http.StatusUnauthorized {
		t.Errorf("status %d for what nobody in particular may not", status)
	}
	if status := post("c/a?access_token="+token, strings.Repeat("x", 2000)); status != http.StatusOK && status != http.StatusCreated {
		t.Errorf("status %d for what users may", status)
	}
	if strings.Contains(s.said, "--dev") {
		t.Errorf("without --dev the server says %q", s.said)
	}
	if code := s.stop(t, syscall.SIGTERM); code != exit.OK || !strings.Contains(s.log.String(), `"url":"/c/a?access_token=REDACTED"`) {
		t.Errorf("exit code %d, %s", code, s.log)
	}
	if strings.Contains(s.log.String(), token) {
		t.Errorf("the token is in the log: %s", s.log)
	}
}

// A stream that is open does not keep the server from stopping, and a client that does not read is cut: in the end, or
// when somebody asks twice.
func TestServeStops(t *testing.T) {
	stalled := func(t *testing.T, s *process) {
		t.Helper()
		address := strings.TrimSuffix(strings.TrimPrefix(s.url, "http://"), "/")
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		// A request that is never finished is one that the server waits for.
		if _, err := io.WriteString(c, "POST /c/demo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.Contains(line, "100") {
			t.Fatalf("%q, %v", line, err)
		}
	}
	t.Run("in time", func(t *testing.T) {
		s := serveCommand(t, nil, "--listen", "127.0.0.1:0", "--drain-timeout", "200ms")
		stalled(t, s)
		if code := s.stop(t, syscall.SIGTERM); code != exit.Failed || !strings.Contains(s.log.String(), "was cut") {
			t.Errorf("exit code %d, %s", code, s.log)
		}
	})
	t.Run("asked twice", func(t *testing.T) {
		s := serveCommand(t, nil, "--listen", "127.0.0.1:0", "--drain-timeout", "1h")
		stalled(t, s)
		began := time.Now()
		if err := s.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		// The second signal must come after the first was seen: until the listener is closed.
		address := strings.TrimSuffix(strings.TrimPrefix(s.url, "http://"), "/")
		for {
			c, err := (&net.Dialer{Timeout: time.Second}).DialContext(t.Context(), "tcp", address)
			if err != nil {
				break
			}
			c.Close()
			time.Sleep(5 * time.Millisecond)
		}
		if code := s.stop(t, syscall.SIGTERM); code != exit.Failed || !strings.Contains(s.log.String(), "stopped at once") {
			t.Errorf("exit code %d, %s", code, s.log)
		}
		if took := time.Since(began); took > time.Minute {
			t.Errorf("it took %v", took)
		}
	})
}

func TestMistakes(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	garbage := filepath.Join(t.TempDir(), "garbage.pem")
	if err := os.WriteFile(garbage, []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		args []string
		code int
		want string
	}{
		{[]string{"nonsense"}, exit.Usage, `there is no command "nonsense"`},
		{[]string{"serve", "nonsense"}, exit.Usage, "takes no arguments"},
		{[]string{"serve"}, exit.Usage, "nobody could use the server"},
		{[]string{"serve", "--config", "/nonexistent"}, exit.Usage, "no such file"},
		{[]string{"serve", "--config", garbage}, exit.Usage, "garbage.pem:1:1: it must have keys and values"},
		{[]string{"check"}, exit.Failed, "nobody could use the server"},
		{[]string{"check", "--config", garbage}, exit.Failed, "garbage.pem:1:1"},
		{[]string{"serve", "--nonsense"}, exit.Usage, "unknown flag"},
		{[]string{"serve", "--max-channels", "many"}, exit.Usage, "invalid argument"},
		{[]string{"serve", "--max-channels", "-1"}, exit.Usage, "max_channels must not be negative"},
		{[]string{"serve", "--tls-cert", "x"}, exit.Usage, "given together"},
		{[]string{"serve", "--tls-cert", "/nonexistent", "--tls-key", "/nonexistent"}, exit.Usage, "no such file"},
		{[]string{"serve", "--tls-cert", garbage, "--tls-key", garbage}, exit.Usage, "PEM"},
		{[]string{"serve", "--allow-origin", "*"}, exit.Usage, "every page on the web"},
		{[]string{"serve", "--allow-origin", "https://a.com/x"}, exit.Usage, "nothing after the host"},
		{[]string{"serve", "--log-level", "loud"}, exit.Usage, "--log-level"},
		{[]string{"serve", "--log-format", "xml"}, exit.Usage, "--log-format"},
		{[]string{"serve", "--dev", "--listen", l.Addr().String()}, exit.Failed, "something else does already; choose another"},
		{
			[]string{
				"serve", "--dev", "--listen", "127.0.0.1:0", "--admin-listen", "", "--no-http3", "--acme-domain", "a.test",
				"--acme-storage", t.TempDir(), "--acme-http-listen", l.Addr().String(),
			}, exit.Failed, "something else does already; choose another address with --acme-http-listen",
		},
		{[]string{"serve", "--dev", "--listen", "127.0.0.1:99999"}, exit.Usage, `listen "127.0.0.1:99999": it must be HOST:PORT`},
		{[]string{"serve", "--dev", "--listen", "192.0.2.1:0"}, exit.Failed, "no such address"},
	}
	for _, test := range tests {
		c := command(t, test.args...)
		out, _ := c.CombinedOutput()
		if code := c.ProcessState.ExitCode(); code != test.code || !strings.Contains(string(out), test.want) {
			t.Errorf("baro %s: exit code %d, %s; want %d, %q", strings.Join(test.args, " "), code, out, test.code, test.want)
		}
	}
	c := command(t, "serve")
	c.Env = append(c.Env, "BARO_HEARTBEAT=often")
	if out, _ := c.CombinedOutput(); c.ProcessState.ExitCode() != exit.Usage || !strings.Contains(string(out), `BARO_HEARTBEAT in the environment: "often": it must be a time with its unit`) {
		t.Errorf("a mistake in the environment: %s", out)
	}
}

func TestHelpAndVersion(t *testing.T) {
	var out, errs bytes.Buffer
	if code := run([]string{"version"}, &out, &errs); code != exit.OK || !regexp.MustCompile(`^baro \S+ go1\.\S+ \w+/\w+\n(commit [^\n]+\n)?$`).MatchString(out.String()) {
		t.Errorf("version: exit code %d, %q, %q", code, &out, &errs)
	}
	for _, args := range [][]string{{}, {"--help"}, {"help"}, {"serve", "--help"}, {"help", "serve"}} {
		out.Reset()
		if code := run(args, &out, &errs); code != exit.OK || !strings.Contains(out.String(), "Usage:") || errs.Len() > 0 {
			t.Errorf("%v: exit code %d, %q, %q", args, code, &out, &errs)
		}
	}
	if !strings.Contains(out.String(), "curl -d 'hello' http://localhost:8000/c/demo") {
		t.Error("the help of serve has no example")
	}
}

// RFC 8441 section 3: a server that takes WebSockets over HTTP/2 says so by SETTINGS_ENABLE_CONNECT_PROTOCOL (8) = 1.
func TestExtendedConnect(t *testing.T) {
	cert, key, _ := testkit.Certificate(t)
	s := serveCommand(t, nil, "--listen", "127.0.0.1:0", "--tls-cert", cert, "--tls-key", key)
	address := strings.TrimSuffix(strings.TrimPrefix(s.url, "https://"), "/")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	dialer := &tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}}
	c, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"); err != nil {
		t.Fatal(err)
	}
	head := make([]byte, 9) // of a frame: length (3), type, flags, stream (4)
	if _, err := io.ReadFull(c, head); err != nil || head[3] != 4 {
		t.Fatalf("the first frame is of type %d, %v; want SETTINGS", head[3], err)
	}
	settings := make([]byte, int(head[1])<<8|int(head[2]))
	if _, err := io.ReadFull(c, settings); err != nil {
		t.Fatal(err)
	}
	for ; len(settings) >= 6; settings = settings[6:] {
		if binary.BigEndian.Uint16(settings) == 8 {
			if v := binary.BigEndian.Uint32(settings[2:]); v != 1 {
				t.Errorf("SETTINGS_ENABLE_CONNECT_PROTOCOL is %d", v)
			}
			return
		}
	}
	t.Error("the server does not enable extended CONNECT")
}
