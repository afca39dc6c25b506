package client

import "testing"

// Who waits for room for a message that is larger than half of all there is waits until it fits.
func TestRoom(t *testing.T) {
	b := inbox{limit: 100}
	release := make(chan struct{})
	b.push(30, func() { <-release })
	isRoomy := func() bool {
		select {
		case <-b.roomy():
			return true
		default:
			return false
		}
	}
	if b.push(80, func() {}) || isRoomy() {
		t.Error("there is room for 80 beside 30 of 100")
	}
	if !b.push(50, func() {}) || isRoomy() {
		t.Error("there is no room for 50 beside 30 of 100, or for more than that")
	}
	close(release)
	<-b.roomy()
	if !b.push(80, func() {}) {
		t.Error("there is no room for 80 of 100")
	}
}
