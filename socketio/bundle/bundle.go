// Package bundle holds the official Socket.IO client for browsers, in programs that were built with it. The client is
// other people's code, and not in this repository: `make client` fetches it, and the build tag socketioclient embeds what it has fetched.
//
//	make client
//	go build -tags socketioclient ./...
package bundle
