package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"baro.dev/channel"
	"baro.dev/channel/client"
)

// readClient reads by channel/client, which comes back by itself as long as the server is where it was.
func readClient(ctx context.Context, r *reading, over ...client.Transport) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	url := r.url()
	c, err := client.New(url, &client.Options{
		Transports: over, DialContext: r.dial, Delay: 10 * time.Millisecond, DelayMax: 200 * time.Millisecond, PollInterval: 200 * time.Millisecond,
	})
	if err != nil {
		return fmt.Errorf("%w: %w", errProtocol, err)
	}
	handled := make(chan struct{}, 1) // the handler runs
	defer func() {
		end(nil) // the handler has nothing to do any more
		_ = c.Close()
		handled <- struct{}{}
	}()
	_, err = c.Subscribe(r.name, func(m *channel.Message) {
		handled <- struct{}{}
		defer func() { <-handled }()
		if ctx.Err() == nil && !r.accept(*m) {
			end(errEnough)
		}
	}, &client.SubscribeOptions{
		After: r.after(),
		OnGap: func(last, next channel.Position) { end(fmt.Errorf("%w: %v to %v", errReset, last, next)) },
		OnEnd: func(err error) { end(fmt.Errorf("%w: %w", errProtocol, err)) },
	})
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		if pause(ctx, 10*time.Millisecond); r.url() != url {
			end(errMoved)
		}
	}
	if err := context.Cause(ctx); !errors.Is(err, errEnough) {
		return err
	}
	return nil
}

var (
	errEnough = errors.New("it has enough")
	errMoved  = errors.New("the server is elsewhere")
)
