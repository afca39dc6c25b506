// Package socketio serves Socket.IO: events with acknowledgements, rooms and namespaces, for every client from a browser with
// nothing but HTTP to one with WebSocket. It speaks protocol 5 (socket.io-client 3 and 4), and 4 (socket.io-client 2) where
// Options.Engine.AllowEIO3 says so.
//
//	io := socketio.NewServer(nil)
//	io.OnConnection(func(s *socketio.Socket) {
//		s.Join("lobby")
//		socketio.On(s, "chat", func(ctx context.Context, m Chat) (Receipt, error) { ... }) // the result is the acknowledgement
//		s.On("raw", func(e *socketio.Event) { var a, b string; e.Bind(&a, &b); e.Ack("ok") })
//		s.To("lobby").Emit("joined", s.ID())
//	})
//	http.Handle("/socket.io/", io)
//
// # Handlers
//
// The handlers of one client run one after another, in the order in which its packets came; those of different clients
// run concurrently. A handler may block: it holds up its own client only. It may wait for an acknowledgement of that client, too
// (Socket.EmitWithAck), since these are taken when they arrive. With Options.Engine.Inline no handler may block: they
// are then called by the event loops.
//
// Middleware of a namespace (Namespace.Use) is the exception: it runs on a goroutine of its own, unless Inline, so that a slow
// look-up of one namespace does not hold up what the client does in the others. Its verdict, and Namespace.OnConnection, wait for
// their turn among the handlers.
//
// Handlers may be registered with a socket, or once for all sockets of a namespace (Namespace.On), which costs nothing for each
// socket. A server with many idle clients prefers the latter.
//
// A handler that panics has its socket disconnected; the panic is logged with its stack.
//
// # Arguments
//
// What an event carries is not decoded before somebody binds it: Event.Args gives values that can be sent on as they came.
// See package parser for what values of Go become, and for binary.
package socketio
