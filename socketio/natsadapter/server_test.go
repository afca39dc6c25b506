package natsadapter_test

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"baro.dev/socketio"
	"baro.dev/socketio/internal/adaptertest"
	"baro.dev/socketio/natsadapter"
)

// member is a server of a cluster.
type member struct {
	*socketio.Server
	cluster *natsadapter.Cluster
	conn    *nats.Conn
	url     string
}

func join(t testing.TB, url string, o *natsadapter.Options) *member {
	t.Helper()
	m := &member{conn: dial(t, url)}
	m.cluster = cluster(t, m.conn, o)
	m.Server, m.url = adaptertest.Serve(t, m.cluster.Adapter)
	return m
}

// three are servers that know each other.
func three(t testing.TB, url string, o *natsadapter.Options) (a, b, c *member) {
	t.Helper()
	a, b, c = join(t, url, o), join(t, url, o), join(t, url, o)
	for _, m := range []*member{a, b, c} {
		m.sees(t, 3)
	}
	return a, b, c
}

// sees waits until a server knows so many, itself among them.
func (m *member) sees(t testing.TB, servers int) {
	t.Helper()
	adaptertest.Until(t, "as many servers as there are", func() bool {
		n, err := m.Adapter().ServerCount(t.Context())
		return err == nil && n == servers
	})
}

func (m *member) client(t testing.TB) *adaptertest.Client {
	t.Helper()
	return adaptertest.Dial(t, m.url, "/")
}

// joined is a client in rooms, of which the other servers know.
func (m *member) joined(t testing.TB, rooms ...string) *adaptertest.Client {
	t.Helper()
	c := m.client(t)
	m.Socket(c.ID).Join(rooms...)
	m.flush(t)
	return c
}

func (m *member) flush(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), adaptertest.Patience)
	defer cancel()
	if err := m.cluster.Flush(ctx); err != nil {
		t.Fatal(err)
	}
}

// proxy is a way to a broker that can be cut, or stand still.
type proxy struct {
	net.Listener
	to string

	mu    sync.Mutex
	still chan struct{} // closed when it goes on; nil: it does
	conns []net.Conn
	cut   bool
}

func newProxy(t testing.TB, url string) *proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{Listener: l, to: strings.TrimPrefix(url, "nats://")}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { p.serve(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		p.stand(false)
		p.sever(true)
		serving.Wait()
	})
	return p
}

func (p *proxy) url() string { return "nats://" + p.Addr().String() }

func (p *proxy) serve(c net.Conn) {
	up, err := net.Dial("tcp", p.to)
	if err != nil {
		_ = c.Close()
		return
	}
	p.mu.Lock()
	if p.cut {
		_, _ = c.Close(), up.Close()
	}
	p.conns = append(p.conns, c, up)
	p.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { p.carry(c, up) })
	both.Go(func() { p.carry(up, c) })
	both.Wait()
}

func (p *proxy) carry(dst, src net.Conn) {
	defer dst.Close()
	defer src.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := src.Read(buffer)
		if err != nil {
			return
		}
		p.mu.Lock()
		still := p.still
		p.mu.Unlock()
		if still != nil {
			<-still
		}
		if _, err := dst.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// stand has nothing pass, and no end of a connection be seen, as if the process at one end were stopped.
func (p *proxy) stand(still bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.still != nil {
		close(p.still)
		p.still = nil
	}
	if still {
		p.still = make(chan struct{})
	}
}

// sever ends what there is; with cut nothing new gets through either.
func (p *proxy) sever(cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = cut
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.conns = nil
}

// quick has servers called dead soon.
func quick() *natsadapter.Options {
	return &natsadapter.Options{Heartbeat: 50 * time.Millisecond, DeadAfter: 2 * time.Second, RequestTimeout: time.Minute}
}
