package ws_test

import (
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"baro.dev/ws"
)

// allowDescriptors lets the process have no more descriptors than it has, and so many. The function returned lets it
// have what it could before.
func allowDescriptors(t *testing.T, n int) (restore func()) {
	t.Helper()
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	now := before
	now.Cur = 0
	// The lowest that is free is what is given next.
	var taken []*os.File
	for range n {
		f, err := os.Open("/dev/null")
		if err != nil {
			t.Fatal(err)
		}
		taken = append(taken, f)
		now.Cur = max(now.Cur, uint64(f.Fd())+1)
	}
	for _, f := range taken {
		f.Close()
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &now); err != nil {
		t.Fatal(err)
	}
	restore = func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(restore)
	return restore
}

// spent is the time of processors that the process has used.
func spent(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Without descriptors nobody is accepted, and nobody spins; those that are there go on, and those that wait come in when
// there are descriptors again.
func TestNoDescriptorsToAccept(t *testing.T) {
	for _, door := range []string{"Serve", "http"} {
		for _, over := range []string{"tcp", "unix"} {
			t.Run(door+" over "+over, func(t *testing.T) {
				noLeaks(t)
				const waiting = 10
				var log syncBuffer
				h := openHouse(t, &ws.Server{
					Options:   ws.AcceptOptions{Logger: slog.New(slog.NewTextHandler(&log, nil))},
					OnMessage: echoBack,
				}, over, door == "http")
				witness := h.visit(t, "")
				if err := witness.echo("before"); err != nil {
					t.Fatal(err)
				}
				// Their descriptors are there before; connect(2) takes none, nor does anything below.
				domain, address := syscall.AF_INET, sockaddr(h.addr)
				if over == "unix" {
					domain = syscall.AF_UNIX
				}
				var clients []int
				for range waiting {
					fd, err := syscall.Socket(domain, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
					if err != nil {
						t.Fatal(err)
					}
					defer syscall.Close(fd)
					clients = append(clients, fd)
				}
				runtime.GC()
				restore := allowDescriptors(t, 0)
				for _, fd := range clients {
					if err := syscall.Connect(fd, address); err != nil {
						t.Fatal(err)
					}
					if _, err := syscall.Write(fd, []byte(with())); err != nil {
						t.Fatal(err)
					}
				}
				const window = 250 * time.Millisecond
				before := spent(t)
				time.Sleep(window) // what is measured
				if took := spent(t) - before; took > window/3 {
					t.Errorf("%v of processor time in %v", took, window)
				}
				if err := witness.echo("meanwhile"); err != nil {
					t.Error(err)
				}
				restore()
				for _, fd := range clients {
					// No longer than the longest pause, and a little.
					patience := syscall.NsecToTimeval(int64(10 * time.Second))
					if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &patience); err != nil {
						t.Fatal(err)
					}
					var b [1 << 10]byte
					n, err := syscall.Read(fd, b[:])
					for err == syscall.EINTR { // signal(7): not begun again by itself, with a time limit
						n, err = syscall.Read(fd, b[:])
					}
					if err != nil || !strings.HasPrefix(string(b[:max(n, 0)]), "HTTP/1.1 101 ") {
						t.Fatalf("%q, %v", b[:max(n, 0)], err)
					}
				}
				if err := witness.echo("after"); err != nil {
					t.Error(err)
				}
				if door == "Serve" && ws.OnLoops() && !strings.Contains(log.String(), "too many open files") {
					t.Errorf("the log says %q", log.String())
				}
			})
		}
	}
}

func sockaddr(a net.Addr) syscall.Sockaddr {
	switch a := a.(type) {
	case *net.TCPAddr:
		return &syscall.SockaddrInet4{Port: a.Port, Addr: [4]byte(a.IP.To4())}
	default:
		return &syscall.SockaddrUnix{Name: a.String()}
	}
}

// A connection of net/http for which there is no second descriptor, or for whose loop there is none, is read by a goroutine.
func TestNoDescriptorForALoop(t *testing.T) {
	for allowed, loop := range []bool{false, false, false, true} { // the connection's, the epoll's, and that to wake it
		t.Run(string(rune('0'+allowed)), func(t *testing.T) {
			noLeaks(t)
			looped, closed := make(chan bool, 1), make(chan error, 1)
			s := &ws.Server{
				Loops:     oneLoop(),
				OnOpen:    func(c *ws.Socket, _ *http.Request) { looped <- c.Looped() },
				OnMessage: echoBack,
				OnClose:   func(_ *ws.Socket, err error) { closed <- err },
			}
			few := func(w http.ResponseWriter, r *http.Request) {
				defer allowDescriptors(t, allowed)()
				s.ServeHTTP(w, r)
			}
			l := listen(t, "tcp")
			front := &http.Server{Handler: http.HandlerFunc(few)}
			go front.Serve(l)
			t.Cleanup(func() { front.Close(); s.Close() })
			h := &house{server: s, addr: l.Addr()}
			p := h.visit(t, "", textFrame("early"))
			if err := p.expect(sawText("early")); err != nil {
				t.Error(err)
			}
			if got := <-looped; got != (loop && ws.OnLoops()) {
				t.Errorf("read by a loop: %v", got)
			}
			for range 10 {
				if err := p.echo("goes on"); err != nil {
					t.Fatal(err)
				}
			}
			p.send(closeFrame(1000, ""))
			if err := p.expect(sight{opClose, closePayload(1000, "")}); err != nil {
				t.Error(err)
			}
			if err := <-closed; ws.CloseStatus(err) != 1000 {
				t.Error(err)
			}
			if _, ok := <-p.sights; ok || !isEnd(p.end) {
				t.Error(p.end) // a second descriptor would keep the stream open
			}
		})
	}
}

// What is not for a WebSocket needs a descriptor more on its way to net/http. Without one it ends, and nothing is left of it.
func TestNoDescriptorToHandOver(t *testing.T) {
	noLeaks(t)
	h := openHouse(t, &ws.Server{OnMessage: echoBack}, "tcp", false)
	witness := h.visit(t, "")
	p := h.connect(t)
	p.sendBytes([]byte("GET / HTTP/1.1\r\nHost: x"))
	if err := witness.echo("the loop has seen both"); err != nil {
		t.Fatal(err)
	}
	restore := allowDescriptors(t, 0)
	p.sendBytes([]byte("\r\n\r\n"))
	var b [100]byte
	n, err := p.Read(b[:])
	restore()
	if err == nil && !strings.HasPrefix(string(b[:n]), "HTTP/1.1 ") {
		t.Errorf("%q", b[:n])
	}
	if err := witness.echo("goes on"); err != nil {
		t.Error(err)
	}
}
