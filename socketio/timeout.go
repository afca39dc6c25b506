package socketio

import (
	"context"
	"time"
)

type timeoutError struct{}

func (timeoutError) Error() string        { return "socketio: no answer in time" }
func (timeoutError) Timeout() bool        { return true }
func (timeoutError) Is(target error) bool { return target == context.DeadlineExceeded }

// within is ctx with a timeout, where there is one.
func within(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	if timeout <= 0 {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, timeout, ErrTimeout)
}
