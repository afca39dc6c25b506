// Package client is a Socket.IO client: for servers of this project and the official one (protocol 5, of Socket.IO 3 and 4), with the
// semantics, names and defaults of the official client.
//
//	s, err := client.New("https://example.com/chat", &client.Options{Auth: map[string]string{"token": token}})
//	client.Listen(s, "news", func(ctx context.Context, n News) error { ... })
//	err = s.Connect(ctx) // from now on it comes back by itself
//	defer s.Close()
//	var receipt Receipt
//	err = client.Call(ctx, s, "say", &receipt, "hello")
//
// A socket is for one namespace, the path of the URL. Many namespaces share a connection by a [Manager].
//
// # What is kept while the server is away
//
// What is emitted while a socket is not connected waits until it is, unless it is volatile. What was sent and not acknowledged is
// not sent again, unless Options.Retries says so. With connection state recovery on the server what it has emitted meanwhile comes,
// and Socket.Recovered says whether it did.
//
// # Concurrency
//
// Everything may be called from any goroutine, by handlers too, which may wait for acknowledgements. The handlers of one socket run
// one after another, on a goroutine that exists while there is something to handle; handlers that registered for the same event in
// the order of their registration. A connected client has one goroutine, which reads; one that is not has one, which
// connects. All end with Close.
package client
