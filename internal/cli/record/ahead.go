package record

import (
	"context"
	"fmt"

	"baro.dev/internal/cli/exit"
)

// maxAhead is how much may come before what it is compared with has its turn, in bytes.
const maxAhead = 256 << 20

var errAhead = fmt.Errorf("more than %d bytes have come that the recording has later", maxAhead)

// during sends, and takes what comes meanwhile: a server that waits until its answers are read takes nothing more.
func (r *Replayer) during(ctx context.Context, e *Entry, send func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	sent := make(chan error, 1)
	go func() { sent <- send(ctx) }()
	incoming := r.incoming
	if r.ended != nil {
		incoming = nil
	}
	for {
		select {
		case err := <-sent:
			return err
		case a := <-incoming:
			if a.err != nil {
				incoming = nil
			}
			if r.Mode == None {
				r.took(a)
				continue
			}
			r.ahead = append(r.ahead, a)
			if r.waiting += a.size(); r.waiting > maxAhead {
				return exit.With(exit.Failed, fmt.Errorf("line %d of the recording: %w", e.line, errAhead))
			}
		}
	}
}

// size is what it takes, or more, in bytes.
func (a *arrival) size() int {
	n := 256 + len(a.entry.Base64) + len(a.entry.Args) + len(a.entry.Event) + len(a.entry.ID)
	if a.entry.Data != nil {
		n += len(*a.entry.Data)
	}
	return n
}
