// Package handshake decides the WebSocket opening handshake, for servers and clients, over HTTP/1.1 (RFC 6455 section 4),
// HTTP/2 (RFC 8441) and HTTP/3 (RFC 9220).
//
// Headers go in, a decision comes out: nothing here owns a connection. The only input read is the header of an HTTP
// response, by [ReadResponse], and that is bounded.
//
// A server asks, in this order: [Check], [CheckOrigin], [SelectSubprotocol], [AcceptDeflate]; then it writes what
// [AppendResponse] built, or, for extended CONNECT, sets the headers on its ResponseWriter. Any of them may answer an
// [*Error], which is an http.Handler that refuses the request.
//
// A client fills in an [Offer], sends the request that [Offer.Request] built, reads the answer with [ReadResponse] and
// judges it with [Offer.CheckResponse].
//
// Everything may be called concurrently. Nothing keeps or changes what it is given; strings returned may share memory
// with the headers they were found in.
package handshake
