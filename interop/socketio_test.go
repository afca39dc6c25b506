package interop

import (
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"baro.dev/interop/roles"
)

// A socketIO is somebody's server of Engine.IO and Socket.IO.
type socketIO struct {
	name string
	ours bool
	// start makes it play one of the roles of peers/socketio/README.md until the end of the test, and returns its URL.
	start func(t *testing.T, role string) string
}

// socketIOs begins with the official one, which proves that it is not the fault of these tests when something fails with ours.
func socketIOs() []socketIO {
	return []socketIO{
		{name: "node", start: func(t *testing.T, role string) string {
			t.Helper()
			return await(t, "server", node(t, "socketio/server.mjs", map[string]string{"role": role}), "listening").URL
		}},
		{name: "baro", ours: true, start: listenBaroRole},
	}
}

func listenBaroRole(t *testing.T, role string) string {
	t.Helper()
	handler, end, err := roles.New(role)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(func() {
		end()
		server.Close()
	})
	return server.URL
}

// TestConformance checks what the published test suites of the protocols check, which are cases of the same numbers.
func TestConformance(t *testing.T) {
	suites := []struct {
		name, path string
		cases      int
	}{
		{"engineio4", "/engine.io/", 25},
		{"engineio3", "/engine.io/", 24},
		{"socketio5", "/socket.io/", 32},
	}
	for _, server := range socketIOs() {
		for _, suite := range suites {
			t.Run(server.name+"/"+suite.name, func(t *testing.T) {
				t.Parallel()
				url := server.start(t, suite.name) + suite.path
				passed := checks(t, node(t, "socketio/conformance.mjs", map[string]any{
					"suite":   suite.name,
					"url":     url,
					"lenient": !server.ours,
				}))
				t.Logf("%d of %d cases pass", passed, suite.cases)
				if passed != suite.cases {
					t.Errorf("%d of %d cases pass", passed, suite.cases)
				}
			})
		}
	}
}

var transports = [][]string{{"polling"}, {"websocket"}, {"polling", "websocket"}}

// TestSocketIOClients has the official clients of all versions, over each transport, use a server.
func TestSocketIOClients(t *testing.T) {
	for _, server := range socketIOs() {
		for _, version := range []int{4, 3, 2} {
			for _, transports := range transports {
				t.Run(strings.Join(append([]string{server.name, "v" + string(rune('0'+version))}, strings.Join(transports, " to ")), "/"), func(t *testing.T) {
					t.Parallel()
					checks(t, node(t, "socketio/clients.mjs", map[string]any{
						"version":    version,
						"transports": transports,
						"url":        server.start(t, "clients"),
						"lenient":    !server.ours,
					}))
				})
			}
		}
	}
}

// TestSocketIOPython has a client that somebody else has written, too.
func TestSocketIOPython(t *testing.T) {
	const interpreter = "/usr/bin/python3" // the one that Debian's packages are for
	if exec.Command(interpreter, "-c", "import socketio, requests, websocket").Run() != nil {
		lacks(t, "socketio, requests and websocket for "+interpreter)
	}
	for _, server := range socketIOs() {
		for _, transports := range transports {
			t.Run(server.name+"/"+strings.Join(transports, " to "), func(t *testing.T) {
				t.Parallel()
				checks(t, startPeer(t, map[string]any{
					"transports": transports,
					"url":        server.start(t, "clients"),
				}, interpreter, "peers/socketio/client.py"))
			})
		}
	}
}

// checks makes a test of each check that a program of peers/socketio carries out, and returns how many have passed.
func checks(t *testing.T, p *peer) (passed int) {
	t.Helper()
	var names []string
	for {
		select {
		case ev, ok := <-p.seen:
			if !ok {
				t.Fatalf("the checks broke off after %q", names)
			}
			switch ev.Event {
			case "check":
				if slices.Contains(names, ev.Name) {
					t.Errorf("two checks are called %q", ev.Name)
				}
				names = append(names, ev.Name)
				if t.Run(ev.Name, func(t *testing.T) {
					if ev.Message != "" {
						t.Error(ev.Message)
					}
				}) {
					passed++
				}
			case "done":
				return passed
			default:
				t.Errorf("%s: %s", ev.Event, ev.Message)
			}
		case <-time.After(patience):
			t.Fatalf("nothing within %v after %q", patience, names)
		}
	}
}
