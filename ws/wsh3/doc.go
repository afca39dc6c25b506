// Package wsh3 dials WebSockets over HTTP/3 (RFC 9220): as streams of QUIC connections, which they share. It is a package
// of its own so that package ws does not depend on quic-go.
//
//	c, resp, err := ws.Dial(ctx, "wss://example.com/ws", &ws.DialOptions{Streams: &wsh3.Streams{}})
//
// # Servers
//
// The server side needs nothing from here: ws.Accept and ws.Server serve the requests of an http3.Server as they are, and
// quic-go's offers extended CONNECT always. Two settings of its QUICConfig are worth a thought:
//
//   - MaxIncomingStreams is how many WebSockets a client can open on one connection, 100 by default.
//   - InitialConnectionReceiveWindow is how much a client may send that no handler has read yet, on all streams of its
//     connection together: 512 KiB by default, no more than InitialStreamReceiveWindow. Handlers that do not read then
//     stop the client's other WebSockets too; a multiple of it is better, and MaxConnectionReceiveWindow as large.
package wsh3
