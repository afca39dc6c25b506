package redisbroker_test

import (
	"testing"
	"time"

	"baro.dev/channel"
	"baro.dev/channel/brokertest"
	"baro.dev/channel/redisbroker"
	"baro.dev/internal/testkit/brokers"
)

// How wrong the clocks of processes are does not matter.
func TestClocks(t *testing.T) {
	t.Parallel()
	s := brokers.Redis(t)
	brokertest.Clocks(t, func(clock func() time.Time) channel.Broker {
		return open(t, single(s), redisbroker.Options{Clock: clock})
	})
}
