// Package engineio serves Engine.IO, the connections below Socket.IO: a client that begins with HTTP long polling and
// moves to WebSocket as soon as that is known to work, or uses whichever of the two it can.
//
// A Server is an http.Handler that speaks protocol 4 (socket.io-client 3 and 4), and 3 (socket.io-client 2) where
// Options.AllowEIO3 says so. Options carry the official names and defaults. A session is a struct: it has no goroutine and no timer
// of its own, and no buffer while nothing waits.
//
// The protocol is described at https://socket.io/docs/v4/engine-io-protocol/.
package engineio
