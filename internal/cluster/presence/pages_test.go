package presence_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"baro.dev/internal/cluster/membus"
)

// A channel with so many members that they are told in many parts is known as a whole in the end, though the way to the other node is slow:
// what may not take long is one answer, and not all of them.
func TestManyPagesOnASlowWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := new(membus.Network)
		w.SetMaxBytes(8 << 10)
		a := newNode(t, w)
		var want []string
		for i := range 300 {
			a.join("p/a", fmt.Sprintf("%04d", i), "ana")
			want = append(want, fmt.Sprintf("%04d=ana", i))
		}
		b := newNode(t, w)
		time.Sleep(3 * time.Second)
		w.Fate(func(membus.Passage) membus.Fate { return membus.Fate{Delay: 400 * time.Millisecond} })
		b.join("p/a", "x", "")
		time.Sleep(30 * time.Second)
		agree(t, []*node{a, b}, "p/a", strings.Join(append(want, "x="), " "))
	})
}
