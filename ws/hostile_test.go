package ws_test

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"baro.dev/internal/testkit"
	"baro.dev/ws"
)

// noLeaks fails the test if, when all else of it is over, there are more goroutines or descriptors than at its start.
func noLeaks(t *testing.T) {
	t.Helper()
	testTLS() // what is kept for all tests
	if _, err := loopback(); err != nil {
		t.Fatal(err)
	}
	testkit.NoLeaks(t)
}

// allocated returns how many bytes have been allocated so far, whether or not they are still in use.
func allocated() int64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.TotalAlloc)
}

// inUse returns how many bytes of the heap and of stacks are in use.
func inUse() int64 {
	runtime.GC()
	runtime.GC() // what was in a sync.Pool
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// settled is inUse when it gets no smaller any more: what is still being handled holds buffers, and what others have left behind
// goes bit by bit.
func settled() int64 {
	least := inUse()
	for range 50 {
		time.Sleep(5 * time.Millisecond)
		now := inUse()
		if now > least-32<<10 {
			return min(now, least)
		}
		least = now
	}
	return least
}

const megabyte = 1 << 20

// An attack is what a hostile peer does, of groups 8 to 15 of the list of hostile inputs, and what has to come of it: the right
// close code, bounded memory, nothing left behind, and nothing noticed by other connections.
type attack struct {
	item    string // with the number of its group
	only    string // the side under test, if not both
	deflate string
	limits  ws.Limits
	first   []wireFrame // sent before in
	in      []wireFrame
	times   int           // in is sent so often
	then    []wireFrame   // sent after that
	act     func(p *peer) // instead of in
	// fails is the code with which the connection has to be failed, closes that with which the peer closes it (1005:
	// none). Without either it goes on.
	fails, closes uint16
	echoes        int // how many messages and pongs have to come back, if at least one
	spends        int64
}

// attacked are the sides that are attacked, one for each role and API.
var attacked = []subject{subjects[0], subjects[2], subjects[3], subjects[4], subjects[5]}

func attacks() []attack {
	var all []attack
	for _, some := range [][]attack{
		lengthAttacks(), frameAttacks(), controlAttacks(), fragmentAttacks(), textAttacks(), closeAttacks(), deflateAttacks(),
	} {
		all = append(all, some...)
	}
	return all
}

func TestHostileFrames(t *testing.T) {
	all := attacks()
	for _, s := range attacked {
		t.Run(s.name, func(t *testing.T) {
			for _, a := range all {
				if a.only != "" && a.only != s.side() || a.times > 0 && (s.api == "Reader" || s.api == "Inline") {
					continue
				}
				a.run(t, s)
			}
		})
	}
	t.Logf("%d items", len(all))
}

func (a attack) run(t *testing.T, s subject) {
	t.Run(a.item, func(t *testing.T) {
		noLeaks(t)
		st := newStand(t, s, "tcp", options{
			AcceptOptions: ws.AcceptOptions{Compression: compression(a.deflate), Limits: a.limits},
			extensions:    a.deflate,
		})
		witness, err := st.open(t)
		if err != nil {
			t.Fatal(err)
		}
		defer witness.Close()
		p, err := st.open(t)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		act := a.act
		if act == nil {
			b := bytes.Repeat(wireBytes(!s.client, a.in...), max(a.times, 1))
			b = append(append(wireBytes(!s.client, a.first...), b...), wireBytes(!s.client, a.then...)...)
			act = func(p *peer) { p.sendBytes(b) }
		}
		before := allocated()
		if err := a.against(p, act); err != nil {
			t.Error(err)
		}
		spends := a.spends
		if spends == 0 {
			spends = 8 * megabyte
		}
		if spent := allocated() - before; spent > spends {
			t.Errorf("%.1f MB allocated", float64(spent)/megabyte)
		}
		// The others have noticed nothing.
		if err := witness.echo("after"); err != nil {
			t.Error(err)
		}
		another, err := st.open(t)
		if err != nil {
			t.Fatal(err)
		}
		defer another.Close()
		if err := another.echo("anew"); err != nil {
			t.Error(err)
		}
	})
}

// echo sends a text and waits for it.
func (p *peer) echo(s string) error {
	if err := p.send(textFrame(s)); err != nil {
		return err
	}
	return p.expect(sawText(s))
}

// against has the peer act and looks at what comes of it.
func (a attack) against(p *peer, act func(*peer)) error {
	const alive = "still here"
	done := make(chan struct{})
	defer func() { <-done }()
	go func() {
		defer close(done)
		act(p)
		if a.fails == 0 && a.closes == 0 {
			p.send(textFrame(alive))
		}
	}()
	defer p.Close() // lets act end
	seen := 0
	for s := range p.sights {
		if s == sawText(alive) {
			if a.echoes > 0 && seen != a.echoes {
				return fmt.Errorf("%d answers, want %d", seen, a.echoes)
			}
			return a.end(p)
		}
		if s.op == opClose {
			return a.closed(p, s)
		}
		seen++
	}
	return fmt.Errorf("%d answers, then %w", seen, p.end)
}

// end closes what has survived.
func (a attack) end(p *peer) error {
	if a.fails != 0 || a.closes != 0 {
		return errors.New("the connection goes on")
	}
	p.send(closeFrame(1000, ""))
	a.closes = 1000
	s, ok := <-p.sights
	if !ok {
		return p.end
	}
	return a.closed(p, s)
}

// closed looks at a close frame and what comes after it.
func (a attack) closed(p *peer, s sight) error {
	code, remote := a.fails, false
	if code == 0 {
		code, remote = a.closes, true
	}
	want := closePayload(code, "")
	if code == 1005 {
		want = ""
	}
	if s.op != opClose || s.data[:min(2, len(s.data))] != want {
		return fmt.Errorf("%v, want a close frame with %d", s, code)
	}
	failure, err := p.expectEnd(!remote || !p.stand.client)
	if err != nil {
		return err
	}
	ce, ok := errors.AsType[*ws.CloseError](failure)
	if !ok || uint16(ce.Code) != code || ce.Remote != remote {
		return fmt.Errorf("the API says %v, want %d", failure, code)
	}
	return nil
}
