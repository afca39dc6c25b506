package ws_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"baro.dev/ws"
)

// An endRow is an end of the stream without a closing handshake. RFC 6455 7.1.5: if no close frame was received, the
// code is considered to be 1006.
type endRow struct {
	says  string
	in    []wireFrame
	out   []sight
	reset bool // by a TCP reset
}

func endRows() []endRow {
	all := []endRow{
		{says: "at once"},
		{says: "after a message", in: frames(textFrame("a")), out: sights(sawText("a"))},
		{says: "in the first byte of a frame", in: frames(rawBytes("\x81"))},
		{says: "behind a header", in: frames(textFrame("a"), binaryFrame("").announcing(1<<20)), out: sights(sawText("a"))},
		{says: "in a payload", in: frames(textFrame("abc").announcing(10))},
		{says: "in a message", in: frames(firstFrame(opText, "abc"))},
		{says: "in a control frame", in: frames(pingFrame("abc").announcing(10))},
		{says: "in a close frame", in: frames(closeFrame(1000, "abc").announcing(10))},
	}
	for i := range all[:8] {
		r := all[i]
		r.reset = true
		all = append(all, r)
	}
	return all
}

func TestConformanceEnds(t *testing.T) {
	all := endRows()
	for _, s := range subjects {
		for _, over := range []string{"tcp", "tls", "pipe", "unix"} {
			if s.bare && over == "tls" || !s.looped() && over == "unix" {
				continue
			}
			t.Run(s.name+"/"+over, func(t *testing.T) {
				t.Parallel()
				st := newStand(t, s, over, options{})
				for _, r := range all {
					if r.reset && over != "tcp" {
						continue
					}
					if err := r.try(t, st); err != nil {
						t.Errorf("RFC 6455 7.1.5: %s, reset %v: %v", r.says, r.reset, err)
					}
				}
			})
		}
	}
	t.Logf("%d rows", len(all))
}

func (r endRow) try(t *testing.T, st *stand) error {
	p, err := st.open(t)
	if err != nil {
		return err
	}
	p.send(r.in...)
	for _, want := range r.out {
		if err := p.expect(want); err != nil {
			return err
		}
	}
	if r.reset {
		p.Conn.(*net.TCPConn).SetLinger(0)
	}
	p.Close()
	select {
	case err := <-p.ended:
		ce, ok := errors.AsType[*ws.CloseError](err)
		if !ok || ce.Code != ws.StatusAbnormalClosure || ce.Remote || ce.Err == nil {
			return fmt.Errorf("the API says %v", err)
		}
		if !r.reset && st.over != "tls" && !errors.Is(err, io.ErrUnexpectedEOF) {
			return fmt.Errorf("the end of the stream is %v", err)
		}
	case <-time.After(patience):
		return errors.New("the end is not noticed")
	}
	return nil
}

// A peer may end its half of the stream and go on receiving.
func TestHalfClosed(t *testing.T) {
	for _, s := range subjects {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			st := newStand(t, s, "tcp", options{})
			long := pattern('h', 100_000)
			// RFC 6455 7.1.1: the closing handshake is done first, so everything is answered.
			p, err := st.open(t, wireBytes(!s.client, textFrame(long), pingFrame("p"), closeFrame(1000, ""))...)
			if err != nil {
				t.Fatal(err)
			}
			p.shaken.Wait()
			p.Conn.(*net.TCPConn).CloseWrite()
			for _, want := range sights(sawText(long), sawPong("p"), sight{opClose, closePayload(1000, "")}) {
				if err := p.expect(want); err != nil {
					t.Fatal(err)
				}
			}
			if failure, err := p.expectEnd(true); err != nil || ws.CloseStatus(failure) != ws.StatusNormalClosure {
				t.Fatal(failure, err)
			}
			// Without a close frame it is the end, and not for ever half of one.
			p, err = st.open(t)
			if err != nil {
				t.Fatal(err)
			}
			p.send(textFrame("a"))
			if err := p.expect(sawText("a")); err != nil {
				t.Fatal(err)
			}
			p.Conn.(*net.TCPConn).CloseWrite()
			if failure, err := p.expectEnd(true); err != nil || ws.CloseStatus(failure) != ws.StatusAbnormalClosure {
				t.Fatal(failure, err)
			}
		})
	}
}

// RFC 6455 7.1.1: the server closes the TCP connection first; the client waits for it, for a reasonable time.
func TestConformanceWhoClosesFirst(t *testing.T) {
	both(t, func(t *testing.T, client bool) {
		synctest.Test(t, func(t *testing.T) {
			c, p := bareConn(t, "pipe", client, &ws.AcceptOptions{Limits: ws.Limits{CloseTimeout: time.Minute}})
			start := time.Now()
			p.Conn.SetDeadline(time.Time{})
			go p.send(closeFrame(1000, ""))
			if _, err := c.Read(t.Context()); ws.CloseStatus(err) != ws.StatusNormalClosure {
				t.Error(err)
			}
			if err := p.expect(sight{opClose, closePayload(1000, "")}); err != nil {
				t.Error(err)
			}
			for s := range p.sights {
				t.Error(s)
			}
			<-c.Done()
			want := time.Duration(0)
			if client {
				want = time.Minute
			}
			if took := time.Since(start); took != want {
				t.Errorf("the stream was closed after %v, want %v", took, want)
			}
		})
	})
}

// RFC 6455 7.1.2, 7.1.3 and 7.1.4, as Close shows them.
func TestConformanceClosing(t *testing.T) {
	for name, test := range map[string]struct {
		answer []wireFrame
		end    bool // the peer ends the stream
		code   ws.StatusCode
		ok     bool
		took   time.Duration
	}{
		"an answer":                       {answer: frames(closeFrame(1000, "")), end: true, ok: true},
		"an answer with another code":     {answer: frames(closeFrame(1001, "bye")), end: true, ok: true},
		"an answer without a code":        {answer: frames(newFrame(fin|opClose, "")), end: true, ok: true},
		"an answer after messages":        {answer: frames(textFrame("a"), firstFrame(opBinary, strings.Repeat("b", 70_000)), pingFrame("p"), closeFrame(1000, "")), end: true, ok: true},
		"an answer and an open stream":    {answer: frames(closeFrame(1000, "")), ok: true},
		"the end":                         {end: true},
		"no answer":                       {took: 10 * time.Second},
		"messages and no answer":          {answer: frames(textFrame("a"), textFrame("b")), took: 10 * time.Second},
		"the beginning of an answer":      {answer: frames(closeFrame(1000, "").announcing(20)), took: 10 * time.Second},
		"an answer that is none":          {answer: frames(closeFrame(1005, "")), took: 10 * time.Second},
		"an answer that is none, and end": {answer: frames(closeFrame(1005, "")), end: true},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, client bool) {
				synctest.Test(t, func(t *testing.T) {
					c, p := bareConn(t, "pipe", client, &ws.AcceptOptions{Limits: ws.Limits{CloseTimeout: 10 * time.Second}})
					p.Conn.SetDeadline(time.Time{})
					go func() {
						<-p.sights
						p.send(test.answer...)
						if test.end {
							p.Close()
						}
					}()
					start := time.Now()
					err := c.Close(context.Background(), ws.StatusGoingAway, "going")
					took := time.Since(start)
					if (err == nil) != test.ok {
						t.Errorf("Close returned %v", err)
					}
					if name == "an answer and an open stream" && client {
						test.took = 10 * time.Second // RFC 6455 7.1.1: for the server to close it
					}
					if took != test.took {
						t.Errorf("Close took %v, want %v", took, test.took)
					}
					<-c.Done()
				})
			})
		})
	}
}
