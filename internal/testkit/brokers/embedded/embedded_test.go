package embedded_test

import (
	"testing"

	"baro.dev/internal/testkit"
	"baro.dev/internal/testkit/brokers/embedded"
)

// JetStream is there, one server or three, and again when one of them has been away.
func TestNATS(t *testing.T) {
	testkit.NoLeaks(t)
	one := embedded.NATS(t, 1)[0]
	if !one.JetStreamEnabled() {
		t.Error("no JetStream")
	}
	three := embedded.NATS(t, 3)
	three[1].Restart()
	if !three[1].JetStreamIsClustered() {
		t.Error("no cluster")
	}
}
