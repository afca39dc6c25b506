package doctor_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"baro.dev/channel"
	"baro.dev/engineio"
	"baro.dev/internal/cli/doctor"
	"baro.dev/internal/cli/exit"
	"baro.dev/internal/cli/target"
	"baro.dev/internal/server"
	"baro.dev/internal/testkit"
	"baro.dev/socketio"
)

// serve runs baro serve until the end of the test, and returns its URL.
func serve(t *testing.T, config server.Config) string {
	t.Helper()
	config.Listen, config.Log = "127.0.0.1:0", slog.New(slog.DiscardHandler)
	s, err := server.New(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	t.Cleanup(func() {
		s.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return strings.TrimSuffix(s.URLs()[0], "/")
}

// With baro serve everything works, over each version of HTTP that there is with TLS.
func serving(t *testing.T) {
	cert, key, _ := testkit.Certificate(t)
	secure := serve(t, server.Config{Dev: true, TLSCert: cert, TLSKey: key})
	r := examine(t, secure+"/c/news", func(o *doctor.Options, to *target.Options) { to.CAFile, o.Publish = cert, true })
	if r.Kind != doctor.Channel {
		t.Errorf("it is %q", r.Kind)
	}
	want(t, r, "tls", doctor.Warn, "by itself", "expires in") // it is valid for a day
	for _, result := range r.Results {
		if result.Status != doctor.OK && result.Name != "tls" && result.Name != "dns" && result.Name != "idle" {
			t.Errorf("%s: %s: %s", result.Name, result.Status, result.Detail)
		}
	}

	open := serve(t, server.Config{Dev: true})
	for path, checks := range map[string][]string{
		"":            {"handshake", "websocket", "poll", "long-poll", "event-stream", "ndjson", "socketio-polling", "socketio-websocket", "socketio-upgrade"},
		"/ws":         {"handshake", "websocket", "poll"},
		"/socket.io/": {"handshake", "websocket", "socketio-polling", "socketio-upgrade"},
	} {
		r := examine(t, open+path, nil)
		wantExit(t, r, exit.OK)
		for _, name := range checks {
			want(t, r, name, doctor.OK)
		}
	}
}

// A server that refuses says so, and what would help.
func TestRefused(t *testing.T) {
	t.Parallel()
	all, err := channel.ParsePattern("**")
	if err != nil {
		t.Fatal(err)
	}
	url := serve(t, server.Config{Anonymous: true, Rules: []server.Rule{{Pattern: all}}})
	r := examine(t, url+"/c/news", nil)
	want(t, r, "poll", doctor.Fail, "401 Unauthorized", "(unauthorized)", "--token")
	want(t, r, "long-poll", doctor.Skipped)
	want(t, r, "socketio-polling", doctor.OK)
	wantExit(t, r, exit.Refused)
}

// between is a proxy between the doctor and a server, whose director may change requests and answers.
func between(t *testing.T, to string, change func(p *httputil.ReverseProxy)) string {
	t.Helper()
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{ErrorLog: quiet, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(u)
		r.Out.Host = r.In.Host
	}}
	change(proxy)
	front := httptest.NewServer(proxy)
	t.Cleanup(front.Close)
	return front.URL
}

// slowly is a body that a proxy holds back: until it is whole, or the client goes.
type held struct {
	io.ReadCloser
	r *http.Request
}

func (h held) Read([]byte) (int, error) {
	<-h.r.Context().Done()
	return 0, h.r.Context().Err()
}

// What a proxy in front of baro serve does wrong is found.
func behindProxy(t *testing.T) {
	u := serve(t, server.Config{Dev: true, Heartbeat: time.Minute})
	slow := func(o *doctor.Options, _ *target.Options) { o.Slow, o.Publish = 2*time.Second, true }

	atOnce(t, map[string]func(t *testing.T){
		"holds streams back": func(t *testing.T) {
			r := examine(t, between(t, u, func(p *httputil.ReverseProxy) {
				p.ModifyResponse = func(r *http.Response) error {
					if strings.HasPrefix(r.Header.Get("Content-Type"), "text/event-stream") {
						r.Body = held{r.Body, r.Request}
					}
					return nil
				}
			})+"/c/news", slow)
			want(t, r, "event-stream", doctor.Fail, "does not come within 2 s", "holds answers back")
			want(t, r, "delivery", doctor.Fail, "over event-stream; it did over websocket")
			wantExit(t, r, exit.Broken)
		},
		"holds heads back": func(t *testing.T) {
			r := examine(t, between(t, u, func(p *httputil.ReverseProxy) {
				p.ModifyResponse = func(r *http.Response) error {
					r.Header.Set("Server", "nginx")
					if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-ndjson") {
						<-r.Request.Context().Done()
					}
					return nil
				}
			})+"/c/news", slow)
			want(t, r, "ndjson", doctor.Warn, "the head of the stream does not come within 2 s", "proxy_buffering off")
			want(t, r, "event-stream", doctor.OK)
			want(t, r, "delivery", doctor.Fail, "over ndjson")
		},
		"takes the upgrade away": func(t *testing.T) {
			r := examine(t, between(t, u, func(p *httputil.ReverseProxy) {
				p.Rewrite = func(r *httputil.ProxyRequest) {
					to, _ := url.Parse(u)
					r.SetURL(to)
					r.Out.Header.Del("Upgrade")
					r.Out.Header.Del("Connection")
				}
			})+"/c/news", nil)
			want(t, r, "handshake", doctor.Fail, "the server has not seen Upgrade", "pass on Upgrade")
			want(t, r, "socketio-websocket", doctor.Fail, "clients stay with polling")
			want(t, r, "event-stream", doctor.OK)
			wantExit(t, r, exit.Refused)
		},
		"compresses": func(t *testing.T) {
			r := examine(t, between(t, u, func(p *httputil.ReverseProxy) {
				p.ModifyResponse = func(r *http.Response) error {
					if strings.HasPrefix(r.Header.Get("Content-Type"), "text/event-stream") {
						r.Header.Set("Content-Encoding", "br")
					}
					return nil
				}
			})+"/c/news", nil)
			want(t, r, "event-stream", doctor.Warn, "compressed on the way (br)", "gzip_types")
			wantExit(t, r, exit.Failed)
		},
		"cuts polls": func(t *testing.T) {
			r := examine(t, between(t, u, func(p *httputil.ReverseProxy) {
				p.ModifyResponse = func(r *http.Response) error {
					if r.Request.URL.Query().Has("wait") {
						r.StatusCode, r.Body, r.ContentLength = http.StatusGatewayTimeout, http.NoBody, 0
						r.Header.Del("Content-Length")
					}
					return nil
				}
			})+"/c/news", nil)
			want(t, r, "long-poll", doctor.Fail, "504", "timeout")
			wantExit(t, r, exit.Broken)
		},
		"forgets queries": func(t *testing.T) {
			r := examine(t, between(t, u, func(p *httputil.ReverseProxy) {
				rewrite := p.Rewrite
				p.Rewrite = func(r *httputil.ProxyRequest) {
					rewrite(r)
					r.Out.URL.RawQuery = strings.Replace(r.Out.URL.RawQuery, "wait", "w", 1)
				}
			})+"/c/news", nil)
			want(t, r, "long-poll", doctor.Warn, "The query is lost")
			wantExit(t, r, exit.Failed)
		},
	})
}

// sockets is a server of Socket.IO, until the end of the test.
func sockets(t *testing.T) *httptest.Server {
	t.Helper()
	io := socketio.NewServer(nil)
	server := httptest.NewServer(io)
	t.Cleanup(func() {
		now, cancel := context.WithCancel(context.Background())
		cancel()
		_ = io.Close(now) // without waiting for who is between two polls
		server.Close()
	})
	return server
}

// Two servers of Socket.IO behind a balancer that takes each in turn, or knows its clients by a cookie.
func TestBalancer(t *testing.T) {
	t.Parallel()
	var servers [2]*httptest.Server
	for i := range servers {
		servers[i] = sockets(t)
	}
	balancer := func(sticky bool) string {
		return between(t, servers[0].URL, func(p *httputil.ReverseProxy) {
			p.Rewrite = func(r *httputil.ProxyRequest) {
				n := 0
				if r.In.URL.Query().Has("sid") {
					n = 1 // never where the session is
				}
				if c, err := r.In.Cookie("SERVERID"); sticky && err == nil {
					_, _ = fmt.Sscan(c.Value, &n)
				}
				to, _ := url.Parse(servers[n%2].URL)
				r.SetURL(to)
				r.Out.Header.Set("X-Turn", fmt.Sprint(n%2))
			}
			p.ModifyResponse = func(r *http.Response) error {
				r.Header.Add("Set-Cookie", "SERVERID="+r.Request.Header.Get("X-Turn"))
				return nil
			}
		})
	}
	r := examine(t, balancer(false), nil)
	want(t, r, "socketio-polling", doctor.Fail, "does not know the session", "sticky")
	r = examine(t, balancer(true), nil)
	want(t, r, "socketio-polling", doctor.OK, "cookies")
	want(t, r, "socketio-upgrade", doctor.OK)
	want(t, r, "cookies", doctor.OK, "SERVERID")
	if e := r.Result("socketio-polling").Data.(*doctor.Engine); !e.Cookies {
		t.Errorf("%+v", e)
	}
}

func TestEngineIO(t *testing.T) {
	t.Parallel()
	engine := &engineio.Server{}
	defer func() { _ = engine.Close() }()
	server := httptest.NewServer(engine)
	defer server.Close()
	r := examine(t, server.URL+"/engine.io/", nil)
	want(t, r, "socketio-polling", doctor.OK, "a session in")
	want(t, r, "socketio-upgrade", doctor.OK)
	wantExit(t, r, exit.OK)
}

func socketIO(t *testing.T) {
	server := sockets(t)
	r := examine(t, server.URL, nil)
	if r.Kind != doctor.SocketIO {
		t.Errorf("it is %q", r.Kind)
	}
	wantExit(t, r, exit.OK)
	for _, name := range []string{"handshake", "websocket", "socketio-polling", "socketio-websocket", "socketio-upgrade"} {
		want(t, r, name, doctor.OK)
	}
	e := r.Result("socketio-polling").Data.(*doctor.Engine)
	if time.Duration(e.PingInterval) != 25*time.Second || e.Deliver <= 0 {
		t.Errorf("%+v", e)
	}

	// A proxy holds back the answers to polls that wait.
	r = examine(t, between(t, server.URL, func(p *httputil.ReverseProxy) {
		p.ModifyResponse = func(r *http.Response) error {
			if r.Request.Method == http.MethodGet && r.Request.URL.Query().Has("sid") && r.Request.Header.Get("Upgrade") == "" {
				<-r.Request.Context().Done()
			}
			return nil
		}
	}), func(o *doctor.Options, _ *target.Options) { o.Slow = 2 * time.Second })
	want(t, r, "socketio-polling", doctor.Fail, "a poll that waits is not answered", "holds answers back")
	wantExit(t, r, exit.Broken)

	// A server of version 2 speaks Engine.IO 3.
	old := answering(t, func(r *http.Request, conn net.Conn) {
		body := `{"code":5,"message":"Unsupported protocol version"}`
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(body), body)
	})
	want(t, examine(t, "http://"+old, nil), "socketio-polling", doctor.Fail, "Socket.IO 2")
}

// Event streams of others.
func events(t *testing.T) {
	stream := func(t *testing.T, begin string, more func(conn net.Conn)) string {
		return "http://" + accepting(t, func(conn net.Conn) {
			requests := bufio.NewReader(conn)
			for {
				r, err := http.ReadRequest(requests)
				if err != nil {
					return
				}
				if !strings.Contains(r.Header.Get("Accept"), "event-stream") {
					_, _ = io.WriteString(conn, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
					continue
				}
				_, _ = io.WriteString(conn, begin)
				if more != nil {
					more(conn)
				}
				return
			}
		}) + "/events"
	}
	const head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
	hold := func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }
	brief := func(o *doctor.Options, _ *target.Options) { o.Slow = 2 * time.Second }

	r := examine(t, stream(t, head+"6\r\nevent:\r\n", hold), nil)
	want(t, r, "event-stream", doctor.OK, "first line in")
	want(t, r, "handshake", doctor.Skipped)
	wantExit(t, r, exit.OK)
	if r.Kind != doctor.Events {
		t.Errorf("it is %q", r.Kind)
	}
	atOnce(t, map[string]func(t *testing.T){
		"silent": func(t *testing.T) {
			want(t, examine(t, stream(t, head, hold), brief), "event-stream", doctor.OK, "silent since")
		},
		"over": func(t *testing.T) {
			want(t, examine(t, stream(t, head+"0\r\n\r\n", nil), nil), "event-stream", doctor.Fail, "ends at once")
		},
		"held back": func(t *testing.T) { // nothing says what it is, so it has to be asked for by name
			r := examine(t, stream(t, "", hold), func(o *doctor.Options, to *target.Options) {
				brief(o, to)
				o.Protocol, o.Timeout = doctor.Events, 6*time.Second
			})
			want(t, r, "event-stream", doctor.Fail, "the head of the stream does not come", "flush")
			wantExit(t, r, exit.Broken)
		},
		"a page": func(t *testing.T) {
			want(t, examine(t, stream(t, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 0\r\n\r\n", nil), func(o *doctor.Options, _ *target.Options) {
				o.Protocol = doctor.Events
			}), "event-stream", doctor.Fail, "text/html")
		},
		"endless": func(t *testing.T) {
			want(t, examine(t, stream(t, head, func(conn net.Conn) {
				var err error
				for err == nil {
					_, err = io.WriteString(conn, "400\r\n"+strings.Repeat("x", 1024)+"\r\n")
				}
			}), nil), "event-stream", doctor.OK)
		},
	})
}
