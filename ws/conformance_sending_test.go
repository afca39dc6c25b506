package ws_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"baro.dev/ws"
)

// A sendRow is a sentence about what a side has to send, or must not, when its application asks it to.
type sendRow struct {
	section string
	says    string
	only    string
	deflate string
	do      func(c sender) error // what the application does when the connection is open
	out     []sight              // what the peer sees of it
	check   func(p *peer) error  // of the frames seen, if that is not enough
	code    uint16               // of the close frame that do has sent; 0: none
	in      []wireFrame          // what the peer sends before it answers a close frame
}

// closeBy closes from the application, without waiting for the peer.
func closeBy(c sender, code ws.StatusCode, reason string) error {
	switch c := c.(type) {
	case *ws.Socket:
		return c.Close(code, reason)
	case *ws.Conn:
		if code != ws.StatusNoStatus && !code.OnWire() {
			return c.Close(context.Background(), code, reason)
		}
		go c.Close(context.Background(), code, reason)
		for c.Err() == nil {
			runtime.Gosched()
		}
	}
	return nil
}

func sendText(texts ...string) func(c sender) error {
	return func(c sender) error {
		for _, s := range texts {
			if err := c.Write(context.Background(), ws.Text, []byte(s)); err != nil {
				return err
			}
		}
		return nil
	}
}

// refused says that doing something must be an error.
func refused(err error) error {
	if err == nil {
		return errors.New("it was not refused")
	}
	return nil
}

func sendRows() []sendRow {
	all := append(fragmentSendRows(), closeSendRows()...)
	for _, size := range []int{0, 1, 125, 126, 65535, 65536, 100_000} {
		s := pattern('s', size)
		all = append(all,
			sendRow{section: "6.1", says: fmt.Sprintf("data is encapsulated in a frame: %d bytes", size), do: sendText(s), out: sights(sawText(s)), check: exactlyFrames(1)},
			sendRow{section: "6.1", says: fmt.Sprintf("data is encapsulated in a frame, without waiting: %d bytes", size), do: func(c sender) error { return c.Send(ws.Binary, []byte(s)) }, out: sights(sawBinary(s)), check: exactlyFrames(1)},
			sendRow{section: "6.1", says: fmt.Sprintf("a prepared message is a frame like others: %d bytes", size), do: func(c sender) error {
				m, err := ws.NewPreparedMessage(ws.Text, []byte(s))
				if err != nil {
					return err
				}
				return errors.Join(c.SendPrepared(m), c.SendPrepared(m))
			}, out: sights(sawText(s), sawText(s)), check: exactlyFrames(2)})
	}
	many := make([]string, 300)
	var seen []sight
	for i := range many {
		many[i] = fmt.Sprint("message ", i)
		seen = append(seen, sawText(many[i]))
	}
	const utf8Only = "text MUST be UTF-8: what is not is not sent"
	all = append(all,
		sendRow{section: "5.3", says: "the client MUST pick a fresh masking key for each frame", only: "client", do: sendText(many...), out: seen, check: freshKeys(300)},
		sendRow{section: "5.1", says: "a server MUST NOT mask any frames", only: "server", do: sendText(many...), out: seen, check: freshKeys(0)},
		sendRow{section: "6.1", says: "messages leave in the order in which they were sent", do: sendText(many...), out: seen, check: exactlyFrames(300)},
		sendRow{section: "5.6", says: utf8Only, do: func(c sender) error {
			return errors.Join(refused(c.Send(ws.Text, []byte("\xff"))), refused(c.Write(context.Background(), ws.Text, []byte("ab\xec\x8b"))), sendText("fine")(c))
		}, out: sights(sawText("fine"))},
		sendRow{section: "5.6", says: utf8Only + ", prepared", do: func(sender) error {
			_, err := ws.NewPreparedMessage(ws.Text, []byte("\xed\xa0\x80"))
			return refused(err)
		}},
		sendRow{section: "5.6", says: utf8Only + ", in pieces", do: func(c sender) error {
			w, err := c.Writer(context.Background(), ws.Text)
			if err != nil {
				return err
			}
			_, err = w.Write([]byte("ab\xc0\xaf"))
			w.Close()
			return errors.Join(refused(err), sendText("fine")(c))
		}, out: sights(sawText("fine"))},
		sendRow{section: "5.6", says: utf8Only + ", if it ends within a character", do: func(c sender) error {
			w, err := c.Writer(context.Background(), ws.Text)
			if err != nil {
				return err
			}
			_, err = w.Write([]byte("ab\xec\x8b"))
			return errors.Join(err, refused(w.Close()), sendText("fine")(c))
		}, out: sights(sawText("fine"))},
		sendRow{section: "5.6", says: "opcodes 1 and 2 are those of messages", do: func(c sender) error {
			return errors.Join(refused(c.Send(0, nil)), refused(c.Send(3, nil)), refused(c.Send(8, nil)), refused(c.Write(context.Background(), 9, nil)))
		}},
	)
	return all
}

// exactlyFrames is a check that so many frames have been seen.
func exactlyFrames(n int) func(p *peer) error {
	return func(p *peer) error {
		if p.frames != n+1 { // and the close frame
			return fmt.Errorf("%d frames, want %d", p.frames-1, n)
		}
		return nil
	}
}

// freshKeys is a check that no masking key came twice. A few would by chance, once in some ten thousand runs.
func freshKeys(n int) func(p *peer) error {
	return func(p *peer) error {
		if n == 0 && len(p.keys) > 0 || len(p.keys) < n-1 || n > 0 && p.keys[[4]byte{}] > 1 {
			return fmt.Errorf("%d keys", len(p.keys))
		}
		return nil
	}
}

// written writes a message in pieces.
func written(typ ws.MessageType, pieces ...string) func(c sender) error {
	return func(c sender) error {
		w, err := c.Writer(context.Background(), typ)
		if err != nil {
			return err
		}
		for _, piece := range pieces {
			if _, err := io.WriteString(w, piece); err != nil {
				return err
			}
		}
		return w.Close()
	}
}

// fragmentSendRows are RFC 6455 5.4 and RFC 7692 6.1. That fragments make a message is seen to by the wireReader.
func fragmentSendRows() []sendRow {
	long := pattern('l', 100_000)
	wide := strings.Repeat("실시간", 5000)
	several := func(p *peer) error {
		if p.frames < 4 {
			return fmt.Errorf("%d frames", p.frames)
		}
		return nil
	}
	during := func(c sender) error {
		w, err := c.Writer(context.Background(), ws.Binary)
		if err != nil {
			return err
		}
		io.WriteString(w, long)
		err = errors.Join(c.Send(ws.Text, []byte("between")), sendText("and")(c))
		io.WriteString(w, long)
		return errors.Join(err, w.Close(), sendText("after")(c))
	}
	var all []sendRow
	for _, agreed := range []string{"", takeover, noTakeover, smallWindows} {
		all = append(all,
			sendRow{section: "5.4", says: "a message in fragments", do: written(ws.Binary, long[:10], long[10:70_000], long[70_000:]), out: sights(sawBinary(long)), check: several},
			sendRow{section: "5.4", says: "a message of one fragment, and of none", do: func(c sender) error {
				return errors.Join(written(ws.Text, "a", "b", "c")(c), written(ws.Text)(c), written(ws.Binary, "")(c))
			}, out: sights(sawText("abc"), sawText(""), sawBinary(""))},
			sendRow{section: "5.6", says: "a fragment of text may end within a character", do: written(ws.Text, wide[:7], wide[7:20_001], wide[20_001:]), out: sights(sawText(wide))},
			sendRow{section: "5.4", says: "fragments MUST be delivered in order and not interleaved with another message", do: during, out: sights(sawBinary(long+long), sawText("between"), sawText("and"), sawText("after"))},
			sendRow{section: "5.4", says: "messages behind a message in fragments", do: func(c sender) error {
				return errors.Join(sendText(long)(c), written(ws.Text, long)(c), sendText(long)(c), written(ws.Text, long[:500])(c))
			}, out: sights(sawText(long), sawText(long), sawText(long), sawText(long[:500]))})
		for i := len(all) - 5; i < len(all); i++ {
			all[i].deflate = agreed
			if agreed != "" {
				all[i].section, all[i].check = "7692 6.1", nil
			}
		}
	}
	return all
}

// closeSendRows are RFC 6455 5.5.1 and 7.
func closeSendRows() []sendRow {
	closes := func(code ws.StatusCode, reason string) func(c sender) error {
		return func(c sender) error { return closeBy(c, code, reason) }
	}
	var all []sendRow
	for _, code := range []ws.StatusCode{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999} {
		all = append(all, sendRow{section: "7.1.2", says: fmt.Sprintf("an endpoint MUST send a close frame with code and reason: %d", code), do: closes(code, "bye"), out: sights(sight{opClose, closePayload(uint16(code), "bye")}), code: uint16(code)})
	}
	for _, code := range []ws.StatusCode{0, 1, 999, 1004, 1006, 1015, 1016, 2999, 5000, 65535} {
		all = append(all, sendRow{section: "7.4", says: fmt.Sprintf("code %d MUST NOT be sent", code), do: func(c sender) error { return refused(closeBy(c, code, "")) }})
	}
	const none = "the application MUST NOT send any more data after a close frame"
	return append(all,
		sendRow{section: "5.5.1", says: "the close frame MAY contain a body: none for 1005", do: closes(ws.StatusNoStatus, ""), out: sights(sight{opClose, ""}), code: 1005},
		sendRow{section: "5.5", says: "all control frames MUST have a payload of 125 bytes or less: a reason is cut", do: closes(1000, strings.Repeat("x", 200)), out: sights(sight{opClose, closePayload(1000, strings.Repeat("x", 123))}), code: 1000},
		sendRow{section: "5.5.1", says: "the reason is UTF-8: cut between characters", do: closes(1000, "x"+strings.Repeat("실", 41)), out: sights(sight{opClose, closePayload(1000, "x"+strings.Repeat("실", 40))}), code: 1000},
		sendRow{section: "5.5.1", says: "the reason is UTF-8: or left out", do: closes(1000, "\xff"), out: sights(sight{opClose, closePayload(1000, "")}), code: 1000},
		sendRow{section: "7.1.2", says: "what was sent before the close frame leaves before it", do: func(c sender) error {
			return errors.Join(sendText("a", pattern('b', 200_000), "c")(c), closeBy(c, 1000, ""))
		}, out: sights(sawText("a"), sawText(pattern('b', 200_000)), sawText("c"), sight{opClose, closePayload(1000, "")}), code: 1000},
		sendRow{section: "5.5.1", says: none, do: func(c sender) error {
			err := closeBy(c, 1000, "")
			_, werr := c.Writer(context.Background(), ws.Text)
			return errors.Join(err, refused(c.Send(ws.Text, nil)), refused(sendText("a")(c)), refused(werr))
		}, out: sights(sight{opClose, closePayload(1000, "")}), code: 1000},
		sendRow{section: "5.5.1", says: none + ": nor another one", do: func(c sender) error {
			err := closeBy(c, 1000, "first")
			closeBy(c, 1001, "second")
			return err
		}, out: sights(sight{opClose, closePayload(1000, "first")}), code: 1000},
		sendRow{section: "5.5.1", says: none + ": nor a pong", do: closes(1000, ""), in: frames(pingFrame("p"), textFrame("a"), pingFrame("q")), out: sights(sight{opClose, closePayload(1000, "")}), code: 1000},
		sendRow{section: "5.5.1", says: none + ": nor the rest of a message", do: func(c sender) error {
			w, err := c.Writer(context.Background(), ws.Text)
			if err != nil {
				return err
			}
			io.WriteString(w, "abc")
			err = closeBy(c, 1000, "")
			io.WriteString(w, "def")
			return errors.Join(err, refused(w.Close()))
		}, out: sights(sight{opClose, closePayload(1000, "")}), code: 1000})
}

func TestConformanceSending(t *testing.T) {
	all := sendRows()
	for _, s := range []subject{subjects[0], subjects[3], subjects[4], subjects[5]} {
		for _, over := range []string{"tcp", "pipe", "unix"} {
			if over == "unix" && !s.looped() {
				continue
			}
			t.Run(s.name+"/"+over, func(t *testing.T) {
				t.Parallel()
				for _, r := range all {
					if r.only != "" && r.only != s.side() {
						continue
					}
					if err := r.try(t, s, over); err != nil {
						t.Errorf("RFC %s: %s (%s)\n%v", rfc(r.section), r.says, r.deflate, err)
					}
				}
			})
		}
	}
	t.Logf("%d rows", len(all))
}

func (r sendRow) try(t *testing.T, s subject, over string) error {
	did := make(chan error, 1)
	p, err := newStand(t, s, over, options{
		AcceptOptions: ws.AcceptOptions{Compression: compression(r.deflate)},
		extensions:    r.deflate,
		opened:        func(c sender) { did <- r.do(c) },
	}).open(t)
	if err != nil {
		return err
	}
	defer p.Close()
	if err := <-did; err != nil {
		return err
	}
	for _, want := range r.out {
		if err := p.expect(want); err != nil {
			return err
		}
	}
	code := r.code
	if code == 0 {
		// Whatever happened, the connection goes on.
		p.send(textFrame("still here"), closeFrame(1000, ""))
		for _, want := range sights(sawText("still here"), sight{opClose, closePayload(1000, "")}) {
			if err := p.expect(want); err != nil {
				return err
			}
		}
		p.frames--
		code = 1000
	} else {
		p.send(append(r.in, closeFrame(4444, "answer"))...)
	}
	failure, err := p.expectEnd(!s.client)
	if err != nil {
		return err
	}
	if got := ws.CloseStatus(failure); uint16(got) != code {
		return fmt.Errorf("the API says %v, want code %d", failure, code)
	}
	if r.check != nil {
		return r.check(p)
	}
	return nil
}
