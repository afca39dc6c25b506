// Package client is the client side of Engine.IO, protocol 4: sessions over HTTP long polling, WebSocket and WebTransport, and the
// upgrade from the first to the others (https://socket.io/docs/v4/engine-io-protocol/).
//
//	s, err := client.Dial(ctx, "https://example.com", &client.Options{
//		OnMessage: func(s *client.Session, m client.Message) { ... },
//		OnClose:   func(s *client.Session, err error) { ... },
//	})
//	err = s.Send(client.Message{Data: []byte("hello")})
//
// A session that has ended stays ended: who wants to come back dials again. Package socketio/client does.
//
// # Concurrency
//
// A session has one goroutine, which reads and calls the handlers, one after the other; while an upgrade is being tried there is
// one more, and one while something has to wait to be sent. All end when the session does. Methods may be called from any
// goroutine, handlers included.
package client
