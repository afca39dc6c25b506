package ws

import (
	"context"
	"errors"
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
// Socket the one of event handlers. There may be very many, nearly all of them idle: what they need only now and then
// is elsewhere, in input, extra and the buffers of the pool.
//
// Three parts, three owners. The input belongs to whoever holds readMu, or to the event loop. The output and the state
// of the closing handshake are guarded by mu; the write side of the transport belongs to whoever set flushing. The rest
// does not change after the handshake.
type core struct {
	tr      transport
	set     *settings
	deflate *deflation // nil: messages are not compressed
	client  bool
	inline  bool // what is sent may wait for the input at hand to be handled
	looped  bool // an event loop reads
	stream  bool // the transport is a stream that ends with the handler of its request

	flags  flags
	*input // nil while an event loop has nothing unfinished of this connection

	mu        sync.Mutex
	flushing  bool   // somebody owns the write side of the transport
	blocked   bool   // nobody does, until the event loop says that there is room again
	roomCame  bool   // it has said so while somebody was writing
	watched   bool   // it looks out for it
	scheduled bool   // a goroutine that will flush has been started
	sentClose bool   // a close frame has been queued
	gotClose  bool   // the peer's has come
	broken    bool   // nothing can be written any more: extra.writeErr says why
	limited   bool   // the time for closing has begun to run
	ended     bool   // the transport is being closed
	gone      bool   // it is closed, and done
	finish    finish // what to do when everything queued has been written
	index     int32  // of a Socket in its server's list, which the server guards
	out       outQueue
	reserved  int // bytes of frames that are being made
	lastPing  uint32
	lastPong  uint32 // the latest ping that has been answered
	*extra           // see rare

	flood flood // owned like the input
}

// extra is what most connections never have until they end. mu guards it.
type extra struct {
	subprotocol string
	held        *outQueue // messages that wait for a Writer to finish its own; nil without a Writer
	err         error     // why the connection ends; the first reason stays
	cut         error     // what ended the stream
	writeErr    error     // why nothing can be written any more, though the connection may have more to be read
	done        chan struct{}
	room        chan struct{}
	pings       []*pingWaiter
	ctx         context.Context
	cancelCtx   context.CancelCauseFunc
	closer      *time.Timer // ends a closing handshake that takes too long
	ticker      *time.Timer // keepalive and idle timeout
	resumed     chan struct{}
	onEnd       func() // called when done is closed; may be nil
	addrs       *addrs // only where the transport has no net.Conn
}

// noExtra is the extra of all connections that have none of their own. Nothing is ever written to it.
var noExtra extra

// rare returns the connection's extra for writing to it. mu is held, or nobody else knows the connection yet.
func (c *core) rare() *extra {
	if c.extra == &noExtra {
		c.extra = new(extra)
	}
	return c.extra
}

// flags are what one goroutine tells another without a lock.
type flags struct{ bits atomic.Uint32 }

const (
	heard     uint32 = 1 << iota // bytes have come since the last tick
	messaged                     // a message has come since the last check for idleness
	moreInput                    // more input is waiting to be parsed: what is sent now may leave with what follows
	closing                      // Conn.Close has been called: nothing is read any more but the peer's close
	paused                       // nobody reads, since messages are being handled
	unread                       // somebody reads, but a message waits for its reader
	muted                        // no message is delivered any more
	wantRoom                     // a write has been cut short: the event loop has to say when there is room
	inputOver                    // the connection fails, or the peer has closed it: nothing more that comes matters
	working                      // a goroutine handles messages
	opening                      // OnOpen has not returned
	departed                     // nothing can be subscribed to any more
	corked                       // what is sent may leave with what follows: Cork
	halted                       // nothing is to be read: Socket.Pause
	putOff                       // the input waits, and is a copy
	halved                       // the descriptor is closed, or OnClose has returned
)

func (f *flags) has(bit uint32) bool { return f.bits.Load()&bit != 0 }

func (f *flags) set(bit uint32) {
	if f.bits.Load()&bit == 0 {
		f.bits.Or(bit)
	}
}

func (f *flags) clear(bit uint32) {
	if f.bits.Load()&bit != 0 {
		f.bits.And(^bit)
	}
}

func (f *flags) put(bit uint32, on bool) {
	if on {
		f.set(bit)
	} else {
		f.clear(bit)
	}
}

// take clears bit and reports whether it was set.
func (f *flags) take(bit uint32) bool {
	return f.bits.Load()&bit != 0 && f.bits.And(^bit)&bit != 0
}

// input is the state of reading.
type input struct {
	readMu sync.Mutex // held by who reads, where that is no event loop
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

	// While messages wait to be handled, what ends the connection waits behind them: it is kept here, for whoever
	// handles them.
	postpone bool
	verdict  *CloseError // what the connection is to fail with
	goodbye  []byte      // the payload of the peer's close frame, if there is no verdict
}

// errPostponed is what ends the parsing of input whose verdict has to wait.
var errPostponed = errors.New("ws: input ends")

// refuse fails the connection because of what has come, or leaves a verdict.
func (c *core) refuse(err *CloseError) error {
	if c.postpone {
		c.verdict = err
		return errPostponed
	}
	return c.fail(err)
}

// flood counts control frames.
type flood struct {
	since uint32 // when the second began that they are counted in, in milliseconds
	count uint32 // of them
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
	c.deflate = newDeflation(d, s, client)
	c.extra = &noExtra
	if subprotocol != "" {
		c.rare().subprotocol = subprotocol
	}
	if len(early) > 0 {
		c.startInput()
		// A copy of its own if it does not fit: the peer sent it before it was told to go on.
		if len(early) <= readSize {
			c.buf = readBuffers.Get().(*[readSize]byte)
			c.rest = c.buf[:copy(c.buf[:], early)]
		} else {
			c.rest = append([]byte(nil), early...)
		}
	}
}

// startInput gives c what it needs for reading, if it has not.
func (c *core) startInput() {
	if c.input == nil {
		c.input = new(input)
		c.parser.Init(&c.set.Rules, !c.client, c.deflate != nil)
	}
}

// Subprotocol returns the subprotocol that was agreed, "" if none.
func (c *core) Subprotocol() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.subprotocol
}

// Compressed reports whether permessage-deflate was agreed.
func (c *core) Compressed() bool { return c.deflate != nil }

// LocalAddr returns the address of this side, nil if it is not known.
func (c *core) LocalAddr() net.Addr {
	if a := c.streamAddrs().local; a != nil {
		return a
	}
	return c.tr.addr(false)
}

// RemoteAddr returns the address of the peer, nil if it is not known.
func (c *core) RemoteAddr() net.Addr {
	if a := c.streamAddrs().remote; a != nil {
		return a
	}
	return c.tr.addr(true)
}

func (c *core) streamAddrs() addrs {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.addrs != nil {
		return *c.addrs
	}
	return addrs{}
}

// setStream makes c a stream of another connection, unless a is nil.
func (c *core) setStream(a *addrs) {
	if a != nil {
		c.stream = true
		c.rare().addrs = a
	}
}

// UnderlyingConn returns the connection that the WebSocket runs over: a *net.TCPConn, a *tls.Conn, or nil where it is
// a stream of another kind, as over HTTP/2 and HTTP/3, or where an event loop reads it. It is for asking and setting options; reading, writing or closing it breaks the protocol.
func (c *core) UnderlyingConn() net.Conn { return c.tr.conn() }

// Done returns a channel that is closed when the connection has ended and nothing of it is left.
func (c *core) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	x := c.rare()
	if x.done == nil {
		x.done = make(chan struct{})
		if c.gone {
			close(x.done)
		}
	}
	return x.done
}

// Context returns a context that is done when the connection has ended; context.Cause says why.
func (c *core) Context() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx == nil {
		c.rare()
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
