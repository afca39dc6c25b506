//go:build unix

package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"baro.dev/internal/testkit/pane"
	"baro.dev/ws"
)

// On a terminal connect is a conversation, unless something is asked for that is for scripts.
func TestConnectOnATerminal(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := ws.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		for m, err := range c.Messages(r.Context()) {
			if err != nil || c.Write(r.Context(), m.Type, append([]byte("echo \x1b[2J"), m.Data...)) != nil {
				return
			}
		}
	}))
	t.Cleanup(server.Close)
	url := "ws" + server.URL[len("http"):]
	environment := []string{"BARO_TEST_AS_COMMAND=1", "BARO_COLOR=never"}
	p := pane.New(t, 100, 30, environment, os.Args[0], "connect", url, "--history", filepath.Join(t.TempDir(), "typed"))
	p.Shows("* Connected (ws, HTTP/1.1).")
	p.Type("hello")
	p.Press("Enter")
	p.Shows(`> hello`, `< echo \x1b[2Jhello`)
	p.Press("C-c")
	p.Shows("[ended 130, restored]")

	p = pane.New(t, 100, 30, environment, os.Args[0], "connect", url, "-m", "one", "--expect", "one")
	p.Shows(`echo \x1b[2Jone`, "[ended 0, restored]")
}
