package carry_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"baro.dev/internal/cluster/membus"
	"baro.dev/internal/testkit"
)

// The bus loses one in fifty of the messages of streams, delivers some twice and all late: every request ends, in whichever way, and none
// with what is not its answer. Afterwards all is as before.
func TestChaos(t *testing.T) {
	w := new(membus.Network)
	all := cells(t, w, 3, setup{heartbeat: 100 * time.Millisecond})
	dice := rand.New(rand.NewPCG(7, 7)) // only Fate's, one at a time
	w.Fate(func(p membus.Passage) membus.Fate {
		if !strings.HasPrefix(p.Subject, "stream.") {
			return membus.Fate{}
		}
		return membus.Fate{Drop: dice.IntN(50) == 0, Duplicate: dice.IntN(20) / 19, Delay: time.Duration(dice.IntN(1000)) * time.Microsecond}
	})
	var clients sync.WaitGroup
	var right, failed atomic.Int32
	for i := range 20 {
		clients.Go(func() {
			for n := range 10 {
				sid := all[i%3].open(t)
				ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience)
				posted := all[(i+1)%3].do(ctx, "POST", sid, "4hello")
				polled := answer{}
				if posted.status == 200 {
					polled = all[(i+2)%3].do(ctx, "GET", sid, "")
				}
				cancel()
				for _, a := range []answer{posted, polled} {
					if errors.Is(a.err, context.DeadlineExceeded) {
						t.Errorf("client %d, request %d: %v", i, n, a.err)
					}
				}
				switch {
				case polled.body == "4hello":
					right.Add(1)
				case polled.status == 200 && polled.err == nil:
					t.Errorf("%+v", polled)
				default:
					failed.Add(1)
				}
			}
		})
	}
	clients.Wait()
	t.Logf("%d sessions went right, %d failed", right.Load(), failed.Load())
	if right.Load() == 0 || failed.Load() == 0 {
		t.Error("that was no chaos, or nothing else")
	}
	w.Fate(nil)
	time.Sleep(500 * time.Millisecond) // streams that have lost something are known by then
	poll(t, all, all[0].open(t))
	for _, c := range all {
		if s := c.carrier.Stats(); s.Open != 0 {
			t.Errorf("%+v", s)
		}
	}
}
