//go:build linux

package bench

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// BenchmarkCapacity measures what docs/capacity.md reckons with: what a connection of each transport costs `baro serve`, plain and
// with TLS (ECDSA P-256, TLS 1.3, no resumption): resident memory, the processor time of opening it, to the end of its subscription,
// and of a heartbeat, both ways; what further subscriptions and channels cost; and what a message does that is kept.
//
//	go test -run '^$' -bench Capacity -benchtime 1x .
//
// The clients are in this process; all that is counted is the server's.
func BenchmarkCapacity(b *testing.B) {
	program := filepath.Join(b.TempDir(), "baro")
	build := exec.Command("go", "build", "-o", program, "./cmd/baro")
	build.Dir, build.Stderr = "..", os.Stderr
	if err := build.Run(); err != nil {
		b.Fatal(err)
	}
	for _, secure := range []bool{false, true} {
		for _, transport := range []string{"websocket", "ws", "socketio", "sse", "poll"} {
			b.Run(fmt.Sprintf("%s/tls=%t", transport, secure), func(b *testing.B) {
				for b.Loop() {
					s := serve(b, program, secure, "1s")
					s.connections(b, 4000, func(i int) (string, []string) { return requestFor(transport, "all") }, transport != "poll")
					s.stop()
				}
			})
		}
	}
	b.Run("own channels", func(b *testing.B) {
		for b.Loop() {
			s := serve(b, program, false, "25s")
			s.connections(b, 4000, func(i int) (string, []string) { return requestFor("websocket", fmt.Sprint("own", i)) }, false)
			s.stop()
		}
	})
	b.Run("100 subscriptions each", func(b *testing.B) {
		for b.Loop() {
			s := serve(b, program, false, "25s")
			s.connections(b, 1000, func(i int) (string, []string) {
				path, say := requestFor("ws", "all")
				for n := range 99 {
					say = append(say, fmt.Sprintf(`{"id":1,"subscribe":{"channel":"c%d"}}`, n))
				}
				return path, say
			}, false)
			s.stop()
		}
	})
	b.Run("kept messages of 128 B", func(b *testing.B) {
		for b.Loop() {
			s := serve(b, program, false, "25s")
			const each = 100_000
			s.publish(b, 1000)
			before, cpu := s.rss(b), s.cpu(b)
			s.publish(b, each)
			b.ReportMetric(float64(s.cpu(b)-cpu)/each/1e3, "CPU-µs/publish")
			b.ReportMetric(float64(s.settled(b)-before)/each, "B/message")
			s.stop()
		}
	})
}

// requestFor is the path that a client asks for, and what it says then; for an event stream and a poll "".
func requestFor(transport, channel string) (string, []string) {
	switch transport {
	case "ws":
		return "/ws", []string{`{"id":1,"subscribe":{"channel":"` + channel + `"}}`}
	case "socketio":
		return "/socket.io/?EIO=4&transport=websocket", []string{"40", `420["subscribe","` + channel + `"]`}
	case "sse":
		return "sse /c/" + channel, nil
	case "poll":
		return "poll /c/" + channel + "?wait=60s", nil
	}
	return "/c/" + channel, nil
}

// served is a process.
type served struct {
	cmd    *exec.Cmd
	pid    int
	addr   string
	secure bool
}

func serve(b *testing.B, program string, secure bool, heartbeat string) *served {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	s := &served{addr: l.Addr().String(), secure: secure}
	_ = l.Close()
	args := []string{"serve", "--dev", "--log-level", "error", "--listen", s.addr, "--admin-listen", "127.0.0.1:0", "--heartbeat", heartbeat}
	if secure {
		cert, key := certificate(b)
		args = append(args, "--tls-cert", cert, "--tls-key", key)
	}
	s.cmd = exec.Command(program, args...)
	s.cmd.Stderr = os.Stderr
	if err := s.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	s.pid = s.cmd.Process.Pid
	for since := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		c, err := net.Dial("tcp", s.addr)
		if err == nil {
			_ = c.Close()
			return s
		}
		if time.Since(since) > 30*time.Second {
			b.Fatal("it does not listen")
		}
	}
}

func (s *served) stop() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

// certificate writes one, and its key.
func certificate(b *testing.B) (cert, key string) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	t := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(24 * time.Hour), DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, t, t, private.Public(), private)
	if err != nil {
		b.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		b.Fatal(err)
	}
	cert, key = filepath.Join(b.TempDir(), "cert.pem"), filepath.Join(b.TempDir(), "key.pem")
	for name, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	return cert, key
}

// connections opens n and reports what each costs; with beats, what a heartbeat does.
func (s *served) connections(b *testing.B, n int, request func(i int) (path string, say []string), beats bool) {
	path, say := request(0)
	var beat atomic.Int64
	var all []net.Conn
	defer func() {
		for _, c := range all {
			_ = c.Close()
		}
	}()
	open := func(n int, request func(i int) (string, []string)) {
		var mu sync.Mutex
		var opening sync.WaitGroup
		var next atomic.Int64
		for range 16 {
			opening.Go(func() {
				for i := next.Add(1); i <= int64(n); i = next.Add(1) {
					path, say := request(int(i))
					c, err := s.client(int(i), path, say, &beat)
					if err != nil {
						b.Error(err)
						return
					}
					mu.Lock()
					all = append(all, c)
					mu.Unlock()
				}
			})
		}
		opening.Wait()
	}
	open(100, func(int) (string, []string) { return path, say }) // what the server has once
	memory, cpu := s.settled(b), s.cpu(b)
	open(n, request)
	opened := s.cpu(b) - cpu
	b.ReportMetric(float64(s.settled(b)-memory)/float64(n), "B/conn")
	b.ReportMetric(float64(opened)/float64(n)/1e3, "CPU-µs/open")
	if !beats {
		return
	}
	before, cpu := beat.Load(), s.cpu(b)
	time.Sleep(4 * time.Second)
	if heard := beat.Load() - before; heard > 0 {
		b.ReportMetric(float64(s.cpu(b)-cpu)/float64(heard)/1e3, "CPU-µs/beat")
	}
}

// client opens a connection, says what it has to, and hears an answer to each; then it answers heartbeats, and counts them.
func (s *served) client(i int, path string, say []string, beats *atomic.Int64) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 2, byte(1+i%200))}}
	c, err := d.Dial("tcp", s.addr)
	if err != nil {
		return nil, err
	}
	if s.secure {
		c = tls.Client(c, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"}}) //nolint:gosec // its own certificate
	}
	kind, where, found := strings.Cut(path, " ")
	head := "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	if !found {
		where = path
	} else if head = "Accept: application/json\r\n"; kind == "sse" {
		head = "Accept: text/event-stream\r\n"
	}
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", where, head); err != nil {
		return nil, err
	}
	if kind == "poll" {
		go func() { _, _ = io.Copy(io.Discard, c) }()
		return c, nil
	}
	r := bufio.NewReaderSize(c, 512)
	for status := ""; status != "\r\n"; {
		if status, err = r.ReadString('\n'); err != nil {
			return nil, err
		}
	}
	if kind == "sse" {
		go func() {
			for {
				line, err := r.ReadString('\n')
				if err != nil {
					return
				}
				if strings.HasPrefix(line, ":") {
					beats.Add(1)
				}
			}
		}()
		return c, nil
	}
	if len(say) > 0 { // the greeting
		if _, err := hear(c, r, beats); err != nil {
			return nil, err
		}
	}
	for _, words := range say {
		if err := write(c, 0x81, words); err != nil {
			return nil, err
		}
		if answer, err := hear(c, r, beats); err != nil || strings.Contains(answer, "error") {
			return nil, fmt.Errorf("%s: %s %w", words, answer, err)
		}
	}
	go func() {
		for {
			if _, err := hear(c, r, beats); err != nil {
				return
			}
		}
	}()
	return c, nil
}

// hear reads a message, and answers the heartbeats before it.
func hear(c net.Conn, r *bufio.Reader, beats *atomic.Int64) (string, error) {
	for {
		head := make([]byte, 2, 4)
		if _, err := io.ReadFull(r, head); err != nil {
			return "", err
		}
		size := int(head[1])
		if size == 126 {
			if _, err := io.ReadFull(r, head[2:4]); err != nil {
				return "", err
			}
			size = int(head[:4][2])<<8 | int(head[:4][3])
		} else if size > 126 {
			return "", errors.New("too long")
		}
		payload := make([]byte, size)
		if _, err := io.ReadFull(r, payload); err != nil {
			return "", err
		}
		var err error
		switch {
		case head[0] == 0x89:
			err = write(c, 0x8a, string(payload))
		case string(payload) == "2":
			err = write(c, 0x81, "3")
		default:
			return string(payload), nil
		}
		if err != nil {
			return "", err
		}
		beats.Add(1)
	}
}

// write writes a short frame, whose key is 0.
func write(c net.Conn, first byte, words string) error {
	_, err := c.Write(append([]byte{first, 0x80 | byte(len(words)), 0, 0, 0, 0}, words...))
	return err
}

// publish has n messages of 128 bytes kept, 500 in each of so many channels as it takes.
func (s *served) publish(b *testing.B, n int) {
	data := strings.Repeat("x", 128)
	for i := 0; i < n; i += 100 {
		var body strings.Builder
		for k := range 100 {
			fmt.Fprintf(&body, `,{"channel":"kept%d","data":"%s"}`, (i+k)/500, data)
		}
		r, err := http.Post("http://"+s.addr+"/api/v1/batch", "application/json", strings.NewReader(`{"messages":[`+body.String()[1:]+`]}`))
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, r.Body)
		_ = r.Body.Close()
		if r.StatusCode != http.StatusOK {
			b.Fatal(r.Status)
		}
	}
}

// cpu is the processor time that the process has used.
func (s *served) cpu(b *testing.B) time.Duration {
	clock := ^s.pid<<3 | 2 // clock_getcpuclockid(3)
	var t syscall.Timespec
	if _, _, errno := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, uintptr(clock), uintptr(unsafe.Pointer(&t)), 0); errno != 0 {
		b.Fatal(errno)
	}
	return time.Duration(t.Nano())
}

// settled is its resident memory when that has changed by no more than a hundredth in a second.
func (s *served) settled(b *testing.B) int64 {
	for last := s.rss(b); ; {
		time.Sleep(time.Second)
		now := s.rss(b)
		if max(now-last, last-now) < now/100 {
			return now
		}
		last = now
	}
}

func (s *served) rss(b *testing.B) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.pid))
	if err != nil {
		b.Fatal(err)
	}
	_, after, _ := strings.Cut(string(status), "VmRSS:")
	kilobytes, err := strconv.ParseInt(strings.Fields(after)[0], 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return kilobytes << 10
}
