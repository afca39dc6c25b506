package ws_test

import (
	"fmt"
	"testing"
	"time"

	"baro.dev/ws"
)

// After Pause no message is handled before Resume, whoever calls it, and then all are, in order.
func TestPause(t *testing.T) {
	for _, w := range []way{{"Inline", true, false}, {"Inline after http", true, true}} {
		t.Run(w.name, func(t *testing.T) {
			const messages = 200
			paused := make(chan *ws.Socket, 1)
			next := 0
			s := &ws.Server{Inline: true, OnMessage: func(c *ws.Socket, m ws.Message) {
				if string(m.Data) != fmt.Sprint(next) {
					t.Errorf("%s came, want %d", m.Data, next)
				}
				if next++; next%10 == 1 {
					c.Pause()
					paused <- c
				}
				c.Send(m.Type, m.Data)
			}}
			h := openHouse(t, s, "tcp", w.http)
			p := h.visit(t, "peer")
			var all []wireFrame
			for i := range messages {
				all = append(all, textFrame(fmt.Sprint(i)))
			}
			if err := p.send(all...); err != nil {
				t.Fatal(err)
			}
			for i := range messages {
				if i%10 == 0 {
					c := <-paused
					if err := p.expect(sawText(fmt.Sprint(i))); err != nil {
						t.Fatal(err)
					}
					select {
					case got := <-p.sights:
						t.Fatalf("%v came while reading paused after %d", got, i)
					case <-time.After(time.Millisecond):
					}
					c.Resume()
					continue
				}
				if err := p.expect(sawText(fmt.Sprint(i))); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// A connection can be closed while reading pauses, and Resume after that does nothing.
func TestCloseWhilePaused(t *testing.T) {
	for _, http := range []bool{false, true} {
		noLeaks(t)
		paused, closed := make(chan *ws.Socket, 1), make(chan error, 1)
		s := &ws.Server{Inline: true, OnMessage: func(c *ws.Socket, m ws.Message) {
			c.Pause()
			paused <- c
		}, OnClose: func(_ *ws.Socket, err error) { closed <- err }}
		h := openHouse(t, s, "tcp", http)
		p := h.visit(t, "peer")
		p.send(textFrame("one"), textFrame("two"))
		c := <-paused
		c.CloseNow()
		if err := <-closed; err == nil {
			t.Error("it closed without a reason")
		}
		c.Resume()
	}
}

// What is sent between Cork and Uncork comes in one piece, and sooner or later without Uncork.
func TestCork(t *testing.T) {
	opened := make(chan *ws.Socket, 1)
	s := &ws.Server{Inline: true, OnMessage: func(c *ws.Socket, _ ws.Message) { opened <- c }}
	h := openHouse(t, s, "tcp", false)
	p := h.enter(t, "peer")
	p.send(textFrame("here"))
	c := <-opened
	eventually(t, "all in one piece", func() bool { // unless sending takes longer than Cork lasts
		c.Cork()
		for i := range 20 {
			c.Send(ws.Text, fmt.Append(nil, i))
		}
		c.Uncork()
		const all = 10*3 + 10*4
		got, pieces := 0, 0
		for ; got < all; pieces++ {
			piece, err := oneRead(p.Conn)
			if err != nil {
				t.Fatal(err)
			}
			got += len(piece)
		}
		return got == all && pieces == 1
	})
	c.Cork()
	c.Send(ws.Text, []byte("alone"))
	if piece, err := oneRead(p.Conn); err != nil || len(piece) != 7 {
		t.Errorf("%q, %v came", piece, err)
	}
	c.Uncork()
}
