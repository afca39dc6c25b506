//go:build linux

package peers

import (
	"net"

	"baro.dev/engineio"
	"baro.dev/socketio"
)

// baroSocketIO is this project's Socket.IO server, with handlers of all clients rather than of each.
func baroSocketIO(inline bool) func(net.Listener, Options) error {
	return func(l net.Listener, o Options) error {
		return serveSocketIO(l, o, &socketio.Options{Engine: engineio.Options{Inline: inline, PingInterval: o.Heartbeat}})
	}
}

func serveSocketIO(l net.Listener, o Options, options *socketio.Options) error {
	io := socketio.NewServer(options)
	io.On("message", func(e *socketio.Event) { _ = e.Ack(e.Args()...) })
	if o.Role == SocketIORoom {
		const room = "room"
		io.OnConnection(func(s *socketio.Socket) { s.Join(room) })
		io.On("publish", func(e *socketio.Event) { _ = io.To(room).Emit("message", e.Args()...) })
	}
	return io.Serve(l)
}
