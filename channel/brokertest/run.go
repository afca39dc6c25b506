package brokertest

import (
	"testing"
	"time"

	"baro.dev/channel"
)

// A Cluster is where brokers are opened that share their channels.
type Cluster struct {
	// Open makes one more broker, as another process would.
	Open func() channel.Broker
	// Empty has all be lost that was kept, as where a server that keeps nothing on disk begins again. Nil: that cannot be.
	Empty func()
}

// all keeps more than any test puts there.
var all = channel.Keep{Count: 10_000, Bytes: 64 << 20, Age: time.Hour}

// Run tests brokers. start makes a cluster that has nothing, for each test.
func Run(t *testing.T, start func(t *testing.T) Cluster) {
	tests := []struct {
		name string
		run  func(t *testing.T, c Cluster)
	}{
		{"empty", testEmpty},
		{"fields", testFields},
		{"names", testNames},
		{"order", testOrder},
		{"many", testMany},
		{"join", testJoin},
		{"unfollow", testUnfollow},
		{"keys", testKeys},
		{"keys at once", testKeysAtOnce},
		{"keep", testKeep},
		{"keep nothing", testKeepNothing},
		{"keep last", testKeepLast},
		{"read", testRead},
		{"reopen", testReopen},
		{"close", testClose},
		{"lost", testLost},
		{"hubs", testHubs},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := start(t)
			open := c.Open
			c.Open = func() channel.Broker {
				b := open()
				t.Cleanup(func() { _ = b.Close() })
				return b
			}
			test.run(t, c)
		})
	}
}
