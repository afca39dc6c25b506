package ws

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"baro.dev/internal/utf8stream"
	"baro.dev/ws/internal/deflate"
	"baro.dev/ws/internal/frame"
	"baro.dev/ws/internal/handshake"
)

// core is a WebSocket connection after the handshake, without a way of reading it: Conn adds the blocking one,
// Socket the one of event handlers.
//
// Three parts, three owners. The input belongs to whoever holds readMu. The output and the state of the closing
// handshake are guarded by mu; the write side of the transport belongs to whoever set flushing. The rest does not
// change after the handshake.
type core struct {
	tr          transport
	set         *settings
	deflate     *deflation // nil: messages are not compressed
	subprotocol string
	client      bool
	inline      bool   // what is sent may wait for the input at hand to be handled
	addrs       *addrs // only where the transport has no net.Conn
	done        chan struct{}
	onEnd       func() // called when done is closed; may be nil

	readMu sync.Mutex
	input

	mu        sync.Mutex
	out       outQueue
	held      *outQueue // messages that wait for a Writer to finish its own; nil without a Writer
	reserved  int       // bytes of frames that are being made
	flushing  bool      // somebody owns the write side of the transport
	scheduled bool      // a goroutine that will flush has been started
	sentClose bool
	gotClose  bool
	finish    finish // what to do when everything queued has been written
	ended     bool   // the transport is closed
	err       error  // why the connection ends; the first reason stays
	cut       error  // what ended the stream
	writeErr  error  // why nothing can be written any more, though the connection may have more to be read
	room      chan struct{}
	pings     []*pingWaiter
	lastPing  uint64
	lastPong  uint64 // the latest ping that has been answered
	ctx       context.Context
	cancelCtx context.CancelCauseFunc
	closer    *time.Timer // ends a closing handshake that takes too long
	ticker    *time.Timer // keepalive and idle timeout

	heard    atomic.Bool // bytes have come since the last tick
	messaged atomic.Bool // a message has come since the last check for idleness
	more     atomic.Bool // more input is waiting to be parsed: what is sent now may leave with what follows
	closing  atomic.Bool // Conn.Close has been called: nothing is read any more but the peer's close
	paused   atomic.Bool // nobody reads, since a message is being handled
	waiting  atomic.Bool // somebody reads, but a message waits for its reader
}

// input is the state of reading.
type input struct {
	parser frame.Parser
	text   utf8stream.Validator
	rest   []byte          // read but not parsed, in buf
	buf    *[readSize]byte // nil: nothing is waiting
	msg    *buffer         // the message in progress, as far as it has come; nil between messages
	ctl    *buffer         // the payload of a control frame that came in pieces
	ready  bool            // msg is a whole message that nobody has read yet
	typ    MessageType     // of msg
	packed bool            // msg is compressed
	lent   uint64          // the loan that buf and msg are out on; 0: none
	reader *messageReader  // of the message in progress, if Conn.Reader gave it out

	counting time.Time // when the second began in which control frames are counted
	controls int       // and how many there have been in it
}

// deflation is permessage-deflate as it was agreed, seen from this side.
type deflation struct {
	level     int
	threshold int
	sendBits  int
	readBits  int

	mu        sync.Mutex      // held while a message is compressed and queued, since their order must be one
	streaming bool            // a Writer is in the middle of a message
	sent      *deflate.Window // nil: no context takeover
	read      *deflate.Window // of the input
}

// addrs are the addresses of a connection that is a stream of another one.
type addrs struct{ local, remote net.Addr }

func newDeflation(d *handshake.Deflate, s *settings, client bool) *deflation {
	if d == nil {
		return nil
	}
	ownBits, peerBits := d.ServerMaxWindowBits, d.ClientMaxWindowBits
	ownFresh, peerFresh := d.ServerNoContextTakeover, d.ClientNoContextTakeover
	if client {
		ownBits, peerBits = peerBits, ownBits
		ownFresh, peerFresh = peerFresh, ownFresh
	}
	df := &deflation{level: s.compression.Level, threshold: s.compression.Threshold, sendBits: ownBits, readBits: peerBits}
	if !ownFresh {
		df.sent = deflate.NewWindow(ownBits)
		df.threshold = 0
	}
	if !peerFresh {
		df.read = deflate.NewWindow(peerBits)
	}
	return df
}

// init makes c a connection over tr. early is what came after the handshake; it is copied.
func (c *core) init(tr transport, s *settings, client bool, subprotocol string, d *handshake.Deflate, early []byte) {
	c.tr = tr
	c.set = s
	c.client = client
	c.subprotocol = subprotocol
	c.deflate = newDeflation(d, s, client)
	c.done = make(chan struct{})
	c.parser.Init(&s.Rules, !client, d != nil)
	if len(early) > 0 {
		// A copy of its own if it does not fit: the peer sent it before it was told to go on.
		if len(early) <= readSize {
			c.buf = readBuffers.Get().(*[readSize]byte)
			c.rest = c.buf[:copy(c.buf[:], early)]
		} else {
			c.rest = append([]byte(nil), early...)
		}
	}
}

// Subprotocol returns the subprotocol that was agreed, "" if none.
func (c *core) Subprotocol() string { return c.subprotocol }

// Compressed reports whether permessage-deflate was agreed.
func (c *core) Compressed() bool { return c.deflate != nil }

// LocalAddr returns the address of this side, nil if it is not known.
func (c *core) LocalAddr() net.Addr {
	if nc := c.tr.conn(); nc != nil {
		return nc.LocalAddr()
	}
	if c.addrs != nil {
		return c.addrs.local
	}
	return nil
}

// RemoteAddr returns the address of the peer, nil if it is not known.
func (c *core) RemoteAddr() net.Addr {
	if nc := c.tr.conn(); nc != nil {
		return nc.RemoteAddr()
	}
	if c.addrs != nil {
		return c.addrs.remote
	}
	return nil
}

// UnderlyingConn returns the connection that the WebSocket runs over: a *net.TCPConn, a *tls.Conn, or nil where it is
// a stream of another kind, as over HTTP/2 and HTTP/3. It is for asking and setting options; reading, writing or closing it breaks the protocol.
func (c *core) UnderlyingConn() net.Conn { return c.tr.conn() }

// Done returns a channel that is closed when the connection has ended and nothing of it is left.
func (c *core) Done() <-chan struct{} { return c.done }

// Context returns a context that is done when the connection has ended; context.Cause says why.
func (c *core) Context() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx == nil {
		c.ctx, c.cancelCtx = context.WithCancelCause(context.Background())
		if c.ended {
			c.cancelCtx(c.err)
		}
	}
	return c.ctx
}

// Err returns why the connection ended or is ending: a *CloseError in most cases, nil while it is open.
func (c *core) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}
