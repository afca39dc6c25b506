//go:build linux

package peers

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"baro.dev/bench/internal/load"
)

// Program is a server for channels, which is a program of its own and is used as it is.
type Program struct {
	// Find finds the program, and builds it if it is this project's.
	Find func() (string, error)
	// Command starts it, to listen on a port of 127.0.0.1 with everybody let in, joined with others by a broker if that is not "".
	Command func(program string, port int, broker string) *exec.Cmd
	Door    load.Door
}

// The channel that everything happens in.
const channelName = "bench"

// baroServe is this project's stand-alone server.
func baroServe(d load.Door) *Program {
	return &Program{Find: buildBaro, Door: d, Command: func(program string, port int, broker string) *exec.Cmd {
		c := exec.Command(program, "serve", "--dev", "--log-level", "warn", "--listen", "127.0.0.1:"+strconv.Itoa(port))
		if kind, _, ok := strings.Cut(broker, ":"); ok {
			c.Args = append(c.Args, "--"+kind, broker, "--admin-listen", "127.0.0.1:0")
		}
		return c
	}}
}

func buildBaro() (string, error) {
	dir, err := directory("bin")
	if err != nil {
		return "", err
	}
	program := filepath.Join(dir, "baro")
	c := exec.Command("go", "build", "-o", program, "./cmd/baro")
	c.Dir, c.Stderr = filepath.Join(dir, "..", ".."), os.Stderr
	if err := c.Run(); err != nil {
		return "", fmt.Errorf("go build ./cmd/baro: %w", err)
	}
	return program, nil
}

// baroPost publishes by POST /c/NAME, which curl does.
var baroPost = load.Publish{
	Path: "/c/" + channelName, Header: "Content-Type: text/plain\r\n",
	Body: func(payload string) string { return payload },
	Done: `"offset":`,
}

// baroAPI publishes by the API for backends.
var baroAPI = load.Publish{
	Path: "/api/v1/publish", Header: "Content-Type: application/json\r\n",
	Body: func(payload string) string {
		return fmt.Sprintf(`{"channel":%q,"data":%q}`, channelName, payload)
	},
	BatchPath: "/api/v1/batch",
	Batch: func(payload string, count int) string {
		one := fmt.Sprintf(`{"channel":%q,"data":%q}`, channelName, payload)
		return `{"messages":[` + strings.Repeat(one+",", count-1) + one + `]}`
	},
	Done: `"offset":`, BatchDone: `"offset":`,
}

// Ways to subscribe to channels of this project's server.
var (
	baroPlain = &load.Subscribe{Path: "/c/" + channelName}
	baroJSON  = &load.Subscribe{Path: "/c/" + channelName, Protocol: "baro.v1.json"}
	baroSSE   = &load.Subscribe{Stream: true, Path: "/c/" + channelName}
	baroWS    = &load.Subscribe{Path: "/ws", Steps: []load.Step{
		{Hear: `{"connected":`}, {Say: `{"id":1,"subscribe":{"channel":"` + channelName + `"}}`, Hear: `{"id":1,"ok":`},
	}}
	baroSIO = &load.Subscribe{Path: "/socket.io/?EIO=4&transport=websocket", Steps: []load.Step{
		{Hear: "0{"}, {Say: "40", Hear: "40{"}, {Say: `420["subscribe","` + channelName + `"]`, Hear: "430["},
	}}
)

// centrifugo is Centrifugo with its memory engine, its JSON protocol and its defaults, but for what lets anonymous clients in, and
// for an API key. With history it keeps messages, and positions of subscribers, as this project's server always does.
func centrifugo(history bool, s *load.Subscribe) *Program {
	return &Program{Find: findCentrifugo, Command: func(program string, port int, _ string) *exec.Cmd {
		c := exec.Command(program, "--http_server.address", "127.0.0.1", "--http_server.port", strconv.Itoa(port))
		c.Dir = os.TempDir() // where it finds no configuration
		c.Env = append(os.Environ(),
			"CENTRIFUGO_HTTP_API_KEY="+apiKey, "CENTRIFUGO_LOG_LEVEL=error", "CENTRIFUGO_USAGE_STATS_DISABLED=true",
			"CENTRIFUGO_UNI_SSE_ENABLED=true", "CENTRIFUGO_CLIENT_ALLOW_ANONYMOUS_CONNECT_WITHOUT_TOKEN=true",
			"CENTRIFUGO_CHANNEL_WITHOUT_NAMESPACE_ALLOW_SUBSCRIBE_FOR_ANONYMOUS=true",
			"CENTRIFUGO_CHANNEL_WITHOUT_NAMESPACE_ALLOW_SUBSCRIBE_FOR_CLIENT=true",
		)
		if history {
			c.Env = append(c.Env, "CENTRIFUGO_CHANNEL_WITHOUT_NAMESPACE_HISTORY_SIZE=1000",
				"CENTRIFUGO_CHANNEL_WITHOUT_NAMESPACE_HISTORY_TTL=300s", "CENTRIFUGO_CHANNEL_WITHOUT_NAMESPACE_FORCE_RECOVERY=true")
		}
		return c
	}, Door: load.Door{Subscribe: s, Publish: centrifugoAPI}}
}

const (
	apiKey           = "bench"
	centrifugoModule = "centrifugo"
)

// findCentrifugo finds the program where programs are, or in this module's directory bin.
func findCentrifugo() (string, error) {
	if dir, err := directory("bin"); err == nil {
		if program, err := exec.LookPath(filepath.Join(dir, "centrifugo")); err == nil {
			return program, nil
		}
	}
	program, err := exec.LookPath("centrifugo")
	if err != nil {
		return "", fmt.Errorf("centrifugo is not there: it is a program of its own, to be put into the PATH or into bench/bin (centrifugal.dev)")
	}
	return program, nil
}

var centrifugoAPI = load.Publish{
	Path: "/api/publish", Header: "Content-Type: application/json\r\nX-API-Key: " + apiKey + "\r\n",
	Body: func(payload string) string {
		return fmt.Sprintf(`{"channel":%q,"data":%q}`, channelName, payload)
	},
	BatchPath: "/api/batch",
	Batch: func(payload string, count int) string {
		one := fmt.Sprintf(`{"publish":{"channel":%q,"data":%q}}`, channelName, payload)
		return `{"commands":[` + strings.Repeat(one+",", count-1) + one + `]}`
	},
	Done: `{"result":{`, BatchDone: `{"publish":{`,
}

// Ways to subscribe to Centrifugo.
var (
	centrifugoSocket = &load.Subscribe{Path: "/connection/websocket", Steps: []load.Step{
		{Say: `{"id":1,"connect":{}}`, Hear: `{"id":1,"connect":`},
		{Say: `{"id":2,"subscribe":{"channel":"` + channelName + `"}}`, Hear: `{"id":2,"subscribe":`},
	}}
	centrifugoSSE = &load.Subscribe{Stream: true,
		Path: "/connection/uni_sse?cf_connect=" + url.QueryEscape(`{"subs":{"`+channelName+`":{}}}`)}
)

func centrifugoVersion() string {
	program, err := findCentrifugo()
	if err != nil {
		return ""
	}
	out, err := exec.Command(program, "version").Output()
	_, version, found := strings.Cut(string(out), "Centrifugo ") // Centrifugo v6.9.1 (Go version: go1.26)
	if err != nil || !found {
		return ""
	}
	version, _, _ = strings.Cut(version, " ")
	return strings.TrimSpace(version)
}
