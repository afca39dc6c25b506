package ws_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"baro.dev/ws"
)

// resetStages are what a peer has done when it resets its connection.
var resetStages = []struct {
	name string
	do   func(nc net.Conn) error
}{
	{"before the request", func(net.Conn) error { return nil }},
	{"in the request", sends(with()[:60])},
	{"right behind the request", sends(with())},
	{"right behind the request and messages", sends(with(), textFrame("x"), pingFrame("y"), binaryFrame(pattern('r', 20_000)))},
	{"after the handshake", opens()},
	{"in a header", opens(rawBytes("\x82"))},
	{"in a frame", opens(textFrame("x").announcing(100_000))},
	{"in a message", opens(firstFrame(opText, "x"), nextFrame("y"))},
	{"with answers unread", opens(textFrame("x"), textFrame(pattern('r', 60_000)), pingFrame(""))},
	{"in the closing handshake", opens(textFrame("x"), closeFrame(1000, ""))},
	{"after a violation", opens(newFrame(fin|3, ""), textFrame("x"))},
	{"in conversation", func(nc net.Conn) error {
		if err := opens(textFrame("hello"))(nc); err != nil {
			return err
		}
		_, err := io.ReadFull(nc, make([]byte, len("\x81\x05hello")))
		return err
	}},
}

// sends sends bytes and frames in one piece.
func sends(s string, frames ...wireFrame) func(net.Conn) error {
	b := append([]byte(s), wireBytes(true, frames...)...)
	return func(nc net.Conn) error {
		_, err := nc.Write(b)
		return err
	}
}

// opens does the opening handshake and sends frames.
func opens(frames ...wireFrame) func(net.Conn) error {
	request, behind := []byte(with()), wireBytes(true, frames...)
	return func(nc net.Conn) error {
		if _, err := nc.Write(request); err != nil {
			return err
		}
		r := bufio.NewReaderSize(nc, 16)
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return err
			}
			if line == "\r\n" {
				break
			}
			if strings.HasPrefix(line, "HTTP/") && !strings.HasPrefix(line, "HTTP/1.1 101 ") {
				return errors.New(line)
			}
		}
		if len(behind) == 0 {
			return nil
		}
		_, err := nc.Write(behind)
		return err
	}
}

// Ten thousand connections are reset, as fast as they can be made, at every stage. Nothing is left of them, each that was opened
// is closed, and others have noticed nothing.
func TestResets(t *testing.T) {
	const at = 8
	resets := 5000 // for each way of handling
	if raceEnabled {
		resets = 1200 // it is slow, and the stages are twelve
	}
	eachHandling(t, func(t *testing.T, inline bool) {
		noLeaks(t)
		var opened, closed atomic.Int64
		h := openHouse(t, &ws.Server{
			Inline:    inline,
			OnOpen:    func(*ws.Socket, *http.Request) { opened.Add(1) },
			OnMessage: echoBack,
			OnClose: func(_ *ws.Socket, err error) {
				if err == nil {
					t.Error("no reason")
				}
				closed.Add(1)
			},
		}, "tcp", false)
		witness := h.visit(t, "")
		done := make(chan struct{})
		var watching, attacking sync.WaitGroup
		watching.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					if i == 0 {
						t.Error("the witness has seen nothing")
					}
					return
				default:
				}
				if err := witness.echo(fmt.Sprint(i)); err != nil {
					t.Error("the witness:", err)
					return
				}
			}
		})
		start := time.Now()
		for first := range at {
			attacking.Go(func() {
				for i := first; i < resets && !t.Failed(); i += at {
					nc, err := net.Dial("tcp", h.addr.String())
					if err != nil {
						t.Error(err)
						return
					}
					stage := resetStages[i/at%len(resetStages)]
					if err := stage.do(nc); err != nil {
						t.Errorf("%s: %v", stage.name, err)
					}
					nc.(*net.TCPConn).SetLinger(0)
					nc.Close()
				}
			})
		}
		attacking.Wait()
		t.Logf("%.0f a second", float64(resets)/time.Since(start).Seconds())
		close(done)
		watching.Wait()
		for start := time.Now(); h.server.Len() > 1 || closed.Load() < opened.Load()-1; time.Sleep(time.Millisecond) {
			if time.Since(start) > 10*time.Second {
				t.Fatalf("%d connections are left; %d were opened and %d closed", h.server.Len(), opened.Load(), closed.Load())
			}
		}
		if n := opened.Load(); n < int64(resets)/2 || n > int64(resets) {
			t.Errorf("%d connections were opened", n)
		}
	})
}
