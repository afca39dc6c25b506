package redisadapter

import (
	"testing"
	"testing/synctest"
	"time"
)

// A broadcast of another server that does not say how long acknowledgements are waited for is not waited for without end.
func TestServingEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &Adapter{serving: map[*serving]struct{}{}}
		s := &serving{adapter: a, waiting: 1}
		a.serving[s] = struct{}{}
		stopped := false
		s.begin(func() { stopped = true }, 0)
		time.Sleep(usualWait + time.Second)
		synctest.Wait()
		if a.mu.Lock(); !stopped || len(a.serving) > 0 {
			t.Error("it is still waited for")
		}
		a.mu.Unlock()
	})
}
