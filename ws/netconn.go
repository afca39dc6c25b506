package ws

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// NetConn returns a net.Conn over the data of c's messages: what is written leaves as one message of type t for each
// Write, what is read are the messages joined. A message of the other type fails the connection with
// StatusUnsupportedData. A close of the peer with StatusNormalClosure or StatusGoingAway reads as io.EOF. Close does
// the closing handshake with StatusNormalClosure.
//
// Deadlines work, and the connection goes on after one. ctx is for the whole of it: when it is done, reads and writes
// fail with context.Cause(ctx).
func NetConn(ctx context.Context, c *Conn, t MessageType) net.Conn {
	n := &netConn{c: c, ctx: ctx, typ: t}
	n.readDeadline.init(ctx)
	n.writeDeadline.init(ctx)
	return n
}

type netConn struct {
	c   *Conn
	ctx context.Context
	typ MessageType

	readMu sync.Mutex
	reader io.Reader // of the message in progress

	readDeadline, writeDeadline deadline
}

func (n *netConn) Read(p []byte) (int, error) {
	n.readMu.Lock()
	defer n.readMu.Unlock()
	ctx := n.readDeadline.context()
	if ctx.Err() != nil { // a deadline that has passed holds for what has come already, too
		return 0, context.Cause(ctx)
	}
	for {
		if n.reader == nil {
			t, r, err := n.c.Reader(ctx)
			if err != nil {
				return 0, netError(err)
			}
			if t != n.typ {
				return 0, n.c.fail(&CloseError{Code: StatusUnsupportedData, Reason: fmt.Sprintf("%v message, not %v", t, n.typ)})
			}
			n.reader = r
		}
		if r, ok := n.reader.(*messageReader); ok {
			r.ctx = ctx
		}
		read, err := n.reader.Read(p)
		if err == io.EOF {
			n.reader = nil
			if read == 0 {
				continue
			}
			err = nil
		}
		return read, netError(err)
	}
}

func (n *netConn) Write(p []byte) (int, error) {
	ctx := n.writeDeadline.context()
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	if err := n.c.Write(ctx, n.typ, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// netError is the err of a read as package net would say it.
func netError(err error) error {
	ce, ok := errors.AsType[*CloseError](err)
	if ok && ce.Remote && (ce.Code == StatusNormalClosure || ce.Code == StatusGoingAway) {
		return io.EOF
	}
	return err
}

func (n *netConn) Close() error {
	n.readDeadline.stop()
	n.writeDeadline.stop()
	return n.c.Close(context.WithoutCancel(n.ctx), StatusNormalClosure, "")
}

func (n *netConn) LocalAddr() net.Addr  { return addrOr(n.c.LocalAddr()) }
func (n *netConn) RemoteAddr() net.Addr { return addrOr(n.c.RemoteAddr()) }

// addrOr returns a, or something that can be asked for a name.
func addrOr(a net.Addr) net.Addr {
	if a == nil {
		return textAddr("websocket")
	}
	return a
}

func (n *netConn) SetDeadline(t time.Time) error {
	n.readDeadline.set(t)
	n.writeDeadline.set(t)
	return nil
}

func (n *netConn) SetReadDeadline(t time.Time) error {
	n.readDeadline.set(t)
	return nil
}

func (n *netConn) SetWriteDeadline(t time.Time) error {
	n.writeDeadline.set(t)
	return nil
}

// deadline is a context that ends at a time that can be changed, also while somebody waits.
type deadline struct {
	parent context.Context
	mu     sync.Mutex
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
}

func (d *deadline) init(parent context.Context) {
	d.parent = parent
	d.ctx, d.cancel = context.WithCancelCause(parent)
}

func (d *deadline) context() context.Context {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ctx
}

func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil {
		if !d.timer.Stop() {
			<-d.ctx.Done() // it has fired: not on the context that follows
		}
		d.timer = nil
	}
	if d.ctx.Err() != nil {
		d.ctx, d.cancel = context.WithCancelCause(d.parent)
	}
	if t.IsZero() {
		return
	}
	cancel := d.cancel
	if wait := time.Until(t); wait > 0 {
		d.timer = time.AfterFunc(wait, func() { cancel(os.ErrDeadlineExceeded) })
	} else {
		cancel(os.ErrDeadlineExceeded)
	}
}

// stop lets go of the context.
func (d *deadline) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
	}
	d.cancel(net.ErrClosed)
}
