package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"baro.dev/channel"
)

// readEverywhere has a client of every transport read a channel until done, uncut. wait waits for all, and checks each.
func readEverywhere(ctx context.Context, t *testing.T, url func() string, newLedger func() *ledger) (wait func(acknowledged [][]channel.Position)) {
	var all sync.WaitGroup
	ledgers := map[string]*ledger{}
	for name, read := range transports {
		l := newLedger()
		ledgers[name] = l
		r := &reading{url: url, name: "all", accept: l.take, after: l.after}
		r.off.Store(true)
		all.Go(func() {
			if err := r.run(ctx, read); err != nil {
				t.Errorf("%s: after %s: %v", name, l.after(), err)
			}
		})
	}
	return func(acknowledged [][]channel.Position) {
		t.Helper()
		all.Wait()
		for name, l := range ledgers {
			if err := l.check(acknowledged); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func postText(t *testing.T, url, text string) (status int, header http.Header, body string) {
	t.Helper()
	response, err := http.Post(url, "text/plain", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, response.Header, string(answer)
}

// When the disk is full publishers are told, and readers go on; when there is room again, so do publishers.
func TestDiskFull(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	dir := t.TempDir()
	s := newRestarting(t, "--data", dir, "--log-level", "error")
	p := &publishing{reading: reading{url: s.url, name: "all"}, each: 50}
	p.off.Store(true)
	if err := p.publishHTTP(ctx); err != nil {
		t.Fatal(err)
	}
	const total = 150
	wait := readEverywhere(ctx, t, s.url, func() *ledger { return newLedger(1, total) })

	file, err := os.Stat(dir + "/channels.db")
	if err != nil {
		t.Fatal(err)
	}
	var was unix.Rlimit
	full := unix.Rlimit{Cur: uint64(file.Size()), Max: unix.RLIM_INFINITY}
	if err := unix.Prlimit(s.Process.Pid, unix.RLIMIT_FSIZE, &full, &was); err != nil {
		t.Skip("the limit of another process cannot be set: ", err)
	}
	refused := 0
	for i := 0; refused < 5; i++ {
		// In another channel: the ledgers' is to have no holes of their own.
		status, header, body := postText(t, s.url()+"c/fill", strings.Repeat("x", 100_000))
		switch {
		case status == http.StatusOK && i < 1000:
		case status == http.StatusServiceUnavailable && strings.Contains(body, `"store_failed"`) && header.Get("Retry-After") != "":
			refused++
		default:
			t.Fatalf("attempt %d: status %d, %v, %s", i, status, header, body)
		}
	}
	status, text := get(t, s.url()+"c/all")
	if status != 200 || !strings.Contains(text, "0/49/") {
		t.Errorf("a reader is told: status %d, %.200s", status, text)
	}
	// A publisher that insists gets through when there is room.
	p.each = total
	done := make(chan error, 1)
	go func() { done <- p.publishHTTP(ctx) }()
	pause(ctx, 100*time.Millisecond)
	if err := unix.Prlimit(s.Process.Pid, unix.RLIMIT_FSIZE, &was, nil); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	wait([][]channel.Position{p.acknowledged})
	before, _, _ := strings.Cut(text, `"next"`)
	s.kill()
	s.start()
	if status, text := get(t, s.url()+"c/all"); status != 200 || !strings.HasPrefix(text, before[:1000]) || !strings.Contains(text, "0/149/") {
		t.Errorf("after a restart: status %d, %.200s", status, text)
	}
	t.Logf("%d attempts were repeated", p.retried)
}

// A server that stands still for three seconds under load loses nothing.
func TestStandstill(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	s := newRestarting(t, "--data", t.TempDir(), "--history-count", "100000", "--history-bytes", "100000000", "--log-level", "warn")
	const publishers, each = 4, 150
	wait := readEverywhere(ctx, t, s.url, func() *ledger { return newLedger(publishers, each) })
	var writing sync.WaitGroup
	all := make([]*publishing, publishers)
	for i := range all {
		p := &publishing{reading: reading{url: s.url, name: "all"}, number: i, each: each}
		p.off.Store(true)
		all[i] = p
		writing.Go(func() {
			if err := p.publishHTTP(ctx); err != nil {
				t.Errorf("publisher %d: %v", i, err)
			}
		})
	}
	for text := ""; !strings.Contains(text, `"data":"`) && ctx.Err() == nil; { // until there are some
		_, text = get(t, s.url()+"c/all")
	}
	if err := s.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	pause(ctx, 3*time.Second)
	if err := s.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	writing.Wait()
	acknowledged := make([][]channel.Position, publishers)
	for i, p := range all {
		acknowledged[i] = p.acknowledged
	}
	wait(acknowledged)
}

// underRace says whether the tests, and so the command, have the race detector, which takes memory of its own.
func underRace() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// memory is the most that the server has taken, in bytes.
func (s *process) memory(t *testing.T) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kB, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kB << 10
		}
	}
	t.Fatal("the system does not say")
	return 0
}

// info is what the server says of itself to backends.
func (s *process) info(t *testing.T) (i struct{ Clients, Channels, Bytes int }) {
	t.Helper()
	status, text := get(t, s.url+"api/v1/info")
	if err := json.Unmarshal([]byte(text), &i); status != 200 || err != nil {
		t.Fatalf("info: status %d, %s, %v", status, text, err)
	}
	return i
}

// Clients that stop reading are cut, the others get everything, and memory is bounded meanwhile.
func TestClientsThatStopReading(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	s := serveCommand(t, nil, "--listen", "127.0.0.1:0", "--history-count", "100000", "--history-bytes", "67108864", "--queue-bytes", "262144", "--write-timeout", "2s", "--heartbeat", "2s", "--log-level", "warn")
	url := func() string { return s.url }
	upgrade := "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	for _, header := range []string{
		"Accept: text/event-stream\r\n", "Accept: application/x-ndjson\r\n", upgrade, upgrade + "Sec-WebSocket-Protocol: baro.v1.json\r\n",
	} {
		for range 10 {
			c, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(s.url, "http://"), "/"))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_ = c.(*net.TCPConn).SetReadBuffer(4096)
			if _, err := io.WriteString(c, "GET /c/all HTTP/1.1\r\nHost: localhost\r\n"+header+"\r\n"); err != nil {
				t.Fatal(err)
			}
			if _, err := bufio.NewReader(c).ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
	}
	each, large := 150, 20_000
	if whole {
		each, large = 300, 100_000
	}
	wait := readEverywhere(ctx, t, url, func() *ledger { return newLedger(1, each) })
	p := &publishing{reading: reading{url: url, name: "all"}, each: each}
	p.off.Store(true)
	p.large = large
	if err := p.publishHTTP(ctx); err != nil {
		t.Error(err)
	}
	wait([][]channel.Position{p.acknowledged})
	for s.info(t).Clients > 0 {
		if ctx.Err() != nil {
			t.Fatalf("%d clients are there yet", s.info(t).Clients)
		}
		pause(ctx, 50*time.Millisecond)
	}
	most := s.memory(t)
	if most > 150<<20 && !underRace() {
		t.Errorf("the server took %d MB", most>>20)
	}
	t.Logf("%d MB published, the server took %d MB at most", each*large>>20, most>>20)
}

// A client that publishes in ever new channels makes the old ones go, and no more; who is subscribed keeps the channel.
func TestManyChannels(t *testing.T) {
	channels, most, limit := 30_000, 1000, 2*time.Minute
	if whole {
		channels, most, limit = 1_000_000, 10_000, 15*time.Minute
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	s := serveCommand(t, nil, "--listen", "127.0.0.1:0", "--max-channels", strconv.Itoa(most), "--max-bytes", "1048576", "--log-level", "warn")
	r := &reading{url: func() string { return s.url }, name: "held"}
	r.off.Store(true)
	held, err := r.dialWebSocket(ctx, s.url+"c/held")
	if err != nil {
		t.Fatal(err)
	}
	defer held.CloseNow()
	c, err := r.dialMultiplexed(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	began := time.Now()
	data := strings.Repeat("x", 100)
	for i := range channels {
		if err := writeJSON(ctx, c, map[string]any{"publish": map[string]string{"channel": fmt.Sprintf("many/%d", i), "data": data}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := writeJSON(ctx, c, map[string]any{"id": 1, "ping": struct{}{}}); err != nil {
		t.Fatal(err)
	}
	if f, err := readFrame(ctx, c); err != nil || f.ID != 1 || f.Error != nil {
		t.Fatalf("%+v, %v; want the answer to ping", f, err)
	}
	took := time.Since(began)
	i := s.info(t)
	if i.Channels > most || i.Bytes > 1<<20 {
		t.Errorf("there are %d channels of %d bytes", i.Channels, i.Bytes)
	}
	if status, text := get(t, s.url+fmt.Sprintf("c/many/%d", channels-1)); status != 200 || !strings.Contains(text, data) {
		t.Errorf("the last one: %d, %s", status, text)
	}
	if status, text := get(t, s.url+"c/many/0"); status != 200 || !strings.Contains(text, `"messages":[]`) {
		t.Errorf("the first one: %d, %s", status, text)
	}
	postText(t, s.url+"c/held", "still here")
	if m, err := held.Read(ctx); err != nil || !bytes.Equal(m.Data, []byte("still here")) {
		t.Errorf("the subscriber got %s, %v", m.Data, err)
	}
	memory := s.memory(t)
	if memory > 150<<20 && !underRace() {
		t.Errorf("the server took %d MB", memory>>20)
	}
	t.Logf("%d channels in %v; %d of %d bytes are left; the server took %d MB at most", channels, took.Round(time.Millisecond), i.Channels, i.Bytes, memory>>20)
}

// After the server was killed presence holds exactly who has come back.
func TestPresenceAfterKill(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s := newRestarting(t, "--data", t.TempDir(), "--log-level", "warn")
	come := func(ctx context.Context, n int) {
		for range n {
			for _, name := range []string{"SSE", "NDJSON", "WebSocket", "WebSocket, envelopes", "/ws", "Socket.IO", "Socket.IO over polling"} {
				r := &reading{url: s.url, name: "all", accept: func(channel.Message) bool { return true }, after: func() string { return "oldest" }}
				r.off.Store(true)
				go func() { _ = r.run(ctx, transports[name]) }()
			}
		}
	}
	there := func(want int) {
		t.Helper()
		for got := -1; got != want; pause(ctx, 10*time.Millisecond) {
			var p struct {
				Clients int
				Members []struct{ Client string }
			}
			status, text := get(t, s.url()+"api/v1/presence?channel=all")
			if err := json.Unmarshal([]byte(text), &p); status != 200 || err != nil || p.Clients != len(p.Members) {
				t.Fatalf("presence: %d, %s, %v", status, text, err)
			}
			if got = p.Clients; ctx.Err() != nil {
				t.Fatalf("%d are there, want %d", got, want)
			}
		}
	}
	leave, left := context.WithCancel(ctx)
	come(ctx, 3)
	come(leave, 2)
	there(5 * 7)
	s.kill()
	left()
	s.start()
	there(3 * 7)
	pause(ctx, 200*time.Millisecond)
	there(3 * 7)
}
