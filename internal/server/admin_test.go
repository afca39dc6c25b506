package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"baro.dev/channel"
)

// startAdmin runs a server with a second listener, and gives the root of that, without a slash.
func startAdmin(t *testing.T, config Config) (*Server, string) {
	t.Helper()
	config.AdminListen = "127.0.0.1:0"
	s := start(t, config)
	return s, strings.TrimSuffix(s.AdminURL(), "/")
}

func TestAdminPaths(t *testing.T) {
	t.Parallel()
	s, admin := startAdmin(t, Config{Pprof: true})
	for path, want := range map[string]string{
		"/":                              "/debug/pprof/",
		"/metrics":                       "baro_build_info{",
		"/livez":                         "ok\n",
		"/readyz":                        `{"ready":true,"reasons":[]}`,
		"/healthz":                       `{"ready":true,"reasons":[]}`,
		"/debug/pprof/":                  "goroutine",
		"/debug/pprof/heap?debug=1":      "heap profile",
		"/debug/pprof/goroutine?debug=1": "goroutine profile",
		"/debug/pprof/profile?seconds=1": "",
		"/api/v1/openapi.json":           `"openapi"`,
	} {
		if response, body := request(t, "GET", admin+path, ""); response.StatusCode != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: %d, %.200q", path, response.StatusCode, body)
		}
	}
	for path, status := range map[string]int{
		"/c/news": 404, "/ws": 404, "/socket.io/": 404, "/debug/pprof": 404, "/debug/vars": 404, "/debug/pprof/cmdline": 404, "/metricsx": 404,
	} {
		if response, body := request(t, "GET", admin+path, ""); response.StatusCode != status {
			t.Errorf("%s: %d, %.200q", path, response.StatusCode, body)
		}
	}
	if response, _ := request(t, "POST", admin+"/metrics", "x"); response.StatusCode != 405 {
		t.Errorf("POST /metrics: %d", response.StatusCode)
	}
	// The first listener has health, and nothing else of this.
	for path, status := range map[string]int{
		"/livez": 200, "/readyz": 200, "/healthz": 200, "/metrics": 404, "/debug/pprof/": 404, "/debug/pprof/heap": 404,
	} {
		if response, body := request(t, "GET", s.url(path), ""); response.StatusCode != status {
			t.Errorf("public %s: %d, %.200q", path, response.StatusCode, body)
		}
	}
}

// Nothing that a page can send reaches the listener, whatever name the page was loaded by.
func TestAdminFromPages(t *testing.T) {
	t.Parallel()
	s, admin := startAdmin(t, Config{Pprof: true, AllowOrigins: []string{"https://friend.example"}})
	port := admin[strings.LastIndex(admin, ":"):]
	for _, path := range []string{"/metrics", "/debug/pprof/heap", "/readyz", "/livez", "/", "/api/v1/openapi.json", "/nothing"} {
		for name, header := range map[string][]string{
			"a name that somebody rebinds": {"Host", "evil.example" + port},
			"a name that begins well":      {"Host", "localhost.evil.example" + port},
			"a name without a dot":         {"Host", "intranet" + port},
			"an address that is not ours":  {"Host", "10.0.0.1" + port},
			"an empty name":                {"Host", port},
			"a page of another origin":     {"Origin", "https://evil.example"},
			"a page that may use channels": {"Origin", "https://friend.example"},
			"a page of the first listener": {"Origin", strings.TrimSuffix(s.url(""), "/")},
			"a page without an origin":     {"Origin", "null"},
			"an image of another page":     {"Sec-Fetch-Site", "cross-site"},
			"a page on another port":       {"Sec-Fetch-Site", "same-site"},
		} {
			response, body := request(t, "GET", admin+path, "", header...)
			if response.StatusCode != 403 || strings.Contains(body, "baro_") {
				t.Errorf("%s, %s: %d, %.200q", path, name, response.StatusCode, body)
			}
		}
	}
	for name, header := range map[string][]string{
		"localhost":            {"Host", "localhost"},
		"a tunnel":             {"Host", "LOCALHOST:9"},
		"IPv6":                 {"Host", "[::1]" + port},
		"who types the URL":    {"Sec-Fetch-Site", "none"},
		"a page of its own":    {"Sec-Fetch-Site", "same-origin"},
		"another loopback one": {"Host", "127.0.0.2"},
	} {
		if response, body := request(t, "GET", admin+"/metrics", "", header...); response.StatusCode != 200 {
			t.Errorf("%s: %d, %.200q", name, response.StatusCode, body)
		}
	}
}

func TestAdminHosts(t *testing.T) {
	t.Parallel()
	a := &admin{hostname: "node1.example.com"}
	for host, want := range map[string]bool{
		"10.0.0.1:8001": true, "[fd00::1]:8001": true, "baro:8001": true, "node1.example.com:8001": true, "NODE1.example.com": true,
		"baro.default.svc.cluster.local": true, "evil.example.com": false, "node1.example.com.evil.com": false, "": false,
	} {
		if got := a.isOwn(host); got != want {
			t.Errorf("%q: %v", host, got)
		}
	}
}

// The second listener answers while the first one has no room.
func TestAdminBesideFull(t *testing.T) {
	t.Parallel()
	s, admin := startAdmin(t, Config{MaxConnections: 1})
	held, err := net.Dial("tcp", s.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	eventually(t, "the connection counts", func() bool { return s.connections.open.Load() >= 1 })
	if response, _ := request(t, "GET", s.url("/livez"), ""); response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("the first listener answers %d", response.StatusCode)
	}
	response, body := request(t, "GET", admin+"/metrics", "")
	if response.StatusCode != 200 || !strings.Contains(body, `baro_refused_total{reason="too_many_clients"} 1`) {
		t.Errorf("%d, %s", response.StatusCode, body)
	}
}

func TestNoPublicAPI(t *testing.T) {
	t.Parallel()
	s, admin := startAdmin(t, Config{Dev: true, NoPublicAPI: true})
	for _, path := range []string{"/api/v1/info", "/api/v1/openapi.json", "/api/"} {
		if response, body := request(t, "GET", s.url(path), ""); response.StatusCode != 404 || !strings.Contains(body, "--admin-listen") {
			t.Errorf("%s: %d, %s", path, response.StatusCode, body)
		}
	}
	if response, body := request(t, "GET", admin+"/api/v1/info", ""); response.StatusCode != 200 {
		t.Errorf("%d, %s", response.StatusCode, body)
	}
	if err := (Config{Dev: true, NoPublicAPI: true}).Check(); err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("an API that is nowhere: %v", err)
	}
}

// An address that is taken is missed only by who has asked for it, or needs it.
func TestAdminTaken(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, optional := range []bool{true, false} {
		for _, needed := range []bool{true, false} {
			var log bytes.Buffer
			s, err := New(Config{
				Listen: "127.0.0.1:0", Dev: true, Log: slog.New(slog.NewTextHandler(&log, nil)),
				AdminListen: taken.Addr().String(), AdminOptional: optional, NoPublicAPI: needed,
			})
			if err != nil {
				t.Fatal(err)
			}
			err = s.Listen()
			if want := optional && !needed; (err == nil) != want {
				t.Errorf("optional %v, needed %v: %v", optional, needed, err)
			} else if want && (s.AdminURL() != "" || !strings.Contains(log.String(), "--admin-listen")) {
				t.Errorf("%q, %s", s.AdminURL(), log.String())
			}
			s.Close()
		}
	}
}

// readyState is what /readyz answers.
func readyState(t *testing.T, root string) (status int, state readiness) {
	t.Helper()
	response, body := request(t, "GET", root+"/readyz", "")
	if err := json.Unmarshal([]byte(body), &state); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return response.StatusCode, state
}

// A server that drains is alive, and not ready, until its last client has left; then nobody answers.
func TestReadyDraining(t *testing.T) {
	t.Parallel()
	s, admin := startAdmin(t, Config{})
	if status, state := readyState(t, admin); status != 200 || !state.Ready {
		t.Errorf("before: %d, %+v", status, state)
	}
	held, err := net.Dial("tcp", s.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	// A body that does not come keeps its request from being answered.
	fmt.Fprint(held, "POST /c/news HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345")
	eventually(t, "the request has begun", func() bool { return s.connections.open.Load() == 1 })
	stopped := make(chan error, 1)
	go func() { stopped <- s.Shutdown(t.Context()) }()
	eventually(t, "the server drains", func() bool { return s.draining.Err() != nil && !s.serving.Load() })
	status, state := readyState(t, admin)
	if status != 503 || state.Ready || !slices.Contains(state.Reasons, "draining") {
		t.Errorf("while it drains: %d, %+v", status, state)
	}
	if response, _ := request(t, "GET", admin+"/livez", ""); response.StatusCode != 200 {
		t.Errorf("/livez: %d", response.StatusCode)
	}
	if _, body := request(t, "GET", admin+"/metrics", ""); !strings.Contains(body, "\nbaro_ready 0\n") {
		t.Errorf("metrics have %s", body)
	}
	held.Close()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if c, err := net.Dial("tcp", strings.TrimPrefix(admin, "http://")); err == nil {
		c.Close()
		t.Error("the second listener is there when everything has ended")
	}
}

// failingStore saves nothing while it fails.
type failingStore struct {
	channel.Store
	err atomic.Pointer[error]
}

func (*failingStore) Load(string, channel.Keep) (channel.Saved, error) { return channel.Saved{}, nil }

func (f *failingStore) Save(_ string, _ *channel.Message, _ channel.Keep, done func(error)) {
	go func() {
		if err := f.err.Load(); err != nil {
			done(*err)
			return
		}
		done(nil)
	}()
}

func (*failingStore) Close() error { return nil }

// A server whose store fails is not ready until something is saved, or it is worth another try.
func TestReadyStore(t *testing.T) {
	t.Parallel()
	store := new(failingStore)
	s, admin := startAdmin(t, Config{Channels: channel.Options{Store: store}})
	full := errors.New("no space left on device")
	try := func(err error, ready bool) {
		t.Helper()
		store.err.Store(nil)
		if err != nil {
			store.err.Store(&err)
		}
		_, published := s.Hub().Publish("news", channel.Message{Data: []byte("x")})
		if (published == nil) != (err == nil) {
			t.Fatalf("publishing: %v", published)
		}
		status, state := readyState(t, admin)
		if (status == 200) != ready || !ready && !slices.Equal(state.Reasons, []string{"store_failed"}) {
			t.Errorf("after %v: %d, %+v", err, status, state)
		}
	}
	try(nil, true)
	try(full, false)
	try(full, false)
	s.store.failed.Add(-int64(storeDoubt))
	if status, _ := readyState(t, admin); status != 200 {
		t.Errorf("a failure of long ago: %d", status)
	}
	try(full, false)
	try(&channel.InvalidError{What: "message", Reason: "it is odd"}, false) // says nothing of the store
	try(nil, true)
	try(&channel.InvalidError{What: "message", Reason: "it is odd"}, true)
	if _, body := request(t, "GET", admin+"/metrics", ""); !strings.Contains(body, `baro_store_seconds_count{operation="save"} 7`) {
		t.Errorf("metrics have %s", body)
	}
}
