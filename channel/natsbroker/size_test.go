package natsbroker_test

import (
	"testing"

	"baro.dev/channel"
	"baro.dev/channel/natsbroker"
	"baro.dev/internal/testkit/brokers/embedded"
)

// What a message costs is as doc.go says.
func TestSize(t *testing.T) {
	url := embedded.NATS(t, 1)[0].URL
	b := open(t, url, natsbroker.Options{})
	for range 100 {
		put(t, b, "news", &channel.Message{Data: make([]byte, 100), Binary: true})
	}
	state := info(t, url).State
	if each := state.Bytes / state.Msgs; each < 240 || each > 330 {
		t.Errorf("a message of 100 bytes takes %d in the stream", each)
	} else {
		t.Logf("a message of 100 bytes takes %d in the stream", each)
	}
}
