package interop

import "testing"

// An implementation makes ends.
type implementation struct {
	name string
	ours bool
	// listen makes the server's end of the one connection that will come to the URL. It has it open after the event
	// "open".
	listen func(t *testing.T, o options) (e end, url string)
	// dial makes the client's end of a connection to o.URL.
	dial func(t *testing.T, o options) end
}

func implementations() []implementation {
	return []implementation{
		{
			name: "node",
			listen: func(t *testing.T, o options) (end, string) {
				t.Helper()
				return listening(t, node(t, "node.mjs", o))
			},
			dial: func(t *testing.T, o options) end {
				t.Helper()
				return node(t, "node.mjs", o)
			},
		},
		{
			name: "python",
			listen: func(t *testing.T, o options) (end, string) {
				t.Helper()
				return listening(t, python(t, o))
			},
			dial: func(t *testing.T, o options) end {
				t.Helper()
				return python(t, o)
			},
		},
		{name: "baro", ours: true, listen: listenBaroConn, dial: dialBaro},
		{name: "baro's handlers", ours: true, listen: listenBaroSocket},
	}
}

func listening(t *testing.T, p *peer) (end, string) {
	t.Helper()
	return p, await(t, "server", p, "listening").URL
}

// eachPair runs test for every client with every server of another kind. Two of other people's that are paired with each other prove
// that it is not their fault, or that of these tests, when the same fails with ours.
func eachPair(t *testing.T, test func(t *testing.T, client, server implementation)) {
	for _, client := range implementations() {
		for _, server := range implementations() {
			if client.dial == nil || server.listen == nil || client.ours && server.ours || client.name == server.name {
				continue
			}
			t.Run(client.name+" to "+server.name, func(t *testing.T) {
				t.Parallel()
				test(t, client, server)
			})
		}
	}
}

// connect opens a connection and returns both ends of it, and what each of them said when it was open.
func connect(t *testing.T, client, server implementation, clientOptions, serverOptions options) (c, s *opened) {
	t.Helper()
	serverOptions.Role = "server"
	serverEnd, url := server.listen(t, serverOptions)
	wire := tap(t, url)
	clientOptions.Role = "client"
	clientOptions.URL = wire.url
	clientEnd := client.dial(t, clientOptions)
	c = &opened{clientEnd, await(t, "client", clientEnd, "open"), wire}
	s = &opened{serverEnd, await(t, "server", serverEnd, "open"), wire}
	return c, s
}

// opened is an end whose connection is open.
type opened struct {
	end
	open event
	wire *wire
}
