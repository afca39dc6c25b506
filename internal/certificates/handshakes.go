package certificates

import (
	"context"
	"errors"
	"time"
)

// ErrHandshakes is why a handshake was refused that was one too many.
var ErrHandshakes = errors.New("as many TLS handshakes as allowed are under way")

const (
	// patience is how long a handshake waits for others to end.
	patience = time.Second
	// turn is how long it counts. One that takes longer waits for its client, which costs nothing; clients that begin many and let them
	// wait must not keep others out.
	turn = 100 * time.Millisecond
)

// handshakes bounds how many are under way, from a whole ClientHello on: what comes before costs nothing.
type handshakes struct{ slots chan struct{} }

func newHandshakes(n int) *handshakes {
	if n == 0 {
		n = 256
	}
	return &handshakes{make(chan struct{}, n)}
}

// enter waits for its turn. ctx is that of the handshake, which ends with it.
func (h *handshakes) enter(ctx context.Context) error {
	select {
	case h.slots <- struct{}{}:
	default:
		if err := h.wait(ctx); err != nil {
			return err
		}
	}
	under, cancel := context.WithTimeout(ctx, turn)
	context.AfterFunc(under, func() {
		cancel()
		<-h.slots
	})
	return nil
}

func (h *handshakes) wait(ctx context.Context) error {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case h.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return ErrHandshakes
	}
}
