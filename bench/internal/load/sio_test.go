//go:build linux

package load

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

func TestTextFrame(t *testing.T) {
	for _, size := range []int{0, 1, 125, 126, 3000} {
		whole := serverFrame(0x81, size)
		for n := range whole {
			if _, got, err := textFrame(whole[:n]); got != 0 || err != nil {
				t.Fatalf("%d of %d bytes: %d, %v", n, len(whole), got, err)
			}
		}
		if payload, n, err := textFrame(append(whole, 0x81)); n != len(whole) || len(payload) != size || err != nil {
			t.Errorf("%d bytes: %d, %d, %v", size, n, len(payload), err)
		}
	}
	for _, bad := range []string{"\x82\x01x", "\x01\x01x", "\x88\x00", "\x81\x7f", "\x81\x81"} {
		if _, _, err := textFrame([]byte(bad)); err == nil {
			t.Errorf("% x: no error", bad)
		}
	}
}

func TestBodySize(t *testing.T) {
	for _, c := range []struct {
		head, err string
		size      int
	}{
		{"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 12\r\n\r\n", "", 12},
		{"HTTP/1.1 200 OK\r\ncontent-length:0\r\n\r\n", "", 0},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "no Content-Length", 0},
		{"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", "refused", 0},
	} {
		size, err := bodySize([]byte(c.head))
		if size != c.size || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%q: %d, %v", c.head, size, err)
		}
	}
}

// A Socket.IO server that is wrong is found out, and not measured.
func TestWrongSocketIOServers(t *testing.T) {
	send := func(c net.Conn, packets ...string) {
		for _, p := range packets {
			ws.WriteFrame(c, ws.NewTextFrame([]byte(p)))
		}
	}
	enter := func(c net.Conn, br *bufio.Reader) {
		upgrade(c, br)
		send(c, `0{"sid":"x"}`)
		clientMessage(br)
		send(c, `40{"sid":"y"}`)
	}
	ack := func(br *bufio.Reader) string {
		return strings.Replace(string(clientMessage(br)), `420["message",`, "430[", 1)
	}
	for _, c := range []struct {
		name  string
		serve func(c net.Conn, br *bufio.Reader)
		err   string
	}{
		{"is no Engine.IO", func(c net.Conn, br *bufio.Reader) {
			upgrade(c, br)
			send(c, "hello")
			clientMessage(br)
		}, "is not opening packet"},
		{"refuses the namespace", func(c net.Conn, br *bufio.Reader) {
			upgrade(c, br)
			send(c, `0{"sid":"x"}`)
			clientMessage(br)
			send(c, `44{"message":"no"}`)
			clientMessage(br)
		}, "is not answer to CONNECT"},
		{"acknowledges something else", func(c net.Conn, br *bufio.Reader) {
			enter(c, br)
			send(c, strings.ToUpper(ack(br)))
			clientMessage(br)
		}, "is not acknowledgement"},
		{"acknowledges as binary", func(c net.Conn, br *bufio.Reader) {
			enter(c, br)
			ws.WriteFrame(c, ws.NewBinaryFrame([]byte(ack(br))))
			clientMessage(br)
		}, "not text"},
		{"acknowledges twice", func(c net.Conn, br *bufio.Reader) {
			enter(c, br)
			send(c, ack(br))
			answer := ack(br)
			frame := ws.MustCompileFrame(ws.NewTextFrame([]byte(answer)))
			c.Write(append(frame, frame...))
			clientMessage(br)
		}, "more replies than messages"},
		{"is shorter the second time", func(c net.Conn, br *bufio.Reader) {
			enter(c, br)
			send(c, ack(br))
			send(c, ack(br)[1:])
			clientMessage(br)
		}, "bytes instead of"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := serve(t, c.serve).Acks(Echo{Conns: 2, Size: 64, Depth: 1, Duration: 10 * time.Second})
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("error %v, want %q", err, c.err)
			}
		})
	}
	t.Run("has no heartbeat", func(t *testing.T) {
		t.Parallel() // it mostly waits
		target := serve(t, func(c net.Conn, br *bufio.Reader) {
			enter(c, br)
			send(c, ack(br))
			clientMessage(br)
		})
		target.Free = func() error { return nil }
		_, err := target.Idle(Idle{Conns: 2, Size: 64, SocketIO: true, Heartbeat: 100 * time.Millisecond})
		if err == nil || !strings.Contains(err.Error(), "2 of 2 clients had no heartbeat") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("has heartbeats", func(t *testing.T) {
		t.Parallel() // it mostly waits
		answers := make(chan string, 100)
		target := serve(t, func(c net.Conn, br *bufio.Reader) {
			enter(c, br)
			reply := ack(br)
			send(c, "2", reply)
			answers <- string(clientMessage(br))
			for range 3 {
				send(c, "2")
				answers <- string(clientMessage(br))
			}
			clientMessage(br)
		})
		target.Free = func() error { return nil }
		r, err := target.Idle(Idle{Conns: 2, Size: 64, SocketIO: true, Heartbeat: time.Second})
		if err != nil || r.Beats != 8 || r.Messages != 2 {
			t.Fatalf("%+v, %v", r, err)
		}
		right := 0
		for range len(answers) {
			if <-answers == "3" {
				right++
			}
		}
		if right < r.Beats {
			t.Errorf("%d of %d answers were right", right, r.Beats)
		}
	})
	t.Run("broadcasts something else", func(t *testing.T) {
		target := serve(t, func(c net.Conn, br *bufio.Reader) {
			enter(c, br)
			send(c, ack(br))
			send(c, strings.ToUpper(strings.Replace(string(clientMessage(br)), "publish", "message", 1)))
			clientMessage(br)
		})
		_, err := target.Room(FanOut{Conns: 1, Size: 64, Depth: 1, Duration: 10 * time.Second})
		if err == nil || !strings.Contains(err.Error(), "not what was published") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("acknowledges something else to one who comes and goes", func(t *testing.T) {
		target := serve(t, func(c net.Conn, br *bufio.Reader) {
			enter(c, br)
			send(c, ack(br)+"x")
			clientMessage(br)
		})
		_, err := target.Opens(Churn{Conns: 1, Size: 64, Duration: 10 * time.Second})
		if err == nil || !strings.Contains(err.Error(), "it said") {
			t.Errorf("error %v", err)
		}
	})
}

func clientMessage(br *bufio.Reader) []byte {
	header, err := ws.ReadHeader(br)
	if err != nil {
		return nil
	}
	payload := make([]byte, header.Length)
	io.ReadFull(br, payload)
	ws.Cipher(payload, header.Mask, 0)
	return payload
}

// poller is a server with one session that polls; acknowledgements go through change.
type poller struct {
	change  func(string) string
	packets chan string
	pongs   chan struct{}
}

func (p *poller) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.FormValue("sid") == "":
		io.WriteString(w, `0{"sid":"x","upgrades":["websocket"]}`)
	case r.Method == http.MethodPost:
		body, _ := io.ReadAll(r.Body)
		for packet := range strings.SplitSeq(string(body), "\x1e") {
			switch argument, ok := strings.CutPrefix(packet, `420["message",`); {
			case packet == "40":
				p.packets <- `40{"sid":"y"}`
			case packet == "3":
				p.pongs <- struct{}{}
			case ok:
				p.packets <- p.change("430[" + argument)
			}
		}
		io.WriteString(w, "ok")
	default:
		fmt.Fprint(w, <-p.packets)
	}
}

// measurePolls measures a poller for a moment, or a new one for longer where the machine stood still for that.
func measurePolls(t *testing.T, open func() *poller) (p *poller, r Result, err error) {
	t.Helper()
	for d := 50 * time.Millisecond; d < 10*time.Second; d *= 10 {
		l, listenErr := net.Listen("tcp", "127.0.0.1:0")
		if listenErr != nil {
			t.Fatal(listenErr)
		}
		p = open()
		server := &http.Server{Handler: p}
		go server.Serve(l)
		r, err = targetOf(l).Polls(Echo{Conns: 1, Size: 64, Duration: d})
		server.Close()
		if err != nil && !errors.Is(err, ErrNoReply) || r.Messages >= 3 {
			break
		}
	}
	return p, r, err
}

// A client that polls answers heartbeats, and finds out who is wrong.
func TestPolls(t *testing.T) {
	first := true
	for _, c := range []struct {
		name   string
		change func(string) string
		err    string
	}{
		{"right", func(s string) string { return s }, ""},
		{"heartbeat beside the answer", func(s string) string {
			if first {
				first = false
				return s
			}
			return "2\x1e" + s
		}, ""},
		{"something else", strings.ToUpper, "instead of the answer"},
		{"twice", func(s string) string {
			if first {
				first = false
				return s
			}
			return s + "\x1e" + s
		}, "instead of"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, r, err := measurePolls(t, func() *poller {
				first = true
				return &poller{change: c.change, packets: make(chan string, 100), pongs: make(chan struct{}, 1<<20)}
			})
			if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Fatalf("%+v, %v", r, err)
			}
			if err == nil && r.Messages == 0 {
				t.Error("no round")
			}
			if pongs := len(p.pongs); (pongs > 0) != strings.HasPrefix(c.name, "heartbeat") {
				t.Errorf("%d heartbeats answered", pongs)
			}
		})
	}
	t.Run("heartbeat alone", func(t *testing.T) {
		p, r, err := measurePolls(t, func() *poller {
			p := &poller{packets: make(chan string, 100), pongs: make(chan struct{}, 100)}
			var answers int
			p.change = func(s string) string {
				if answers++; answers == 3 {
					p.packets <- "2"
				}
				return s
			}
			return p
		})
		if err != nil || r.Messages < 3 || len(p.pongs) != 1 {
			t.Errorf("%+v, %d heartbeats answered, %v", r, len(p.pongs), err)
		}
	})
}
