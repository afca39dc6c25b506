package ws_test

import (
	"bufio"
	"crypto/tls"
	"net"
	"strings"
	"testing"
	"time"

	"baro.dev/ws"
)

// bareConn is a Conn made by NewConn over a stream of the kind (connPair), with the test as its peer.
func bareConn(t testing.TB, over string, client bool, o *ws.AcceptOptions) (*ws.Conn, *peer) {
	t.Helper()
	near, far := connPair(t, over)
	if over == "tls" {
		near, far = tls.Server(near, testTLS().server), tls.Client(far, testTLS().client)
	}
	c := ws.NewConn(near, client, "", o)
	p := rawPeer(far, client)
	go p.collect()
	t.Cleanup(func() {
		p.Close()
		c.CloseNow()
	})
	return c, p
}

// rawPeer is the peer of a side in the given role. The test sees to the opening handshake, if there is one, and then has
// it collect what comes.
func rawPeer(far net.Conn, client bool) *peer {
	far.SetDeadline(time.Now().Add(patience))
	p := &peer{Conn: far, stand: &stand{subject: subject{client: client, bare: true}}, ended: make(chan error, 1)}
	p.start(client, "")
	p.r = bufio.NewReader(far)
	return p
}

// secure has the peer speak TLS, as a client or a server.
func (p *peer) secure(client bool) {
	if client {
		p.Conn = tls.Client(p.Conn, testTLS().client)
	} else {
		p.Conn = tls.Server(p.Conn, testTLS().server)
	}
	p.r = bufio.NewReader(p.Conn)
}

// pattern is a text of so many bytes, without two equal stretches of eight near each other.
func pattern(seed byte, size int) string {
	var b strings.Builder
	for i := 0; b.Len() < size; i++ {
		b.WriteByte('a' + (seed+byte(i))%26)
		b.WriteByte('a' + byte(i/26)%26)
		b.WriteByte('a' + byte(i/676)%26)
	}
	return b.String()[:size]
}

// both runs f for both roles of the side under test.
func both(t *testing.T, f func(t *testing.T, client bool)) {
	t.Helper()
	t.Run("server", func(t *testing.T) { f(t, false) })
	t.Run("client", func(t *testing.T) { f(t, true) })
}
