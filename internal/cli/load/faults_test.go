package load

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"baro.dev/internal/cli/exit"
)

// What is wrong with answers is counted, each thing for itself.
func TestEchoFaults(t *testing.T) {
	var held []byte // by one connection's server
	for _, c := range []struct {
		name   string
		answer func(p *peer, n int, m []byte) error
		want   counts
		errors map[string]int64
	}{
		{"none", func(p *peer, _ int, m []byte) error { p.send(opText, m); return nil }, counts{}, nil},
		{"pings meanwhile", func(p *peer, _ int, m []byte) error {
			p.send(opPing, []byte("x"))
			if pong, err := p.receive(); err != nil || string(pong) != "x" {
				return errHangUp
			}
			p.send(opText, m)
			return nil
		}, counts{}, nil},
		{"in two frames, with a ping between", func(p *peer, _ int, m []byte) error {
			b := append(serverFrame(opText, m[:5]), serverFrame(0x80|opPing, nil)...)
			_, _ = p.Write(append(b, serverFrame(0x80, m[5:])...))
			_, err := p.receive()
			return err
		}, counts{}, nil},
		{"loses", func(p *peer, n int, m []byte) error {
			if n%10 != 7 {
				p.send(opText, m)
			}
			return nil
		}, counts{lost: 5}, nil},
		{"twice", func(p *peer, n int, m []byte) error {
			p.send(opText, m)
			if n%10 == 7 {
				p.send(opText, m)
			}
			return nil
		}, counts{duplicated: 5}, nil},
		{"out of order", func(p *peer, n int, m []byte) error {
			if n%10 == 7 {
				held = m
				return nil
			}
			p.send(opText, m)
			if n%10 == 8 {
				p.send(opText, held)
			}
			return nil
		}, counts{reordered: 5}, nil},
		{"something else", func(p *peer, n int, m []byte) error {
			if n == 25 {
				m[20]++
			}
			p.send(opText, m)
			return nil
		}, counts{unsent: 25}, map[string]int64{errNotEcho.Error(): 1}},
		{"closes", func(p *peer, n int, m []byte) error {
			if n == 25 {
				p.send(opClose, []byte("\x03\xf3bye"))
				_, err := p.receive()
				return err
			}
			p.send(opText, m)
			return nil
		}, counts{lost: 1, unsent: 24}, map[string]int64{"closed by the server with 1011": 1}},
		{"hangs up", func(p *peer, n int, m []byte) error {
			if n == 25 {
				return errHangUp
			}
			p.send(opText, m)
			return nil
		}, counts{lost: 1, unsent: 24}, map[string]int64{"closed by the server without a word": 1}},
		{"a masked frame", func(p *peer, n int, m []byte) error {
			if n == 25 {
				_, _ = p.Write(appendFrame(nil, opText, m))
			}
			p.send(opText, m)
			return nil
		}, counts{lost: 1, unsent: 24}, map[string]int64{"a masked frame of a server": 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			in(t, func(t *testing.T) {
				healthy := make(chan bool, 2)
				healthy <- true
				healthy <- false
				good, bad := echoing(t, func(p *peer, _ int, m []byte) error { p.send(opText, m); return nil }), echoing(t, c.answer)
				target := good
				// One of two connections is to the server that is wrong.
				target.Dial = func(ctx context.Context, u *url.URL) (net.Conn, error) {
					if <-healthy {
						return good.Dial(ctx, u)
					}
					return bad.Dial(ctx, u)
				}
				r := mustRun(t, Options{Target: target, Scenario: Echo, Connections: 2, Rate: 10, WarmUp: 0, Duration: 10 * time.Second, MaxErrors: -1})
				got := counts{lost: r.Lost, duplicated: r.Duplicated, reordered: r.Reordered, unsent: r.Unsent}
				if c.name == "something else" {
					c.want = counts{lost: got.lost, unsent: 25 - got.lost} // the message is answered, and not by its echo
				}
				if got != c.want {
					t.Errorf("%+v, want %+v", got, c.want)
				}
				if len(r.Errors) != len(c.errors) || r.ErrorCount != int64(len(c.errors)) {
					t.Errorf("errors %v", r.Errors)
				}
				for k, n := range c.errors {
					if r.Errors[k] != n {
						t.Errorf("errors %v, want %v", r.Errors, c.errors)
					}
				}
			})
		})
	}
}

// A message without an answer is not left out of the latencies: it counts with the time that it waited.
func TestLostIsLate(t *testing.T) {
	in(t, func(t *testing.T) {
		target := echoing(t, func(p *peer, n int, m []byte) error {
			if n%10 != 7 {
				p.send(opText, m)
			}
			return nil
		})
		r := mustRun(t, Options{Target: target, Scenario: Echo, Connections: 1, Rate: 10, Duration: 10 * time.Second, Drain: 4 * time.Second})
		if r.Lost != 10 || r.Messages != 100 || r.Latency.P99 < 4*time.Second || r.Latency.P75 > time.Millisecond {
			t.Errorf("lost %d of %d: %+v", r.Lost, r.Messages, r.Latency)
		}
	})
}

// Nothing but messages without answers is no measurement, though they count with the time that they waited.
func TestNothingComesBack(t *testing.T) {
	for _, back := range []bool{false, true} {
		in(t, func(t *testing.T) {
			target := echoing(t, func(p *peer, _ int, m []byte) error {
				if back {
					p.send(opText, m)
				}
				return nil
			})
			r := mustRun(t, Options{Target: target, Scenario: Echo, Connections: 1, Rate: 10, Duration: time.Second})
			if err := r.Verdict(); (err == nil) != back || r.Messages != 10 {
				t.Errorf("%d messages, answered: %v: %v", r.Messages, back, err)
			}
		})
	}
}

// Servers that let nobody in, and what the command makes of it.
func TestRefused(t *testing.T) {
	for _, c := range []struct {
		name    string
		serve   func(*peer)
		says    string
		refused bool
	}{
		{"403", func(p *peer) { _, _, _ = p.request(); p.answer(http.StatusForbidden, "no") }, "HTTP status 403", true},
		{"hangs up", func(p *peer) { _, _, _ = p.request() }, "EOF", false},
		{"says nothing", func(p *peer) { _, _ = io.Copy(io.Discard, p) }, "timeout", false},
		{"knows no key", func(p *peer) { r, _, _ := p.request(); r.Header.Del("Sec-WebSocket-Key"); p.upgrade(r) }, "Sec-WebSocket-Accept", true},
		{"talks for ever", func(p *peer) {
			_, _, _ = p.request()
			_, err := io.WriteString(p, "HTTP/1.1 101 x\r\n")
			for err == nil {
				_, err = io.WriteString(p, "X: "+strings.Repeat("y", 1000)+"\r\n")
			}
		}, "too long", true},
		{"says something else", func(p *peer) {
			_, _, _ = p.request()
			_, _ = io.WriteString(p, "220 smtp.example.com\r\n\r\n")
		}, "malformed HTTP", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			in(t, func(t *testing.T) {
				o := Options{Target: pipes(t, "ws://pipe/", c.serve), Scenario: Echo, Connections: 3, MaxErrors: -1, portable: true}
				r, err := Run(t.Context(), o)
				e, ok := errors.AsType[*OpenError](err)
				if r != nil || !ok || !strings.Contains(err.Error(), c.says) || exit.Unanswered(e.Err) == c.refused {
					t.Errorf("%v", err)
				}
			})
		})
	}
}
