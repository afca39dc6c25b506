//go:build unix

package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"baro.dev/internal/cli/exit"
	"baro.dev/internal/testkit"
	"baro.dev/ws"
)

// How commands end that are told to: what has not done all that it was to ends by the code of the signal, and what goes on until it is told ends well by TERM.
func TestSignals(t *testing.T) {
	opened := make(chan bool, 100)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := ws.Accept(w, r, &ws.AcceptOptions{Subprotocols: []string{"baro.v1.json"}})
		if err != nil {
			return
		}
		defer c.CloseNow()
		if opened <- true; r.URL.Path == "/hello" {
			_ = c.Write(r.Context(), ws.Text, []byte("hello"))
		}
		for range c.Messages(r.Context()) { // and nothing is answered
		}
	}))
	t.Cleanup(s.Close)
	url := "ws" + strings.TrimPrefix(s.URL, "http")
	baro := serveCommand(t, nil, "--listen", "127.0.0.1:0")
	recording := filepath.Join(t.TempDir(), "s.ndjson")
	for _, c := range []struct {
		args []string
		says string // when it is at work; "": the server knows
		term int
	}{
		{[]string{"connect", url}, "", exit.Terminated},
		{[]string{"connect", url, "-m", "a", "--expect", "never"}, "", exit.Terminated},
		{[]string{"bench", url, "-q", "-c", "1", "-r", "1", "-d", "1h"}, "", exit.Terminated},
		{[]string{"record", url + "/hello", "-f", "-o", recording}, "hello", exit.Terminated},
		{[]string{"subscribe", baro.url, "news"}, "connected", exit.OK},
		{[]string{"subscribe", baro.url, "news", "--count", "1"}, "connected", exit.Terminated},
		{[]string{"listen", "127.0.0.1:0"}, "Listening", exit.OK},
		{[]string{"bridge", "-l", "tcp://127.0.0.1:0", "-t", url}, "listening", exit.OK},
	} {
		for sig, want := range map[os.Signal]int{os.Interrupt: exit.Interrupted, syscall.SIGTERM: c.term} {
			cmd := command(t, c.args...)
			in, err := cmd.StdinPipe() // which does not end
			if err != nil {
				t.Fatal(err)
			}
			notes, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			cmd.Stderr = cmd.Stdout
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if c.says == "" {
				testkit.Within(t, "the connection of "+c.args[0], opened)
			} else {
				var said []byte
				for block := make([]byte, 512); !strings.Contains(string(said), c.says); {
					n, err := notes.Read(block)
					if said = append(said, block[:n]...); err != nil {
						t.Fatalf("%q: %s, %v", c.args, said, err)
					}
				}
			}
			if err := cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			in.Close()
			if got := cmd.ProcessState.ExitCode(); got != want {
				t.Errorf("%q after %v: %d, want %d", c.args, sig, got, want)
			}
		}
	}
	text, err := os.ReadFile(recording)
	if err != nil || !strings.Contains(string(text), `"dir":"out","type":"close"`) {
		t.Errorf("what is recorded has no end: %s, %v", text, err)
	}
}
