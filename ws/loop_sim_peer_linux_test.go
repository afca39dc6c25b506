package ws_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"baro.dev/internal/eventloop/eventlooptest"
	"baro.dev/ws"
)

// simPeer is a client of a simulated connection: what it is going to send, decided beforehand, and what the server's side
// of it has seen and done.
type simPeer struct {
	name   string
	rng    *rand.Rand // of the handlers, which run one after another
	socket *eventlooptest.Socket

	request    string
	extensions string // that are agreed
	pending    []byte // has yet to be sent, the request included
	fed        int
	came       time.Time
	asked      time.Time // the request was whole
	messages   []string
	pings      []string
	ending     ending
	code       uint16 // of the close frame that it sends

	conn     atomic.Pointer[ws.Socket]
	handling atomic.Bool
	// Something has come between that may cost messages: it ends early, or is ended, or too slow.
	troubled atomic.Bool

	mu       sync.Mutex
	received []string
	accepted map[string][]string // what was sent without an error, by whom
	tried    map[string]int      // how often
	opened   int
	closed   int
	err      error // OnClose's
}

// ending is how a peer ends.
type ending int

const (
	endClose ending = iota // a closing handshake
	endStream
	endReset
	endViolation
	endNever
)

// newSimPeer makes up a script.
func newSimPeer(rng *rand.Rand, name, agreed string) *simPeer {
	p := &simPeer{
		name: name, rng: rand.New(rand.NewPCG(rng.Uint64(), 1)), request: with("X-Peer: " + name),
		accepted: map[string][]string{}, tried: map[string]int{}, came: time.Now(),
	}
	if agreed != "" {
		p.extensions = agreed
		p.request = with("X-Peer: "+name, "Sec-WebSocket-Extensions: "+agreed)
	}
	p.pending = []byte(p.request)
	for range rng.IntN(20) {
		switch rng.IntN(6) {
		case 0:
			p.ping(rng)
		case 1:
			p.add(pongFrame("nobody asked"))
		default:
			p.message(rng)
		}
	}
	p.ending = ending(rng.IntN(int(endNever) + 1))
	switch p.ending {
	case endClose:
		p.code = 1000 + uint16(rng.IntN(2))
		p.add(closeFrame(p.code, "bye"))
		if rng.IntN(4) == 0 {
			p.add(textFrame("after the close"))
		}
	case endViolation:
		wrong := []wireFrame{
			newFrame(fin|3, ""), textFrame("x").wronglyMasked(), textFrame("x").with(rsv2), textFrame("\xff"), newFrame(opPing, "x"),
			closeFrame(1005, ""), binaryFrame("x").announcing(1 << 62), lastFrame("x"),
		}
		p.add(wrong[rng.IntN(len(wrong))], textFrame("after the violation"))
	}
	return p
}

func (p *simPeer) add(frames ...wireFrame) {
	p.pending = append(p.pending, wireBytes(true, frames...)...)
}

func (p *simPeer) ping(rng *rand.Rand) {
	payload := fmt.Sprint("ping ", len(p.pings), pattern('p', rng.IntN(100)))
	p.pings = append(p.pings, payload)
	p.add(pingFrame(payload))
}

// message adds a message: in one frame, or in several with a ping between them.
func (p *simPeer) message(rng *rand.Rand) {
	size := rng.IntN(100)
	switch rng.IntN(12) {
	case 0:
		size = rng.IntN(90_000)
	case 1, 2:
		size = rng.IntN(6_000)
	case 3:
		size = 0
	}
	text := fmt.Sprintf("%s.%d:%s", p.name, len(p.messages), pattern(byte(size), size))
	p.messages = append(p.messages, text)
	op := byte(opText + rng.IntN(2))
	if p.extensions != "" && rng.IntN(2) == 0 {
		p.add(packedFrame(op, deflated(text)))
		return
	}
	pieces := 1
	if rng.IntN(3) == 0 {
		pieces = 2 + rng.IntN(3)
	}
	first := op
	for i := range pieces {
		cut := len(text)
		if i < pieces-1 {
			cut = rng.IntN(len(text) + 1)
		} else {
			first |= fin
		}
		p.add(newFrame(first, text[:cut]).keyed([4]byte{byte(rng.Uint32()), 1, 2, byte(i)}))
		text, first = text[cut:], opContinuation
		if i < pieces-1 && rng.IntN(3) == 0 {
			p.ping(rng)
		}
	}
}

// feed sends so many bytes more, and the end when there are none.
func (p *simPeer) feed(n int) {
	n = min(n, len(p.pending))
	p.socket.Feed(p.pending[:n])
	if p.fed += n; p.asked.IsZero() && p.fed >= len(p.request) {
		p.asked = time.Now()
	}
	if p.pending = p.pending[n:]; len(p.pending) == 0 {
		switch p.ending {
		case endStream:
			p.socket.End()
		case endReset:
			p.socket.Reset()
		}
	}
}

// late reports whether the request has not come in the time that a handshake has (Limits.HandshakeTimeout).
func (p *simPeer) late() bool { return p.asked.IsZero() || p.asked.Sub(p.came) >= 10*time.Second }

// send sends something on behalf of a sender, and remembers it.
func (p *simPeer) send(sender string, size int, send func(text string) error) {
	p.mu.Lock()
	text := fmt.Sprintf("%s.%d:%s", sender, p.tried[sender], pattern(byte(size), size))
	p.tried[sender]++
	p.mu.Unlock()
	if err := send(text); err != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.accepted[sender] = append(p.accepted[sender], text)
}
