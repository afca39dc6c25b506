package ws_test

import (
	"bytes"
	"runtime"
	"strings"
	"testing"
	"time"

	"baro.dev/ws"
)

// A burden is what many peers do at once to be remembered by the other side.
type burden struct {
	item    string
	deflate string
	limits  ws.Limits
	in      []wireFrame
	times   int   // in is sent so often
	each    int64 // bytes that a connection may cost more than an idle one
}

func burdens() []burden {
	gigabytes := ws.Limits{MaxMessageSize: 8 << 30, MaxFragments: -1, MaxControlFrames: -1}
	x := func(n int) string { return strings.Repeat("x", n) }
	return []burden{
		{item: "9 announces 1 GB and sends a byte", limits: gigabytes, in: frames(binaryFrame("x").announcing(1 << 30)), each: 16 << 10},
		{item: "9 announces 1 GB and sends 10 KB", limits: gigabytes, in: frames(binaryFrame(x(10_000)).announcing(1 << 30)), each: 48 << 10},
		{item: "8 announces 2^63-1 where there is no limit, and sends a byte", limits: unlimited, in: frames(textFrame("x").announcing(1<<63 - 1)), each: 16 << 10},
		{item: "9 announces 1 GB compressed and sends a byte", deflate: takeover, limits: gigabytes, in: frames(packedFrame(opBinary, "\x00").announcing(1 << 30)), each: 16 << 10},
		{item: "9 half a header", in: frames(rawBytes("\x82")), each: 16 << 10},
		{item: "12 half a message", in: frames(firstFrame(opText, "x"), nextFrame("y")), each: 16 << 10},
		{item: "11 half a ping", in: frames(pingFrame("x").announcing(125)), each: 16 << 10},
		{item: "14 half a close frame", in: frames(closeFrame(1000, "").announcing(100)), each: 16 << 10},
		{item: "15 half a compressed message", deflate: takeover, in: frames(firstFrame(opText, helloPacked).with(rsv1)), each: 16 << 10},
		{item: "15 both windows of context takeover, and nothing more", deflate: takeover, in: frames(packedFrame(opBinary, deflated(randomBytes(40_000)))), each: 80 << 10},
		// Not 32 KB for each direction; a stack that has grown while inflating is 16 KB under the race detector.
		{item: "15 small windows", deflate: smallWindows, in: frames(packedFrame(opBinary, deflated(randomBytes(400)))), times: 10, each: 28 << 10},
		{item: "11 pings, and the pongs are not read", limits: unlimited, in: frames(pingFrame(x(125))), times: 30_000, each: 2 << 20},
		{item: "16 messages, and the answers are not read", in: frames(binaryFrame(x(100_000))), times: 50, each: 3 << 20},
	}
}

// What a hostile peer announces costs nothing, and what it sends no more than its size, on servers and clients alike.
func TestHostileMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("under the race detector stacks are larger, and sync.Pool forgets at random: make cover runs it without")
	}
	all := burdens()
	for _, s := range []subject{subjects[0], subjects[3], subjects[5]} {
		t.Run(s.name, func(t *testing.T) {
			// What an earlier test left may go while this is weighed, and make it too light.
			idle := max(burden{item: "nothing"}.weigh(t, s), 24<<10)
			for _, b := range all {
				t.Run(b.item, func(t *testing.T) {
					if cost := b.weigh(t, s) - idle; cost > b.each {
						t.Errorf("%d bytes for each connection, want at most %d", cost, b.each)
					}
				})
			}
		})
	}
	t.Logf("%d items", len(all))
}

// weigh returns what such a connection costs, the test's end of it included.
func (b burden) weigh(t *testing.T, s subject) int64 {
	noLeaks(t)
	b.limits.CloseTimeout = time.Second
	st := newStand(t, s, "tcp", options{
		AcceptOptions: ws.AcceptOptions{Compression: compression(b.deflate), Limits: b.limits, Queue: ws.Queue{Full: ws.Drop}},
		extensions:    b.deflate,
	})
	peers := 100
	if b.times > 10 {
		peers = 3
	}
	var all []*peer
	defer func() {
		for _, p := range all {
			p.Close()
			<-p.ended
		}
	}()
	in := bytes.Repeat(wireBytes(!s.client, b.in...), max(b.times, 1))
	before := settled()
	for range peers {
		p, err := st.openMute(t)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
		go p.sendBytes(in) // a side that waits for its answers to be read takes no more
	}
	taken(t, all, len(in) > megabyte)
	cost := (settled() - before) / int64(peers)
	runtime.KeepAlive(in)
	t.Logf("%.1f KB for each connection", float64(cost)/1024)
	for _, p := range all {
		select {
		case err := <-p.ended:
			t.Errorf("ended: %v", err)
			p.ended <- err
		default:
		}
	}
	return cost
}
