// Package client is a client of the channels of baro serve.
//
//	c, err := client.Dial(ctx, "https://example.com", &client.Options{Token: token})
//	defer c.Close()
//	sub, err := c.Subscribe("news", func(m *channel.Message) { ... }, nil)
//	at, err := c.Publish(ctx, "news", channel.Message{Data: []byte("hello")})
//
// It comes back by itself, after the delay that the server has asked for or one that grows, and goes on in every channel where it was: a
// handler gets each message once, in order, or is told of the gap.
//
// # Transports
//
// All channels go over one WebSocket (/ws; docs/ws-protocol.md). Where that cannot pass, each channel has a request of its own: an event
// stream, a long poll, or a poll now and then, whichever gets through, and publishing is a POST; who is there, and calls, need the
// WebSocket, which is tried again now and then.
//
// # Concurrency
//
// Methods may be called from any goroutine, by handlers too. Handlers of subscriptions run one after another, on a goroutine that exists
// while messages wait; a slow handler has the server wait, and what it cannot keep is fetched again. A connected client has one
// goroutine beside those of package ws, and over HTTP one for each channel. All end with Close, which waits for them but not for handlers.
package client
