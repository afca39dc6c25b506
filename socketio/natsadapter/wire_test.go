package natsadapter_test

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"baro.dev/internal/testkit/brokers/embedded"
	"baro.dev/socketio"
	"baro.dev/socketio/internal/adaptertest"
	"baro.dev/socketio/natsadapter"
)

// What is longer than the broker takes comes in pieces; what is longer than allowed does not come, and is counted.
func TestLongMessages(t *testing.T) {
	t.Parallel()
	url := embedded.NATS(t, 1)[0].URL
	o := &natsadapter.Options{MaxMessageBytes: 4 << 20}
	a, b := join(t, url, o), join(t, url, o)
	a.sees(t, 2)
	b.sees(t, 2)
	var log []string
	for i := range 5 {
		log = append(log, strings.Repeat(fmt.Sprint(i), 100_000*(i+1)))
	}
	p := b.joined(t, "red", "blue")
	for i, text := range log { // up to 500 KB, some beyond one piece
		_ = a.To("red").Emit("long", text)
		_ = a.To("red", "blue").Emit("short", i)
		_ = a.To("red", "blue").Emit("both", text+text+text)
	}
	for i, text := range log {
		p.Expect(`2["long","`+text+`"]`, fmt.Sprintf(`2["short",%d]`, i), `2["both","`+text+text+text+`"]`)
	}
	before := a.cluster.Stats()
	_ = a.To("red").Emit("too long", strings.Repeat("x", 5<<20))
	_ = a.To("red").Emit("after it")
	p.Expect(`2["after it"]`)
	if s := a.cluster.Stats(); s.Unsent != before.Unsent+1 {
		t.Errorf("%+v", s)
	}
	_, err := a.ServerSideEmitWithAck(t.Context(), "e", strings.Repeat("x", 5<<20))
	if !errors.Is(err, natsadapter.ErrTooLarge) {
		t.Error(err)
	}
}

// Namespaces that only some servers have: nobody waits for the others.
func TestNamespacesOfSome(t *testing.T) {
	t.Parallel()
	url := embedded.NATS(t, 1)[0].URL
	o := quick()
	a, b, c := three(t, url, o)
	for _, m := range []*member{a, b} {
		m.OfPattern(regexp.MustCompile(`^/made-\d+$`))
	}
	pa, pb := adaptertest.Dial(t, a.url, "/made-1"), adaptertest.Dial(t, b.url, "/made-1")
	nsp := a.Of("/made-1")
	adaptertest.Until(t, "both have it", func() bool {
		n, err := nsp.Adapter().ServerCount(t.Context())
		return n == 2 && err == nil
	})
	all, err := nsp.FetchSockets(t.Context())
	if len(all) != 2 || err != nil {
		t.Errorf("%v %v", all, err)
	}
	_ = nsp.Emit("here")
	pa.Expect(`2/made-1,["here"]`)
	pb.Expect(`2/made-1,["here"]`)
	begin := time.Now()
	if all, err := c.Of("/its-own").FetchSockets(t.Context()); len(all) != 0 || err != nil || time.Since(begin) > 30*time.Second {
		t.Errorf("%v %v after %v", all, err, time.Since(begin))
	}
	// One that b has no more is not waited for either, while it is asked.
	b.Of("/made-1").OnServerSide("?", func(socketio.Args, func(any)) {})
	asked := make(chan error, 1)
	go func() {
		_, err := nsp.ServerSideEmitWithAck(t.Context(), "?")
		asked <- err
	}()
	adaptertest.Until(t, "it was asked", func() bool { return b.cluster.Stats().Events > 0 })
	if err := b.Of("/made-1").Adapter().Close(); err != nil {
		t.Error(err)
	}
	var servers *socketio.ServersError
	if err := <-asked; err != nil && !errors.As(err, &servers) {
		t.Error(err)
	}
	adaptertest.Until(t, "a alone has it", func() bool {
		n, _ := nsp.Adapter().ServerCount(t.Context())
		return n == 1
	})
}

// A Cluster is for one server, and a connection that it can hear itself by.
func TestNew(t *testing.T) {
	t.Parallel()
	url := embedded.NATS(t, 1)[0].URL
	a := join(t, url, nil)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("one Cluster for two servers")
			}
		}()
		socketio.NewServer(&socketio.Options{Adapter: a.cluster.Adapter})
	}()
	conn := dial(t, url)
	conn.Opts.NoEcho = true
	if _, err := natsadapter.New(conn, nil); err == nil {
		t.Error("a connection without an echo")
	}
	conn.Close()
	conn.Opts.NoEcho = false
	if _, err := natsadapter.New(conn, nil); !errors.Is(err, natsadapter.ErrClosed) {
		t.Error(err)
	}
	for _, o := range []natsadapter.Options{
		{Heartbeat: -1}, {RequestTimeout: -1}, {Heartbeat: time.Second, DeadAfter: time.Second}, {MaxPendingBytes: -1}, {MaxMessageBytes: -1},
		{Name: strings.Repeat("n", 256)},
	} {
		if _, err := natsadapter.New(a.conn, &o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}
