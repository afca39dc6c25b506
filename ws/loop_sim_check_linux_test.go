package ws_test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"baro.dev/ws"
)

// check looks at what has become of a connection.
func (r *simTrial) check(p *simPeer) {
	fail := func(format string, args ...any) { r.t.Errorf("%s: %s", p.name, fmt.Sprintf(format, args...)) }
	if !p.socket.Closed() {
		fail("its descriptor is open")
	}
	if p.opened == 0 && p.closed == 0 && (p.socket.Failed() || p.troubled.Load() || p.late()) {
		return // it went before its request was whole, or came too slowly
	}
	if p.opened != 1 || p.closed != 1 {
		fail("opened %d times, closed %d times", p.opened, p.closed)
		return
	}
	if held := p.conn.Load().Held(); held != "" {
		fail("it holds on to %s", held)
	}
	seen, err := parseOutput(r.t, p.socket.Output(), p.extensions)
	if err != io.EOF && err != io.ErrUnexpectedEOF {
		fail("what it sent is wrong: %v", err)
	}
	if n := min(len(p.messages), len(p.received)); !slices.Equal(p.messages[:n], p.received) {
		fail("received %d messages, which are not the first of %d", len(p.received), len(p.messages))
	}
	said := map[string][]string{}
	var pongs []string
	last := 0
	for _, s := range seen {
		switch s.op {
		case opPong:
			pongs = append(pongs, s.data)
		case opText, opBinary:
			sender, rest, _ := strings.Cut(s.data, ".")
			if sender != "published" {
				said[sender] = append(said[sender], s.data)
				continue
			}
			var n int
			if fmt.Sscanf(rest, "%d:", &n); n <= last && r.inline {
				fail("publication %d follows %d", n, last)
			}
			last = n
		}
	}
	closing := len(seen) > 0 && seen[len(seen)-1].op == opClose
	for sender, all := range said {
		if accepted := p.accepted[sender]; len(all) > len(accepted) || !slices.Equal(all, accepted[:len(all)]) {
			fail("of %s, %d messages were sent, which are not the first of %d", sender, len(all), len(accepted))
		}
	}
	if closing {
		// Closing never loses what was queued before it.
		for sender, all := range p.accepted {
			if len(said[sender]) != len(all) {
				fail("of %s, %d messages of %d were sent before the close frame", sender, len(said[sender]), len(all))
			}
		}
	}
	if !subsequence(pongs, p.pings) {
		fail("the pongs are %q to the pings %q", pongs, p.pings)
	}
	r.checkPeaceful(p, seen, len(pongs), err)
}

// checkFlow checks, after a while, that nothing waits for an event that has come.
func (r *simTrial) checkFlow(p *simPeer) {
	c := p.conn.Load()
	switch {
	case p.socket.Closed():
		return
	case c == nil:
		if p.socket.Failed() && r.server.Options.CheckOrigin == nil {
			r.t.Errorf("%s: it has gone without a request, which has not been noticed", p.name)
		}
		return
	}
	// What a handler has sent a moment ago may wait for what the next one sends, for a moment.
	for tries := 0; c.Buffered() > 0 && p.socket.HasRoom(); tries++ {
		if tries == 10 {
			r.t.Errorf("%s: %d bytes wait, although there is room", p.name, c.Buffered())
			break
		}
		r.settle(2 * time.Millisecond)
	}
	// RFC 6455 7.1.7: who fails a connection sends a close frame, and then nothing more.
	ce, ok := errors.AsType[*ws.CloseError](c.Err())
	if ok && !ce.Remote && !errors.Is(ce, ws.ErrClosed) && p.socket.HasRoom() && !p.socket.Ended() {
		r.t.Errorf("%s: it has failed with %v, and the stream goes on", p.name, ce)
	}
}

// checkRead checks, when all handlers have returned, that whatever the peer has sent has been read, its end included.
func (r *simTrial) checkRead(p *simPeer) {
	switch {
	case p.socket.Closed():
	case p.socket.Unread() > 0:
		r.t.Errorf("%s: %d bytes wait to be read", p.name, p.socket.Unread())
	case p.socket.Failed():
		r.t.Errorf("%s: its end has not been noticed", p.name)
	}
}

// checkPeaceful looks at a connection whose peer has ended it by the book, and which nothing has disturbed.
func (r *simTrial) checkPeaceful(p *simPeer, seen []sight, pongs int, end error) {
	ce, ok := errors.AsType[*ws.CloseError](p.err)
	if p.troubled.Load() || p.ending != endClose || ok && (ce.Code == ws.StatusPolicyViolation || ce.Code == ws.StatusAbnormalClosure) {
		return // too slow for the queue's policy, or for the keepalive's
	}
	if len(p.received) != len(p.messages) {
		r.t.Errorf("%s: %d messages of %d were received", p.name, len(p.received), len(p.messages))
	}
	if r.server.Options.Queue.MaxBytes == 0 && pongs != len(p.pings) {
		r.t.Errorf("%s: %d pings of %d were answered", p.name, pongs, len(p.pings))
	}
	if !ok || !ce.Remote || uint16(ce.Code) != p.code {
		r.t.Errorf("%s: closed with %v, want code %d", p.name, p.err, p.code)
	}
	if want := (sight{opClose, closePayload(p.code, "")}); end != io.EOF || len(seen) == 0 || seen[len(seen)-1] != want {
		r.t.Errorf("%s: the output, %d messages, does not end with %v: %v", p.name, len(seen), want, end)
	}
}

// subsequence reports whether all of a are in b, in order.
func subsequence(a, b []string) bool {
	for _, s := range b {
		if len(a) > 0 && a[0] == s {
			a = a[1:]
		}
	}
	return len(a) == 0
}
