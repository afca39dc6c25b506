package adaptertest

import (
	"context"
	"fmt"
	"testing"

	"baro.dev/socketio"
)

// nodes is how many there are, and clients how many each has.
const (
	nodes   = 3
	clients = 2
)

// cluster is servers with clients.
type cluster struct {
	nodes   [nodes]Node
	servers [nodes]*socketio.Server
	urls    [nodes]string
	clients [nodes][clients]*Client
}

func (c *cluster) of(t *testing.T) {
	for i := range c.clients {
		for _, p := range c.clients[i] {
			p.t = t
		}
	}
}

// together waits until all servers know of each other.
func (c *cluster) together(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	for i, s := range c.servers {
		for _, name := range []string{"/", "/other"} {
			Until(t, fmt.Sprintf("server %d knows all others of %s", i, name), func() bool {
				n, err := s.Of(name).Adapter().ServerCount(ctx)
				return err == nil && n == nodes
			})
		}
	}
}

func (c *cluster) settle() {
	for _, n := range c.nodes {
		if n.Settle != nil {
			n.Settle()
		}
	}
}

// all calls f for each client.
func (c *cluster) all(f func(server, client int, p *Client)) {
	for i := range c.clients {
		for j, p := range c.clients[i] {
			f(i, j, p)
		}
	}
}

// join puts a client into rooms, at its own server.
func (c *cluster) join(p *Client, rooms ...string) {
	for _, s := range c.servers {
		if socket := s.Socket(p.ID); socket != nil {
			socket.Join(rooms...)
		}
	}
}

// empty takes all out of all rooms.
func (c *cluster) empty() {
	for _, s := range c.servers {
		for _, socket := range s.Sockets() {
			for _, room := range socket.Rooms()[1:] {
				socket.Leave(room)
			}
		}
	}
}

// end checks that nothing has come to anybody that should not.
func (c *cluster) end(t *testing.T, from int) {
	t.Helper()
	if err := c.servers[from].Emit("end"); err != nil {
		t.Error(err)
	}
	c.all(func(_, _ int, p *Client) { p.t.Helper(); p.Expect(`2["end"]`) })
	c.empty()
}
