package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"baro.dev/channel"
)

// A kind of clients is of ours, or else of the official ones of Socket.IO, with their transports.
type kind struct {
	name     string
	read     transport
	official []string
	count    int // in each channel
}

// kinds gives those that a crowd has: so many of each in a channel.
func kinds(polling, websocket, upgrading, multiplexed, events, polls int) []kind {
	return []kind{
		{"Socket.IO, polling", nil, []string{"polling"}, polling},
		{"Socket.IO, WebSocket", nil, []string{"websocket"}, websocket},
		{"Socket.IO, upgrading", nil, []string{"polling", "websocket"}, upgrading},
		{"/ws", readMultiplexed, nil, multiplexed},
		{"SSE", readEvents, nil, events},
		{"long polling", func(ctx context.Context, r *reading) error { return readPolls(ctx, r, "wait=20s", 0) }, nil, polls},
	}
}

// A crowd is many clients, each of which reads one channel, of which there is one publisher, to its end.
type crowd struct {
	t        *testing.T
	ctx      context.Context
	channels []string
	ends     []atomic.Uint64 // the last offset of each channel, when it is known
	ledgers  map[string][]*ledger
	programs []*program
	waiting  sync.WaitGroup
	clients  int
}

// A program is a process of official clients.
type program struct {
	crowd  *crowd
	kind   string
	stdin  io.WriteCloser
	ready  chan struct{} // all have subscribed
	ended  chan struct{}
	count  int
	opened int // sessions, of all
}

// gather starts clients of the server at address, and returns when most have subscribed.
func gather(ctx context.Context, t *testing.T, address string, channels int, kinds []kind) *crowd {
	t.Helper()
	c := &crowd{t: t, ctx: ctx, ends: make([]atomic.Uint64, channels), ledgers: map[string][]*ledger{}}
	for i := range channels {
		c.channels = append(c.channels, fmt.Sprintf("crowd/%d", i))
	}
	url := func() string { return "http://" + address + "/" }
	for _, k := range kinds {
		c.clients += k.count * channels
		if k.official != nil {
			c.programs = append(c.programs, c.start(k, "http://"+address))
			continue
		}
		for i, name := range c.channels {
			for range k.count {
				l := &ledger{seen: make([][]uint64, 1), whole: func(l *ledger) bool {
					end := c.ends[i].Load()
					return end > 0 && l.last.Offset >= end
				}}
				c.ledgers[k.name] = append(c.ledgers[k.name], l)
				r := &reading{url: url, name: name, accept: l.take, after: l.after}
				r.off.Store(true) // the network cuts
				c.waiting.Go(func() {
					if err := r.run(ctx, k.read); err != nil {
						t.Errorf("%s, of %s: after %s: %v", k.name, name, l.after(), err)
					}
				})
			}
		}
	}
	for _, p := range c.programs {
		select {
		case <-p.ready:
		case <-p.ended:
			t.Fatalf("%s: the clients have ended", p.kind)
		case <-ctx.Done():
			t.Fatalf("%s: not all have subscribed", p.kind)
		}
	}
	return c
}

// start starts the official clients of a kind.
func (c *crowd) start(k kind, url string) *program {
	c.t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		lacks(c.t, "node")
	}
	if _, err := os.Stat("../../interop/node_modules/socket.io-client"); err != nil {
		lacks(c.t, "the npm packages of interop/")
	}
	p := &program{crowd: c, kind: k.name, ready: make(chan struct{}), ended: make(chan struct{})}
	var clients []string
	for range k.count {
		clients = append(clients, c.channels...)
	}
	p.count = len(clients)
	argument, err := json.Marshal(map[string]any{"url": url, "transports": k.official, "clients": clients})
	if err != nil {
		c.t.Fatal(err)
	}
	node := exec.CommandContext(c.t.Context(), "node", "../../interop/peers/socketio/everything.mjs", string(argument))
	node.Stderr = c.t.Output()
	if p.stdin, err = node.StdinPipe(); err != nil {
		c.t.Fatal(err)
	}
	stdout, err := node.StdoutPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	if err := node.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		_ = node.Process.Kill()
		<-p.ended
		_ = node.Wait()
	})
	c.waiting.Go(func() {
		defer close(p.ended)
		p.listen(stdout)
	})
	return p
}

// listen hears what became of each client.
func (p *program) listen(stdout io.Reader) {
	left := p.count
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		var said struct {
			Event, Channel, Epoch, Message string
			Offset                         uint64
			Sessions                       int
		}
		if err := json.Unmarshal(lines.Bytes(), &said); err != nil {
			p.crowd.t.Errorf("%s: %v: %s", p.kind, err, lines.Text())
			continue
		}
		switch said.Event {
		case "ready":
			close(p.ready)
		case "status":
			p.crowd.t.Logf("%s: %d are not done:\n%s", p.kind, left, said.Message)
		case "client":
			left--
			p.opened += said.Sessions
			if said.Message != "" {
				p.crowd.t.Errorf("%s: %s", p.kind, said.Message)
			}
		}
	}
	if left > 0 {
		p.crowd.t.Errorf("%s: %d have not come to the end", p.kind, left)
	}
}

func (p *program) order(v any) {
	text, _ := json.Marshal(v)
	_, _ = p.stdin.Write(append(text, '\n'))
}

// end says how many messages a channel will have in the end, before the last one is published.
func (c *crowd) end(i, messages int) {
	c.ends[i].Store(uint64(messages))
	for _, p := range c.programs {
		p.order(map[string]any{"order": "end", "channel": c.channels[i], "messages": messages})
	}
}

// await waits until each client has all that was acknowledged, and checks it.
func (c *crowd) await(acknowledged [][]channel.Position) {
	c.t.Helper()
	for i, places := range acknowledged {
		for j, at := range places { // a client of an official kind has seen that message j is at offset j+1
			if at.Offset != uint64(j)+1 || at.Epoch != places[0].Epoch {
				c.t.Fatalf("message %d of %s was acknowledged at %v, after %v", j, c.channels[i], at, places[max(j-1, 0)])
			}
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.waiting.Wait()
	}()
	late := time.NewTicker(time.Minute)
	defer late.Stop()
	for waiting := true; waiting; {
		select {
		case <-done:
			waiting = false
		case <-late.C:
			for _, p := range c.programs {
				p.order(map[string]string{"order": "status"})
			}
		case <-c.ctx.Done():
			c.t.Fatal("not all clients have come to the end")
		}
	}
	var figures strings.Builder
	for name, list := range c.ledgers {
		per := len(list) / len(c.channels)
		for i, l := range list {
			if err := l.check(acknowledged[i/per : i/per+1]); err != nil {
				c.t.Errorf("%s, of %s: %v", name, c.channels[i/per], err)
			}
		}
		fmt.Fprintf(&figures, "\n%s: %d clients", name, len(list))
	}
	for _, p := range c.programs {
		fmt.Fprintf(&figures, "\n%s: %d clients, %d sessions", p.kind, p.count, p.opened)
	}
	c.t.Log("clients that have everything:", figures.String())
}
