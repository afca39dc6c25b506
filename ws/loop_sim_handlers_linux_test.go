package ws_test

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"time"

	"baro.dev/ws"
)

// enter checks that the handlers of a connection run one after another.
func (r *simTrial) enter(p *simPeer, what string) {
	if p.handling.Swap(true) {
		r.t.Errorf("%s: %s is called while another handler runs", p.name, what)
	}
}

func (r *simTrial) onOpen(c *ws.Socket, q *http.Request) {
	var i int
	fmt.Sscan(q.Header.Get("X-Peer"), &i)
	r.mu.Lock()
	p := r.peers[i]
	r.mu.Unlock()
	r.enter(p, "OnOpen")
	defer p.handling.Store(false)
	c.Data = p
	p.conn.Store(c)
	p.mu.Lock()
	p.opened++
	p.mu.Unlock()
	if p.rng.IntN(2) == 0 {
		c.Subscribe("news")
	}
	if p.rng.IntN(3) == 0 {
		r.act(p, c, "open")
	}
	if !r.inline && p.rng.IntN(4) == 0 {
		time.Sleep(time.Duration(p.rng.IntN(5)) * time.Second)
	}
}

func (r *simTrial) onMessage(c *ws.Socket, m ws.Message) {
	p := c.Data.(*simPeer)
	r.enter(p, "OnMessage")
	defer p.handling.Store(false)
	p.mu.Lock()
	p.received = append(p.received, m.String())
	if p.opened != 1 || p.closed != 0 {
		r.t.Errorf("%s: a message after %d calls of OnOpen and %d of OnClose", p.name, p.opened, p.closed)
	}
	p.mu.Unlock()
	r.act(p, c, "handler")
}

func (r *simTrial) onClose(c *ws.Socket, err error) {
	p := c.Data.(*simPeer)
	r.enter(p, "OnClose")
	defer p.handling.Store(false)
	p.mu.Lock()
	p.closed++
	p.err = err
	p.mu.Unlock()
	if c.Send(ws.Text, nil) == nil {
		r.t.Errorf("%s: something can be sent after OnClose was called", p.name)
	}
	switch p.rng.IntN(20) {
	case 0:
		panic("in OnClose")
	case 1:
		runtime.Goexit()
	}
}

// act does what handlers do.
func (r *simTrial) act(p *simPeer, c *ws.Socket, sender string) {
	send := func(text string) error { return c.Send(ws.Text, []byte(text)) }
	switch n := p.rng.IntN(40); {
	case n < 14:
		p.send(sender, p.rng.IntN(100), send)
	case n < 17:
		for _, size := range []int{20_000, 70_000, 70_000, 200}[p.rng.IntN(4):] {
			p.send(sender, p.rng.IntN(size), send)
		}
	case n < 19:
		m, err := ws.NewPreparedMessage(ws.Text, []byte("not yet"))
		if err == nil {
			p.send(sender, p.rng.IntN(6_000), func(text string) error {
				if m, err = ws.NewPreparedMessage(ws.Text, []byte(text)); err != nil {
					return err
				}
				return c.SendPrepared(m)
			})
		}
	case n < 21:
		go p.send(fmt.Sprint("goroutine", p.rng.Uint64()), p.rng.IntN(300), send)
	case n == 21:
		p.troubled.Store(true)
		c.Close(ws.StatusCode(3000+p.rng.IntN(100)), "enough")
	case n == 22 && p.rng.IntN(3) == 0:
		p.troubled.Store(true)
		c.CloseNow()
	case n == 23 && p.rng.IntN(2) == 0:
		p.troubled.Store(true)
		panic("in a handler")
	case n == 24 && p.rng.IntN(2) == 0:
		p.troubled.Store(true)
		runtime.Goexit()
	case n == 25:
		c.Ping()
	case n == 26:
		c.Subscribe("news")
	case n == 27:
		c.Unsubscribe("news")
	case n == 28:
		r.publish()
	case n < 34 && !r.inline:
		r.actSlowly(p, c, sender)
	}
}

// actSlowly does what an inline handler must not.
func (r *simTrial) actSlowly(p *simPeer, c *ws.Socket, sender string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(p.rng.IntN(2000))*time.Millisecond)
	defer cancel()
	switch p.rng.IntN(3) {
	case 0:
		time.Sleep(time.Duration(p.rng.IntN(3000)) * time.Millisecond)
	case 1:
		p.send(sender, p.rng.IntN(9_000), func(text string) error { return c.Write(ctx, ws.Text, []byte(text)) })
	case 2:
		p.send(sender, p.rng.IntN(9_000), func(text string) error { return written(ws.Text, text[:1], text[1:])(c) })
	}
}

func (r *simTrial) publish() {
	text := fmt.Sprintf("published.%d:%s", r.published.Add(1), pattern('p', int(r.published.Load()%3000)))
	if err := r.server.Publish("news", ws.Text, []byte(text)); err != nil {
		r.t.Error(err)
	}
}
