package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"

	"baro.dev/internal/cli/exit"
)

// errTerminated is why a command stops that somebody has told to by a TERM. For those that go on until then it is no failure.
var errTerminated = exit.With(exit.Terminated, errors.New("terminated"))

// stopped is what a command returns that ends by itself, and was told to before, where ctx is of untilSignal: err, or what the signal says.
func stopped(ctx context.Context, err error) error {
	switch {
	case err == nil || ctx.Err() == nil:
		return err
	case errors.Is(context.Cause(ctx), errTerminated):
		return errTerminated
	}
	return exit.With(exit.Interrupted, context.Canceled)
}

// ended is what a command returns that goes on until it is stopped.
func ended(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errTerminated) || errors.Is(err, syscall.EPIPE) {
		return nil
	}
	return err
}

// untilSignal returns a context that is done at the first INT, as cancelled, or TERM, with errTerminated as its cause. A second one ends the
// process.
func untilSignal(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		defer signal.Stop(signals)
		select {
		case s := <-signals:
			if s == syscall.SIGTERM {
				cancel(errTerminated)
			} else {
				cancel(context.Canceled)
			}
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}
