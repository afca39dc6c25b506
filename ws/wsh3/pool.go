package wsh3

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// errConnGone marks the failure of a connection that knows nothing of the request.
var errConnGone = errors.New("wsh3: the connection takes no more requests")

var errClosed = fmt.Errorf("wsh3: Streams: %w", net.ErrClosed)

// conn is a connection, or one that is being dialled.
//
// Its goroutines are quic-go's, and one that dials. It leaves the pool as soon as it is of no use for another stream, and
// is closed when it has left and nobody uses it any more.
type conn struct {
	addr    string
	dialled chan struct{} // closed when the three fields that follow have been set
	quic    *quic.Conn
	http    *http3.ClientConn
	err     error
	cancel  context.CancelFunc // ends the dialling

	users  int         // streams, and calls of Open; guarded by Streams.mu, like what follows
	pooled bool        // new streams may be opened on it
	idle   *time.Timer // closes it
}

// acquire returns a connection to addr, and whether others have used it before. release follows. The connection may
// yet have to be dialled, and may be dead.
func (s *Streams) acquire(ctx context.Context, addr string) (c *conn, reused bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, false, errClosed
	}
	limit := s.MaxStreams
	if limit <= 0 {
		limit = defaultMaxStreams
	}
	for _, c := range s.conns[addr] {
		if c.users < limit {
			c.users++
			if c.idle != nil {
				c.idle.Stop()
			}
			return c, true, nil
		}
	}
	c = &conn{addr: addr, dialled: make(chan struct{}), users: 1, pooled: true}
	if s.conns == nil {
		s.conns = make(map[string][]*conn)
	}
	s.conns[addr] = append(s.conns[addr], c)
	// It is for all who come while it lasts, not for the first of them alone.
	ctx, c.cancel = context.WithCancel(context.WithoutCancel(ctx))
	go s.dial(ctx, c)
	return c, false, nil
}

// dial makes the connection.
func (s *Streams) dial(ctx context.Context, c *conn) {
	defer close(c.dialled)
	defer c.cancel()
	transport := s.Transport
	if transport == nil {
		transport = new(http3.Transport)
	}
	q, err := dial(ctx, transport, c.addr)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		c.err = fmt.Errorf("wsh3: dial %s: %w", c.addr, err)
		s.remove(c)
		return
	}
	c.quic, c.http = q, transport.NewClientConn(q)
	if !c.pooled && c.users == 0 || s.closed {
		c.close()
		return
	}
	context.AfterFunc(q.Context(), func() { s.forget(c) })
}

// forget takes the connection out of the pool.
func (s *Streams) forget(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(c)
}

// remove is forget. mu is held.
func (s *Streams) remove(c *conn) {
	c.pooled = false
	if c.idle != nil {
		c.idle.Stop()
	}
	rest := slices.DeleteFunc(s.conns[c.addr], func(other *conn) bool { return other == c })
	if len(rest) > 0 {
		s.conns[c.addr] = rest
	} else {
		delete(s.conns, c.addr)
	}
}

// release gives back what acquire returned.
func (s *Streams) release(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.users--
	if c.users > 0 {
		return
	}
	keep := s.IdleTimeout
	if keep == 0 {
		keep = defaultIdleTimeout
	}
	select {
	case <-c.dialled:
	default:
		keep = -1 // nobody waits for it any more
	}
	if !c.pooled || keep < 0 {
		s.discard(c)
		return
	}
	c.idle = time.AfterFunc(keep, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if c.users == 0 {
			s.discard(c)
		}
	})
}

// discard removes the connection and closes it. mu is held.
func (s *Streams) discard(c *conn) {
	s.remove(c)
	c.close()
}

// close closes the connection, or stops dialling it. Streams.mu is held.
func (c *conn) close() {
	c.cancel()
	if c.quic != nil {
		_ = c.quic.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "")
	}
}
