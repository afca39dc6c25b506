// Package ws is a WebSocket engine, server and client: RFC 6455, permessage-deflate (RFC 7692), and WebSocket over
// HTTP/2 (RFC 8441) and HTTP/3 (RFC 9220).
//
// There are two ways to use a connection. [Accept] and [Dial] return a [Conn], which is read by calls:
//
//	c, err := ws.Accept(w, r, nil)
//	if err != nil {
//		return // Accept has answered
//	}
//	defer c.CloseNow()
//	for m, err := range c.Messages(ctx) {
//		if err != nil {
//			return
//		}
//		c.Write(ctx, m.Type, m.Data)
//	}
//
// A [Server] calls handlers instead, and is for many connections:
//
//	http.Handle("/ws", &ws.Server{
//		OnMessage: func(c *ws.Socket, m ws.Message) { c.Send(m.Type, m.Data) },
//	})
//
// # Concurrency
//
// Every method of Conn and Socket may be called from any goroutine. Writes are queued, in order and bounded in bytes
// ([Queue]); writes that meet leave together. Nothing that is read or written fails because of a context: a call
// whose context is done returns, and the connection is as it was.
//
// # Ownership
//
// What [Conn.Read] returns is the caller's. What [Conn.Messages] and [Server.OnMessage] hand out is lent until the
// next step, or until the handler returns. What is written is the caller's again when the call returns.
//
// # Ends
//
// A connection ends with a [*CloseError], which says with what code and who closed. Pings are answered, and peers that are
// gone are noticed ([Keepalive]), whether or not somebody reads.
package ws
