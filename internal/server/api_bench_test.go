package server

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"baro.dev/ws"
)

// BenchmarkCall calls one of 10,000 devices that are connected over /ws, one call after another and with many callers at
// a time, and reports how long it takes from the request to the answer.
func BenchmarkCall(b *testing.B) {
	const devices = 10_000
	s, err := New(Config{
		Listen: "127.0.0.1:0", Dev: true, Log: slog.New(slog.DiscardHandler), Heartbeat: time.Hour, HeaderTimeout: time.Minute, WriteTimeout: time.Minute,
	})
	if err != nil {
		b.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		b.Fatal(err)
	}
	go func() { _ = s.Serve() }()
	b.Cleanup(s.Close)
	connectMany(b, s, devices)

	var all apiConnections
	response, err := http.Get(s.url(apiRoot + "connections?limit=10000"))
	if err == nil {
		err = json.NewDecoder(response.Body).Decode(&all)
		response.Body.Close()
	}
	if err != nil || len(all.Connections) != devices {
		b.Fatal(len(all.Connections), err)
	}
	ids := make([]string, devices)
	for i, c := range all.Connections {
		ids[i] = c.Client
	}
	for _, load := range []struct{ callers, rate int }{{1, 0}, {50, 0}, {100, 0}, {100, 1000}} { // rate: calls a second; 0: as many as can be
		callers := load.callers
		b.Run(fmt.Sprintf("callers=%d/rate=%d", callers, load.rate), func(b *testing.B) {
			transport := &http.Transport{MaxIdleConnsPerHost: callers}
			defer transport.CloseIdleConnections()
			var next atomic.Int64
			var all sync.WaitGroup
			took := make([]time.Duration, b.N)
			b.ResetTimer()
			start := time.Now()
			for range callers {
				all.Go(func() {
					for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
						began := time.Now()
						if load.rate > 0 { // a call that begins late has taken that long, too
							began = start.Add(time.Duration(i) * time.Second / time.Duration(load.rate))
							time.Sleep(time.Until(began))
						}
						if err := openDoor(transport, s, ids[rand.N(len(ids))]); err != nil {
							b.Error(err)
							return
						}
						took[i-1] = time.Since(began)
					}
				})
			}
			all.Wait()
			slices.Sort(took)
			for _, percent := range []int{50, 99} {
				b.ReportMetric(float64(took[(len(took)-1)*percent/100].Microseconds()), fmt.Sprintf("p%d-µs", percent))
			}
		})
	}
}

// openDoor calls a device, and waits for its answer.
func openDoor(transport *http.Transport, s *Server, client string) error {
	r, err := http.NewRequest(http.MethodPost, s.url(apiRoot+"call"), strings.NewReader(`{"client":"`+client+`","method":"open","data":{"door":1}}`))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", typeJSON)
	response, err := transport.RoundTrip(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != 200 || !bytes.Contains(body, []byte(`"data":{"opened":true}`)) {
		return fmt.Errorf("%d, %s, %w", response.StatusCode, body, err)
	}
	return nil
}

// connectMany has another process connect devices, since one may have too few descriptors for both ends.
func connectMany(b *testing.B, s *Server, n int) {
	b.Helper()
	executable, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	c := exec.CommandContext(b.Context(), executable, "-test.run=^TestManyDevices$")
	c.Env = append(os.Environ(), "BARO_DEVICES_OF="+s.url("/ws"), fmt.Sprintf("BARO_DEVICES=%d", n))
	c.Stderr = os.Stderr
	in, err := c.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { in.Close(); _ = c.Wait() })
	if line, _ := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		b.Fatalf("the devices say %q", line)
	}
}

// TestManyDevices is the other process of BenchmarkCall: devices that answer whatever they are asked, until it is told to end.
func TestManyDevices(t *testing.T) {
	url := os.Getenv("BARO_DEVICES_OF")
	if url == "" {
		t.Skip("a part of BenchmarkCall")
	}
	n, err := strconv.Atoi(os.Getenv("BARO_DEVICES"))
	if err != nil {
		t.Fatal(err)
	}
	var dialing sync.WaitGroup
	room := make(chan struct{}, 32)
	for range n {
		room <- struct{}{}
		dialing.Go(func() {
			defer func() { <-room }()
			c, _, err := ws.Dial(t.Context(), url, &ws.DialOptions{Limits: ws.Limits{HandshakeTimeout: time.Minute}})
			if err != nil {
				t.Error(err)
				return
			}
			go answerCalls(c) // until the process ends
		})
	}
	dialing.Wait()
	if !t.Failed() {
		fmt.Println("ready")
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func answerCalls(c *ws.Conn) {
	ctx := context.Background()
	for m, err := range c.Messages(ctx) {
		if err != nil {
			return
		}
		var push struct {
			Call *struct{ ID string }
		}
		if json.Unmarshal(m.Data, &push) == nil && push.Call != nil {
			if c.Write(ctx, ws.Text, []byte(`{"answer":{"call":"`+push.Call.ID+`","data":{"opened":true}}}`)) != nil {
				return
			}
		}
	}
}
