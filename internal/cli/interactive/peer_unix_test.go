//go:build unix

package interactive_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"baro.dev/internal/cli/connection"
	"baro.dev/internal/cli/exit"
	"baro.dev/internal/cli/interactive"
	"baro.dev/internal/cli/target"
	"baro.dev/internal/cli/terminal"
	"baro.dev/internal/testkit/pane"
	"baro.dev/ws"
)

// connectTo has the test's own program be the one on the terminal.
const connectTo = "BARO_TEST_CONNECT"

func TestMain(m *testing.M) {
	url := os.Getenv(connectTo)
	if url == "" {
		os.Exit(m.Run())
	}
	_ = os.WriteFile(os.Getenv("HOME")+"/pid", []byte(strconv.Itoa(os.Getpid())), 0o600)
	to, err := new(target.Options).Target(url)
	if err == nil {
		var colors terminal.When
		ctx, cancel := context.WithCancelCause(context.Background())
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
		go func() {
			if <-signals == syscall.SIGTERM {
				cancel(errors.New("terminated"))
			}
			cancel(nil)
		}()
		err = interactive.Run(ctx, interactive.Options{
			In: os.Stdin, Out: os.Stdout, Colors: colors.Colors(os.Stdout), History: os.Getenv("HOME") + "/history",
			Connection: &connection.Options{Target: to, Protocol: connection.Protocol(cmp.Or(os.Getenv("PROTOCOL"), "ws")), Reconnect: os.Getenv("RECONNECT") != "", Delay: time.Millisecond},
			Dial:       dialFragile,
		})
	}
	if err != nil {
		fmt.Println("error:", err)
	}
	os.Exit(exit.Code(err))
}

// fragile is a connection that panics when told to.
type fragile struct{ connection.Connection }

func dialFragile(ctx context.Context, o *connection.Options) (connection.Connection, error) {
	c, err := connection.Dial(ctx, o)
	return fragile{c}, err
}

func (f fragile) Receive(ctx context.Context) (connection.Message, error) {
	m, err := f.Connection.Receive(ctx)
	if string(m.Data) == "panic" {
		panic("as told")
	}
	return m, err
}

// A peer is a server for one connection at a time.
type peer struct {
	url   string
	conns chan *ws.Conn
	// authorization is the header of the last connection, a string.
	authorization atomic.Value
}

func newPeer(t *testing.T) *peer {
	p := &peer{conns: make(chan *ws.Conn)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.authorization.Store(r.Header.Get("Authorization"))
		c, err := ws.Accept(w, r, nil)
		if err != nil {
			return
		}
		select {
		case p.conns <- c:
		case <-t.Context().Done():
			c.CloseNow()
		}
	}))
	t.Cleanup(server.Close)
	p.url = "ws" + strings.TrimPrefix(server.URL, "http")
	return p
}

// connect runs the program on a pane.
func connect(t *testing.T, url string, columns, rows int, environment ...string) *pane.Pane {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return pane.New(t, columns, rows, append(environment, connectTo+"="+url), program)
}

// open runs the program on a pane, and gives it and its connection.
func (p *peer) open(t *testing.T, columns, rows int, environment ...string) (*pane.Pane, *ws.Conn) {
	t.Helper()
	on := connect(t, p.url, columns, rows, environment...)
	c := <-p.conns
	t.Cleanup(func() { c.CloseNow() })
	on.Shows("Connected")
	return on, c
}

func say(t *testing.T, c *ws.Conn, text string) {
	t.Helper()
	if err := c.Write(t.Context(), ws.Text, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

func hear(t *testing.T, c *ws.Conn, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), pane.Patience)
	defer cancel()
	m, err := c.Read(ctx)
	if err != nil || string(m.Data) != want {
		t.Fatalf("%q, %v; want %q", m.Data, err, want)
	}
}

func hearClose(t *testing.T, c *ws.Conn, code ws.StatusCode, reason string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), pane.Patience)
	defer cancel()
	_, err := c.Read(ctx)
	if e, ok := errors.AsType[*ws.CloseError](err); !ok || e.Code != code || e.Reason != reason {
		t.Fatalf("%v; want %d %s", err, code, reason)
	}
}
