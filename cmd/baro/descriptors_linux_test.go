package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"baro.dev/internal/cli/exit"
	"baro.dev/internal/testkit"
)

// limited runs baro serve after a command of the shell.
func limited(t *testing.T, shell string, args ...string) *process {
	t.Helper()
	c := exec.CommandContext(t.Context(), "sh", append([]string{"-c", shell + ` && exec "$0" "$@"`, os.Args[0], "serve", "--dev", "--log-format", "json"}, args...)...)
	c.Env = append(os.Environ(), "BARO_TEST_AS_COMMAND=1")
	return startProcess(t, c, nil)
}

// listening is what the log has of what there is to use. The process is stopped for it.
func (s *process) listening(t *testing.T) (line struct {
	MaxConnections int    `json:"max_connections"`
	Descriptors    int    `json:"descriptors"`
	MemoryLimit    string `json:"memory_limit"`
}) {
	t.Helper()
	s.stop(t, syscall.SIGTERM)
	for text := range strings.Lines(s.log.String()) {
		if strings.Contains(text, `"msg":"listening"`) {
			if err := json.Unmarshal([]byte(text), &line); err != nil {
				t.Fatal(err)
			}
			return line
		}
	}
	t.Fatalf("the log has no line: %s", s.log)
	return line
}

// The soft limit of descriptors is raised to the hard one, and the log has it, and what memory there is.
func TestResources(t *testing.T) {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		t.Fatal(err)
	}
	said := limited(t, "ulimit -S -n 64", "--listen", "127.0.0.1:0", "--admin-listen", "").listening(t)
	if hard := int(min(l.Max, 1<<31)); said.Descriptors < hard-1 && said.Descriptors != 0 || // the runtime leaves one
		said.MaxConnections != min(65_536, said.Descriptors-128) && said.Descriptors != 0 {
		t.Errorf("of %d: %+v", l.Max, said)
	}
	said = limited(t, "ulimit -n 300 && export GOMEMLIMIT=77MiB", "--listen", "127.0.0.1:0", "--admin-listen", "", "--max-connections", "1000").listening(t)
	if said.Descriptors != 300 || said.MaxConnections != 225 || said.MemoryLimit != "80740352" {
		t.Errorf("of 300: %+v", said)
	}
}

// cpu is how much of a processor the process has used, in hundredths of a second.
func (s *process) cpu(t *testing.T) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:])) // proc(5)
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// When there are no descriptors for more clients, those who come are told so, or cut; the second listener answers, who is there goes on, and
// when there is room again others come in. When there are none at all, nothing dies or spins.
func TestDescriptorsRunOut(t *testing.T) {
	admin := testkit.FreeAddress(t)
	s := limited(t, "ulimit -n 200", "--listen", "127.0.0.1:0", "--admin-listen", admin)
	address := strings.TrimSuffix(strings.TrimPrefix(s.url, "http://"), "/")
	address = strings.Replace(address, "localhost", "127.0.0.1", 1)
	kept := &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 1}} // one connection
	publish := func(text string) {
		t.Helper()
		response, err := kept.Post("http://"+admin+"/api/v1/publish", "application/json", strings.NewReader(`{"channel":"a","data":"`+text+`"}`))
		if err != nil || response.StatusCode != http.StatusOK {
			t.Fatal(response, err)
		}
		_, _ = bufio.NewReader(response.Body).ReadString('\n')
		response.Body.Close()
	}
	publish("first")

	type reader struct {
		net.Conn
		lines *bufio.Reader
	}
	var in []reader
	told, cut := 0, 0
	join := func() bool {
		c, err := net.DialTimeout("tcp", address, 30*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		fmt.Fprint(c, "GET /c/a?after=now HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")
		lines := bufio.NewReader(c)
		status, err := lines.ReadString('\n')
		switch {
		case err != nil:
			cut++
		case strings.Contains(status, " 503 "):
			told++
		case strings.Contains(status, " 200 "):
			in = append(in, reader{c, lines})
			t.Cleanup(func() { c.Close() })
			return true
		default:
			t.Fatal(status)
		}
		c.Close()
		return false
	}
	for range 300 {
		join()
	}
	if len(in) < 50 || told == 0 || told+cut+len(in) != 300 {
		t.Errorf("%d are in, %d were told, %d cut", len(in), told, cut)
	}
	gets := func(text string) {
		t.Helper()
		for i, r := range in {
			for {
				line, err := r.lines.ReadString('\n')
				if err != nil {
					t.Fatalf("reader %d of %d: %v", i, len(in), err)
				}
				if line == "data: "+text+"\r\n" || line == "data: "+text+"\n" {
					break
				}
			}
		}
	}
	publish("while it is full")
	gets("while it is full")

	// The reserve is used up, by whom nobody expects it of.
	var idle []net.Conn
	for range 150 {
		c, err := net.DialTimeout("tcp", admin, 30*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		idle = append(idle, c)
	}
	publish("with none left") // over its connection
	gets("with none left")
	before := s.cpu(t)
	time.Sleep(time.Second) // for which a loop without a pause would take a processor
	if used := s.cpu(t) - before; used > 600*time.Millisecond {
		t.Errorf("it used %v of a processor in a second", used)
	}
	for _, c := range idle {
		c.Close()
	}
	publish("after that")
	gets("after that")
	for _, r := range in[:len(in)/2] {
		r.Close()
	}
	in = in[len(in)/2:]
	deadline := time.Now().Add(20 * time.Second)
	for !join() {
		if time.Now().After(deadline) {
			t.Fatal("nobody comes in though there is room")
		}
		time.Sleep(10 * time.Millisecond)
	}
	publish("at last")
	gets("at last")
	if code := s.stop(t, syscall.SIGTERM); code != exit.OK {
		t.Errorf("exit code %d: %s", code, s.log)
	}
}
