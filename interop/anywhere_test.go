package interop

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"baro.dev/internal/cluster"
	"baro.dev/internal/cluster/carry"
	"baro.dev/internal/cluster/membus"
	"baro.dev/interop/roles"
	"baro.dev/socketio"
)

// TestAnywhere has the official clients use three servers of one cluster behind a balancer that sends each request to the next of them:
// what comes to another server than its session's is carried there.
func TestAnywhere(t *testing.T) {
	for version, ways := range map[int][][]string{4: transports, 2: transports[:1]} {
		for _, transports := range ways {
			t.Run(fmt.Sprintf("v%d/%s", version, strings.Join(transports, " to ")), func(t *testing.T) {
				t.Parallel()
				clients := 50
				if version != 4 {
					clients = 10
				}
				url, carriers := anywhere(t, 3, time.Second)
				checks(t, node(t, "socketio/anywhere.mjs", map[string]any{"version": version, "transports": transports, "url": url, "clients": clients}))
				var all carry.Stats
				for _, c := range carriers {
					s := c.Stats()
					all.Polls += s.Polls
					all.Sockets += s.Sockets
					all.Failed += s.Failed
					all.Unknown += s.Unknown
				}
				t.Logf("%d polls and %d WebSockets were carried", all.Polls, all.Sockets)
				if all.Failed+all.Unknown != 0 || all.Polls == 0 && transports[0] == "polling" || all.Sockets == 0 && len(transports) == 2 {
					t.Errorf("%+v", all)
				}
			})
		}
	}
}

// TestSurvivors has one of three servers die: its clients come back to the others.
func TestSurvivors(t *testing.T) {
	for _, transports := range transports {
		t.Run(strings.Join(transports, " to "), func(t *testing.T) {
			t.Parallel()
			url, _ := anywhere(t, 3, 300*time.Millisecond)
			checks(t, node(t, "socketio/survivors.mjs", map[string]any{"version": 4, "transports": transports, "url": url, "clients": 12}))
		})
	}
}

// anywhere starts n servers in the role clients, and the balancer, which kills the first of them by GET /die and tells its id, which
// those of its sessions begin with.
func anywhere(t *testing.T, n int, heartbeat time.Duration) (balancer string, carriers []*carry.Carrier) {
	t.Helper()
	var network membus.Network
	var proxies []*httputil.ReverseProxy
	var die []func()
	var ids []string
	for range n {
		bus := network.Bus()
		node, err := cluster.Join(bus, cluster.Options{Heartbeat: heartbeat})
		if err != nil {
			t.Fatal(err)
		}
		c := carry.New(node, carry.Options{})
		handler, end := roles.Clients(func(o *socketio.Options) {
			o.Engine.GenerateID, o.Engine.Elsewhere = c.GenerateID, c.Elsewhere
		})
		served := make(chan error, 1)
		go func() { served <- c.Serve(handler) }()
		site := httptest.NewUnstartedServer(handler)
		all := &conns{Listener: site.Listener}
		site.Listener = all
		site.Start()
		t.Cleanup(func() {
			end()
			_ = c.Close()
			<-served
			_ = node.Leave(context.WithoutCancel(t.Context()))
			site.Close()
		})
		to, err := url.Parse(site.URL)
		if err != nil {
			t.Fatal(err)
		}
		die = append(die, func() {
			bus.Cut(true, true)
			all.cut()
		})
		ids = append(ids, node.ID())
		carriers = append(carriers, c)
		proxies = append(proxies, &httputil.ReverseProxy{ErrorLog: log.New(io.Discard, "", 0), Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Host = r.In.Host
		}})
	}
	var next, dead atomic.Uint64
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/die" {
			dead.Store(1)
			die[0]()
			_, _ = io.WriteString(w, ids[0])
			return
		}
		from := dead.Load()
		proxies[from+next.Add(1)%(uint64(n)-from)].ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	return front.URL, carriers
}

// conns is a listener that can cut what it has accepted, and then accepts nothing any more.
type conns struct {
	net.Listener
	mu  sync.Mutex
	all []net.Conn
}

func (l *conns) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, nc)
	return struct{ net.Conn }{nc}, nil // the descriptor stays here
}

func (l *conns) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.Close()
	for _, nc := range l.all {
		nc.Close()
	}
}
