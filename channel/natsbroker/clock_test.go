package natsbroker_test

import (
	"testing"
	"time"

	"baro.dev/channel"
	"baro.dev/channel/brokertest"
	"baro.dev/channel/natsbroker"
	"baro.dev/internal/testkit/brokers"
	"baro.dev/internal/testkit/brokers/embedded"
)

// How wrong the clocks of processes are does not matter, be the server one that says what time it is, or not.
func TestClocks(t *testing.T) {
	for name, start := range map[string]func(t *testing.T) string{
		"embedded": func(t *testing.T) string { return embedded.NATS(t, 1)[0].URL },
		"Debian's": func(t *testing.T) string { return "nats://" + brokers.NATS(t).Addr },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := start(t)
			brokertest.Clocks(t, func(clock func() time.Time) channel.Broker { return open(t, url, natsbroker.Options{Clock: clock}) })
		})
	}
}
