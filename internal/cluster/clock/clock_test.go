package clock_test

import (
	"testing"
	"time"

	"baro.dev/internal/cluster/clock"
)

func TestClock(t *testing.T) {
	here := time.Unix(1_800_000_000, 0)
	c := clock.Clock{Local: func() time.Time { return here }}
	for i, k := range []struct {
		took, other, ahead time.Duration // since it was asked
	}{
		{time.Second, 400 * time.Millisecond, 0}, // it may be right
		{time.Second, time.Hour, time.Hour - time.Second},
		{10 * time.Millisecond, time.Hour, time.Hour - 10*time.Millisecond},
		{10 * time.Second, time.Hour + 2*time.Second, time.Hour - 10*time.Millisecond},
		{time.Millisecond, -time.Hour, -time.Hour},
		{-time.Second, time.Minute, -time.Hour}, // a clock that was set back says nothing
		{0, 0, 0},
	} {
		if c.Seen() != (i > 0) {
			t.Errorf("%d: seen: %v", i, c.Seen())
		}
		c.Saw(here, here.Add(k.took), here.Add(k.other))
		if ahead := c.Now().Sub(here); ahead != k.ahead {
			t.Errorf("%d: it is %v ahead, not %v", i, ahead, k.ahead)
		}
	}
	if d := time.Since(new(clock.Clock).Now()); d < 0 || d > time.Minute {
		t.Errorf("one that nobody has seen is %v off", d)
	}
}
