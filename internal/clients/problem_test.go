package clients_test

import (
	"fmt"
	"testing"

	"baro.dev/channel"
	"baro.dev/internal/clients"
)

// Whoever publishes learns whether the message is there: that it is not, or that nobody knows.
func TestErrorOfTheStore(t *testing.T) {
	failed := fmt.Errorf("%w: the disk is full", channel.ErrStore)
	if p := clients.ErrorOf(failed); p != clients.ErrStore {
		t.Error(p)
	}
	if p := clients.ErrorOf(fmt.Errorf("%w: %w", failed, channel.ErrUncertain)); p != clients.ErrUncertain || p.Status != 504 || p.Number >= 1500 {
		t.Error(p)
	}
}
