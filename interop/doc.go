// Package interop holds tests of Baro against other people's software: clients and servers made with ws for Node.js and
// websockets for Python, the clients of Socket.IO, Chromium and Firefox; and tokens made with PyJWT. Both ends of every
// connection are on this machine, on loopback.
package interop
