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

// A timer does not know that the clock was set back: it comes too early by the clock that tokens go by, and once more in time.
func TestExpiryAfterTheClockWasSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(Config{Hub: channel.NewHub(nil)})
		l := &countingLink{}
		c, _ := r.Enter(&Identity{Identity: auth.Identity{User: "ana", Expires: time.Now().Add(time.Minute)}}, Hello{}, l)
		defer c.Gone("over")
		c.more.expiry.Reset(time.Second) // as when the clock lost 59 s after it was set
		time.Sleep(59 * time.Second)
		synctest.Wait()
		if l.closed.Load() != 0 {
			t.Error("the connection has ended too early")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := l.closed.Load(); n != 1 {
			t.Errorf("the connection was ended %d times", n)
		}
	})
}
