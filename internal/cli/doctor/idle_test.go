package doctor_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"testing"
	"time"

	"baro.dev/internal/cli/doctor"
	"baro.dev/internal/cli/exit"
	"baro.dev/internal/cli/target"
	"baro.dev/internal/server"
)

// cut accepts WebSockets that end by end once nothing has come for silence; pings are answered.
func cut(t *testing.T, silence time.Duration, always bool, end func(conn net.Conn)) string {
	return "ws://" + accepting(t, func(conn net.Conn) {
		buffered := bufio.NewReader(conn)
		r, err := http.ReadRequest(buffered)
		if err != nil {
			return
		}
		if r.Header.Get("Upgrade") == "" {
			_, _ = io.WriteString(conn, plain)
			return
		}
		_, _ = io.WriteString(conn, switching+"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "+acceptKey(r)+"\r\n\r\n")
		limit := time.Now().Add(silence)
		for {
			_ = conn.SetReadDeadline(limit)
			var head [6]byte // of a short frame, and its mask
			if _, err := io.ReadFull(buffered, head[:]); err != nil {
				if n, isNet := errors.AsType[net.Error](err); isNet && n.Timeout() {
					end(conn)
				}
				return
			}
			payload := make([]byte, head[1]&0x7f)
			if _, err := io.ReadFull(buffered, payload); err != nil {
				return
			}
			for i := range payload {
				payload[i] ^= head[2+i%4]
			}
			switch head[0] {
			case 0x89: // a ping
				_, _ = conn.Write(append([]byte{0x8a, byte(len(payload))}, payload...))
				if !always {
					limit = time.Now().Add(silence)
				}
			case 0x88:
				return
			}
		}
	})
}

// How silent connections end is told, and that pings keep them.
func idle(t *testing.T) {
	fin := func(net.Conn) {}
	rst := func(conn net.Conn) { _ = conn.(*net.TCPConn).SetLinger(0) }
	closing := func(conn net.Conn) { _, _ = conn.Write([]byte{0x88, 6, 0x0f, 0xa0, 'b', 'y', 'e', 0x1b}) }
	const silence = 3 * time.Second // pings come each second
	tests := map[string]func(t *testing.T){}
	for _, test := range []struct {
		name    string
		silence time.Duration
		always  bool
		end     func(net.Conn)
		how     string
		advice  string
	}{
		{"FIN", silence, false, fin, "fin", "sign of life more often"},
		{"RST", silence, false, rst, "rst", "make its timeout longer"},
		{"close", silence, false, closing, "close", "The server itself closes"},
		{"a lifetime", silence / 2, true, fin, "fin", "Pings do not keep it"},
	} {
		tests[test.name] = func(t *testing.T) {
			r := examine(t, cut(t, test.silence, test.always, test.end), func(o *doctor.Options, _ *target.Options) { o.Idle = 4 * time.Second })
			want(t, r, "idle", doctor.Fail, "websocket after", test.advice)
			wantExit(t, r, exit.Broken)
			lives := map[string]string{}
			for _, h := range r.Result("idle").Data.([]doctor.Held) {
				lives[h.Name] = h.End
				if h.Name == "websocket" && time.Duration(h.For) < test.silence {
					t.Errorf("it was cut after %s", h.For)
				}
				if h.End == "close" && (h.Code != 4000 || h.Reason != "bye\x1b") {
					t.Errorf("%+v", h)
				}
			}
			pinging := ""
			if test.always {
				pinging = "fin"
			}
			if lives["websocket"] != test.how || lives["websocket-pinging"] != pinging {
				t.Errorf("they ended by %q", lives)
			}
		}
	}
	atOnce(t, tests)
}

// What lives is said to live, and a proxy that cuts is found by streams and polls, too.
func idleServer(t *testing.T) {
	u := serve(t, server.Config{Dev: true, Heartbeat: 500 * time.Millisecond})
	brief := func(o *doctor.Options, _ *target.Options) { o.Idle = 1500 * time.Millisecond }
	atOnce(t, map[string]func(t *testing.T){
		"lives": func(t *testing.T) {
			r := examine(t, u+"/c/news", brief)
			want(t, r, "idle", doctor.OK, "event-stream, long-poll, websocket, websocket-pinging lived for")
		},
		"Socket.IO": func(t *testing.T) {
			want(t, examine(t, u+"/socket.io/", brief), "idle", doctor.OK, "socketio lived for")
		},
		"cut": func(t *testing.T) {
			r := examine(t, between(t, u, func(p *httputil.ReverseProxy) {
				p.Transport = cutting{}
				p.FlushInterval = -1
			})+"/c/news", func(o *doctor.Options, to *target.Options) { brief(o, to) })
			want(t, r, "idle", doctor.Fail, "event-stream after", "the end of the connection (FIN)", "lived")
			wantExit(t, r, exit.Broken)
		},
	})
}

// cutting is a transport over which event streams do not live long.
type cutting struct{}

func (cutting) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.Contains(r.Header.Get("Accept"), "event-stream") {
		return http.DefaultTransport.RoundTrip(r)
	}
	ctx, cancel := context.WithCancel(r.Context())
	response, err := http.DefaultTransport.RoundTrip(r.WithContext(ctx))
	time.AfterFunc(800*time.Millisecond, cancel)
	return response, err
}
