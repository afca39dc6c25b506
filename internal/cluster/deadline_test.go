package cluster_test

import (
	"errors"
	"os"
	"testing"
	"time"

	"baro.dev/internal/cluster"
	"baro.dev/internal/cluster/membus"
	"baro.dev/internal/testkit"
)

// A deadline that passes just when a reader begins to wait wakes it.
func TestStreamDeadlines(t *testing.T) {
	w := new(membus.Network)
	a, b := join(t, w, cluster.Options{Name: "a"}), join(t, w, cluster.Options{Name: "b"})
	for a.names() == "" || b.names() == "" {
		time.Sleep(time.Millisecond)
	}
	c, _ := dial(t, a, b)
	done := make(chan error, 1)
	go func() {
		for i := range 20_000 {
			_ = c.SetReadDeadline(time.Now().Add(time.Duration(i%400) * 10 * time.Nanosecond))
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				done <- err
				return
			}
		}
		done <- nil
	}()
	if err := testkit.Within(t, "all deadlines", done); err != nil {
		t.Error(err)
	}
}
