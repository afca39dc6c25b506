package channels

import (
	"context"
	"errors"
	"strings"

	"baro.dev/channel/client"
	"baro.dev/internal/cli/exit"
	"baro.dev/internal/cli/target"
)

// failedClient is what a client of channels has said, with its exit code.
func failedClient(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), context.Canceled) {
		return context.Canceled
	}
	if e, ok := errors.AsType[*client.Error](err); ok {
		return exit.With(exit.Refused, &RefusedError{Code: e.Code, Number: e.Number, Message: e.Message, After: e.After})
	}
	if e, ok := errors.AsType[*client.StatusError](err); ok {
		return exit.With(exit.Refused, &RefusedError{Status: e.Status, After: e.After})
	}
	if errors.Is(err, client.ErrProtocol) {
		return exit.With(exit.Refused, err)
	}
	if errors.Is(err, errPatience) {
		return exit.With(exit.Broken, err)
	}
	return exit.With(exit.Unreachable, oneLine(err))
}

// notConnected is why a client has not connected, with its exit code.
func notConnected(ctx context.Context, err error) error {
	failed := failedClient(ctx, err)
	if exit.Code(failed) == exit.Unreachable {
		return target.Unconnected(failed)
	}
	return failed
}

// oneLine says an error in one line, and not of which package it is.
func oneLine(err error) error {
	if err == nil {
		return nil
	}
	text := strings.ReplaceAll(err.Error(), "channel/client: ", "")
	if text = strings.ReplaceAll(text, "\n", "; "); text == err.Error() {
		return err
	}
	return &said{text, err}
}

type said struct {
	text string
	error
}

func (s *said) Error() string { return s.text }
func (s *said) Unwrap() error { return s.error }
