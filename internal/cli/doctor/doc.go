// Package doctor examines the way to a server, and says what is wrong on it and who can do what about it: names, connections, TLS, versions of
// HTTP, the opening handshake of WebSocket line by line, each transport, whoever holds streams back or cuts what is silent, times and clocks.
//
// A check is a function with a name and what has to have worked before it. Those that do not need each other run side by side. What comes of
// each is a [Result]; all of them are a [Report], of which text and JSON are two renderings.
//
// Everything that a server sends is bounded in bytes and in time, and is shown as it is only after it was made harmless.
package doctor
