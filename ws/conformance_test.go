package ws_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"baro.dev/ws"
)

// A row is a sentence of RFC 6455 or RFC 7692, and what shows whether it is kept: what a peer sends, and what has to
// come back from a side that echoes messages.
type row struct {
	section string // "5.5.1", of RFC 6455; "7692 6"
	says    string
	only    string // the side under test, if not both
	deflate string // agreed extension; "" for none
	limits  ws.Limits
	in      []wireFrame
	out     []sight
	// fails is the code with which the connection has to be failed, without anything more from the peer. Otherwise
	// the peer closes, with closes or, if that is 0, with 1000 when everything has come back.
	fails  uint16
	closes uint16 // the close frame is the last of in; 1005 stands for none in it
}

const (
	takeover   = "permessage-deflate"
	noTakeover = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
)

// rows are all rows, by the file that they are in.
func rows() []row {
	var all []row
	for _, some := range [][]row{
		framingRows(), lengthRows(), maskingRows(), fragmentRows(), controlRows(), closeRows(), closeCodeRows(), textRows(), limitRows(),
		deflateRows(),
	} {
		all = append(all, some...)
	}
	return all
}

// compression are the options that agree to an extension.
func compression(extensions string) ws.Compression {
	switch extensions {
	case "":
		return ws.Compression{}
	case noTakeover:
		return ws.Compression{Enabled: true, Threshold: -1}
	}
	return ws.Compression{Enabled: true, ContextTakeover: true, WindowBits: 15, PeerWindowBits: 15}
}

// A delivery is a way of giving bytes to the side under test.
type delivery string

const (
	whole    delivery = "whole"
	early    delivery = "in one piece with the handshake"
	bytewise delivery = "byte by byte"
	cut      delivery = "cut in two" // at every byte, one connection for each
)

func TestConformance(t *testing.T) {
	all := rows()
	run := func(over string, deliveries ...delivery) {
		for _, s := range subjects {
			for _, d := range deliveries {
				if d == cut && !s.bare && over != "unix" || d == early && s.bare || over == "tls" && (s.bare || s.api == "Reader" || s.api == "Inline") {
					continue
				}
				if over == "unix" && !s.looped() {
					continue
				}
				t.Run(fmt.Sprintf("%s/%s/%s", s.name, over, d), func(t *testing.T) {
					t.Parallel()
					conform(t, all, s, over, d)
				})
			}
		}
	}
	run("tcp", whole)
	run("pipe", early, bytewise, cut)
	run("unix", whole, early, bytewise, cut)
	run("tls", whole)
	t.Logf("%d rows", len(all))
}

// conform holds a subject to all rows.
func conform(t *testing.T, all []row, s subject, over string, d delivery) {
	type kind struct {
		deflate string
		limits  ws.Limits
	}
	stands := make(map[kind]*stand)
	for i, r := range all {
		if r.only != "" && r.only != s.side() || s.bare && r.deflate != "" {
			continue
		}
		if over == "tls" && i%10 != 0 {
			continue // a handshake of TLS costs more than all the rest
		}
		k := kind{r.deflate, r.limits}
		if stands[k] == nil {
			stands[k] = newStand(t, s, over, options{
				AcceptOptions: ws.AcceptOptions{Compression: compression(r.deflate), Limits: r.limits},
				extensions:    r.deflate,
			})
		}
		n := len(wireBytes(!s.client, r.in...))
		if n > 20_000 && (over != "tcp" || d != whole) || n > 500 && d == cut {
			continue // what matters of a long frame is its beginning, and there are shorter ones
		}
		cuts := []int{0}
		if d == cut {
			last := 40
			if over == "unix" {
				last = 16 // a header and a little more, since each takes a handshake
			}
			for i := 1; i < min(n, last); i++ {
				cuts = append(cuts, i)
			}
		}
		for _, at := range cuts {
			if err := r.try(t, stands[k], d, at); err != nil {
				t.Errorf("RFC %s: %s\n%s %d: %v; %.200x", rfc(r.section), r.says, d, at, err, wireBytes(!s.client, r.in...))
				break
			}
		}
	}
}

// rfc is a section with its RFC.
func rfc(section string) string {
	if strings.HasPrefix(section, "7692 ") {
		return section
	}
	return "6455 " + section
}

func (r row) try(t *testing.T, st *stand, d delivery, at int) error {
	b := wireBytes(!st.client, r.in...)
	first := 0
	if d == early {
		first = len(b)
	}
	p, err := st.open(t, b[:first]...)
	if err != nil {
		return err
	}
	defer p.Close()
	p.deliver(b[first:], d, at)
	for _, want := range r.out {
		if err := p.expect(want); err != nil {
			return err
		}
	}
	code, remote := r.fails, false
	if code == 0 {
		if code, remote = r.closes, true; code == 0 {
			code = 1000
			p.send(closeFrame(code, ""))
		}
	}
	want := sight{opClose, ""}
	if code != 1005 {
		want.data = closePayload(code, "")
	}
	if err := p.expectClose(want, remote); err != nil {
		return err
	}
	// RFC 6455 7.1.1: the server closes the stream first. Who fails a connection ends its half at least, where a stream has halves.
	failure, err := p.expectEnd(!remote && st.over != "pipe" || remote && !st.client)
	if err != nil {
		return err
	}
	ce, ok := errors.AsType[*ws.CloseError](failure)
	if !ok || uint16(ce.Code) != code || ce.Remote != remote {
		return fmt.Errorf("the API says %v; want code %d, remote %v", failure, code, remote)
	}
	return nil
}

// expectClose waits for a close frame, which may have a reason if it is not an answer.
func (p *peer) expectClose(want sight, answer bool) error {
	s, ok := <-p.sights
	if !ok {
		return fmt.Errorf("%v, want %v", p.end, want)
	}
	if !answer && s.op == opClose && len(s.data) > 2 {
		s.data = s.data[:2]
	}
	if s != want {
		return fmt.Errorf("%v, want %v", s, want)
	}
	return nil
}

// deliver writes b. A side that has failed may not take all of it.
func (p *peer) deliver(b []byte, d delivery, at int) {
	switch d {
	case bytewise:
		for i := range min(len(b), 200) {
			if p.sendPiece(b[i:i+1]) != nil {
				return
			}
		}
		p.sendBytes(b[min(len(b), 200):])
	case cut:
		if at > 0 && p.sendPiece(b[:at]) != nil {
			return
		}
		p.sendBytes(b[at:])
	default:
		p.sendBytes(b)
	}
}

// sendPiece sends bytes that are not read together with what follows.
func (p *peer) sendPiece(b []byte) error {
	err := p.sendBytes(b)
	if err == nil && p.stand.over == "unix" {
		err = p.digested()
	}
	return err
}
