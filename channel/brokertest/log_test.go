package brokertest_test

import (
	"testing"

	"baro.dev/channel"
	"baro.dev/channel/brokertest"
)

func TestLog(t *testing.T) {
	brokertest.Run(t, func(*testing.T) brokertest.Cluster {
		log := brokertest.NewLog()
		return brokertest.Cluster{Open: func() channel.Broker { return log.Open() }, Empty: log.Empty}
	})
}
