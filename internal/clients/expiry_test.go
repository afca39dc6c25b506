package clients

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"baro.dev/channel"
	"baro.dev/internal/auth"
)

type countingLink struct{ closed atomic.Int32 }

func (l *countingLink) Close(Reason) { l.closed.Add(1) }

// Tokens go by the clock, which may be set; timers do not. A connection ends when its token has expired by the clock, or soon after.
func TestExpiryWhenTheClockJumps(t *testing.T) {
	for _, test := range []struct {
		name        string
		lasts, jump time.Duration // of the token, and of the clock after ten seconds
		stays, ends time.Duration // from the beginning
	}{
		{"not at all", time.Minute, 0, time.Minute - time.Second, time.Minute + time.Second},
		{"back", time.Minute, -time.Hour, time.Hour + time.Minute - time.Second, time.Hour + 3*time.Minute},
		{"forward, not that far", 2 * time.Hour, time.Hour, time.Hour - time.Second, time.Hour + time.Minute + time.Second},
		{"forward, beyond the end", 2 * time.Hour, 24 * time.Hour, 10 * time.Second, 10*time.Second + maxUnwatched + time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var jumped atomic.Int64
				r := New(Config{Hub: channel.NewHub(nil), Now: func() time.Time { return time.Now().Add(time.Duration(jumped.Load())) }})
				l := &countingLink{}
				began := time.Now()
				c, _ := r.Enter(&Identity{Identity: auth.Identity{User: "ana", Expires: began.Add(test.lasts)}}, Hello{}, l)
				defer c.Gone("over")
				time.Sleep(10 * time.Second)
				jumped.Store(int64(test.jump))
				time.Sleep(test.stays - time.Since(began))
				synctest.Wait()
				if l.closed.Load() != 0 {
					t.Error("the connection has ended too early")
				}
				time.Sleep(test.ends - time.Since(began))
				synctest.Wait()
				if n := l.closed.Load(); n != 1 {
					t.Errorf("the connection was ended %d times", n)
				}
			})
		})
	}
}
