package ws_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"baro.dev/internal/eventloop/eventlooptest"
	"baro.dev/ws"
)

// multitude is a simulation of very many connections, each of which is to receive one thing at a time.
type multitude struct {
	*simulation
	t       *testing.T
	sockets []*eventlooptest.Socket
	got     []uint16 // bytes that have come in answer, by descriptor
	want    func(fd int) []byte
	left    int // bytes that have yet to come
	wrong   int
	came    chan struct{} // nothing is left
	input   []byte        // what is being sent to some
	aTime   int           // how many are sent something before the loops go on
}

func newMultitude(t *testing.T, server *ws.Server, n int) *multitude {
	m := &multitude{simulation: newSimulation(server, 1, n+10), t: t, came: make(chan struct{}, 1), aTime: 10_000}
	if !server.Inline {
		m.aTime = 500 // what Go keeps of a goroutine for the next one is not weighed
	}
	m.sys.Sink = m.sink
	m.sockets = make([]*eventlooptest.Socket, n)
	m.got = make([]uint16, n+10)
	m.input = make([]byte, 0, m.aTime*(len(request())+100))
	for i := range m.sockets {
		m.sockets[i] = m.sys.Open()
	}
	return m
}

// sink compares what a connection is sent, bit by bit. It is called for one at a time.
func (m *multitude) sink(c *eventlooptest.Socket, p []byte) {
	got := &m.got[c.Fd()-firstSimulated]
	if !bytes.HasPrefix(m.want(c.Fd())[*got:], p) {
		m.wrong++
	}
	*got += uint16(len(p))
	if m.left -= len(p); m.left == 0 {
		m.came <- struct{}{}
	}
}

// exchange has each of the connections send what input appends, and expects want, so many at a time.
func (m *multitude) exchange(input func(dst []byte, c *eventlooptest.Socket) []byte, want func(fd int) []byte) {
	m.t.Helper()
	m.want = want
	clear(m.got)
	for first := 0; first < len(m.sockets); first += m.aTime {
		some := m.sockets[first:min(first+m.aTime, len(m.sockets))]
		m.input = m.input[:0]
		for _, c := range some {
			at := len(m.input)
			m.input = input(m.input, c)
			m.left += len(want(c.Fd()))
			c.Feed(m.input[at:])
		}
		m.sys.Run()
		select {
		case <-m.came: // handlers may have a goroutine
		case <-time.After(patience):
			m.t.Errorf("%d bytes do not come", m.left)
		}
		for _, c := range some {
			if n, want := int(m.got[c.Fd()-firstSimulated]), want(c.Fd()); n != len(want) || c.Unread() > 0 {
				m.t.Fatalf("connection %d has received %d bytes of %q; %d are unread", c.Fd(), n, want, c.Unread())
			}
		}
	}
	if m.wrong > 0 {
		m.t.Fatalf("%d writes were of something else than expected", m.wrong)
	}
}

// weigh returns the bytes of heap and stacks that each connection takes, and waits a while for what ends by itself if they
// are more than expected.
func (m *multitude) weigh(before int64, expected float64) (each float64) {
	for start := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		each = float64(inUse()-before) / float64(len(m.sockets))
		if each <= expected || time.Since(start) > 3*time.Second {
			return each
		}
	}
}

// A million idle connections take no more than 500 bytes each, all told; and no more after each has echoed a message, which
// it does with its own bytes, and nothing when they are gone.
func TestMillionConnections(t *testing.T) {
	for _, inline := range []bool{true, false} {
		n := 1_000_000
		name := "Inline"
		if !inline {
			name, n = "Server", 100_000 // each has a goroutine when its message comes
		}
		if testing.Short() || raceEnabled {
			n = min(n, 100_000)
		}
		t.Run(name, func(t *testing.T) { testMultitude(t, inline, n) })
	}
}

func testMultitude(t *testing.T, inline bool, n int) {
	noLeaks(t)
	const most = 500 // bytes, issue "Loops"
	answer := welcome(t)
	opened, closed := 0, 0
	m := newMultitude(t, &ws.Server{
		Inline:    inline,
		Options:   ws.AcceptOptions{Keepalive: ws.Keepalive{Interval: time.Hour}},
		OnMessage: echoBack,
	}, n+1)
	if inline { // on one goroutine
		m.server.OnOpen = func(*ws.Socket, *http.Request) { opened++ }
		m.server.OnClose = func(*ws.Socket, error) { closed++ }
	}
	defer m.end(t)
	head := []byte(request() + "\r\n")
	connect := func() {
		m.exchange(
			func(dst []byte, c *eventlooptest.Socket) []byte {
				if err := m.server.Visit(c.Fd()); err != nil {
					t.Fatal(err)
				}
				return append(dst, head...)
			},
			func(int) []byte { return answer },
		)
	}
	// What the loop takes for itself is not weighed: it has one connection all the time.
	all := m.sockets
	m.sockets = all[:1]
	connect()
	m.sockets = all[1:]
	before := inUse()
	began := time.Now()
	connect()
	took := time.Since(began)
	idle := m.weigh(before, most)
	if m.server.Len() != n+1 || inline && opened != n+1 {
		t.Fatalf("%d connections, %d opened", m.server.Len(), opened)
	}

	began = time.Now()
	payload := []byte(strings.Repeat("x", 64))
	frame := append([]byte{0x82, 64}, payload...)
	m.exchange(
		func(dst []byte, c *eventlooptest.Socket) []byte {
			binary.BigEndian.PutUint64(payload, uint64(c.Fd()))
			return binaryFrame(string(payload)).keyed([4]byte{byte(rand.Uint32()), 2, 3, 4}).append(dst, true)
		},
		func(fd int) []byte {
			binary.BigEndian.PutUint64(frame[2:], uint64(fd))
			return frame
		},
	)
	echoed := time.Since(began)
	after := m.weigh(before, idle*1.02)
	t.Logf("%d connections: %.1f B each, %.1f B after an echo; opened in %v, echoed in %v", n, idle, after, took, echoed)
	if !raceEnabled { // its own memory is not the connections'
		if idle > most || after > most {
			t.Errorf("more than %d B a connection", most)
		}
		if after > idle*1.02 {
			t.Errorf("an echo leaves %.1f B behind", after-idle)
		}
	}

	bye := wireBytes(true, closeFrame(1001, ""))
	goodbye := append([]byte{0x88, 2}, closePayload(1001, "")...)
	m.exchange(func(dst []byte, _ *eventlooptest.Socket) []byte { return append(dst, bye...) }, func(int) []byte { return goodbye })
	m.sys.Run()
	if inline && closed != n {
		t.Errorf("%d connections were closed", closed)
	}
	if rest := m.weigh(before, 20); !raceEnabled && rest > 20 {
		t.Errorf("%.1f B of each connection are left", rest)
	}
}
