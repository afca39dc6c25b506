package engineio

import (
	"net"

	"baro.dev/engineio/internal/payload"
)

// A link is a transport that carries packets one by one, as they come: a WebSocket, or a stream of WebTransport. Its methods may
// be called by any goroutine. Of what one goroutine sends the order is kept.
type link interface {
	name() string
	// send sends a packet without waiting. p.Data is the caller's again when it returns.
	send(p payload.Packet, uncompressed bool) error
	// sendAll sends messages, with nothing between them, or none.
	sendAll(messages []Message) error
	// sendPrepared is sendAll for prepared messages.
	sendPrepared(p *Prepared) error
	// buffered returns how many bytes wait for the client to take them.
	buffered() int
	// cork has what is sent until uncork leave together.
	cork()
	uncork()
	// pause has nothing more read until resume.
	pause()
	resume()
	// yield tells that a goroutine has been woken by what has been read.
	yield()
	// close ends the link when what was sent has left; cut at once.
	close()
	cut()
	addr() net.Addr
}
