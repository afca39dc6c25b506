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
	"testing"
	"time"

	"baro.dev/ws"
)

// BenchmarkCall calls one of 10,000 devices that are connected over /ws, one call after another, and reports how long it takes
// from the request to the answer.
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
	took := make([]time.Duration, 0, 1<<16)
	for b.Loop() {
		client := all.Connections[rand.N(devices)].Client
		began := time.Now()
		response, err := http.Post(s.url(apiRoot+"call"), typeJSON, strings.NewReader(`{"client":"`+client+`","method":"open","data":{"door":1}}`))
		if err != nil {
			b.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		took = append(took, time.Since(began))
		if err != nil || response.StatusCode != 200 || !bytes.Contains(body, []byte(`"data":{"opened":true}`)) {
			b.Fatalf("%d, %s, %v", response.StatusCode, body, err)
		}
	}
	slices.Sort(took)
	for _, percent := range []int{50, 99} {
		b.ReportMetric(float64(took[len(took)*percent/100].Microseconds()), fmt.Sprintf("p%d-µs", percent))
	}
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
