//go:build linux

package harness

import (
	"fmt"
	"time"
)

// Plan is a set of cells and how they are measured when nothing else is said.
type Plan struct {
	Cells            []string
	Rounds           int
	Warmup, Duration time.Duration
}

// PlanNamed returns the plan "quick", a look at everything in about a minute and a half, or "full", what
// docs/performance.md shows, in about three quarters of an hour.
func PlanNamed(name string) (Plan, error) {
	switch name {
	case "quick":
		return Plan{[]string{
			"echo-64-p1-c100-onecore", "echo-64-p16-c100-onecore",
			"fanout-128-w1-n1000-onecore",
			"echo-4096-p1-c100-noctx-twocores",
			"churn-64-c32-twocores",
			"idle-64-n2000-twocores",
		}, 1, 200 * time.Millisecond, 400 * time.Millisecond}, nil
	case "full":
		return Plan{[]string{
			"echo-64-p1-c100-onecore", "echo-64-p1-c1000-onecore",
			"echo-1024-p1-c100-onecore", "echo-1024-p1-c1000-onecore",
			"echo-64-p16-c100-onecore", "echo-65536-p4-c100-onecore",
			"echo-64-p1-c100-twocores", "echo-64-p1-c1000-twocores",
			"echo-64-p16-c100-twocores", "echo-1024-p1-c100-twocores",
			"echo-64-r20000-c100-apart", "echo-64-r20000-c100-twocores",
			"fanout-128-w1-n1000-onecore", "fanout-128-w1-n10000-onecore",
			"fanout-128-w8-n1000-twocores",
			"churn-64-c32-twocores",
			"echo-4096-p1-c100-noctx-twocores", "echo-4096-p1-c100-ctx-twocores",
			"idle-64-n2000-twocores", "idle-64-n19000-twocores",
			"idle-4096-n1000-noctx-twocores", "idle-4096-n1000-ctx-twocores",
		}, 5, 300 * time.Millisecond, time.Second}, nil
	}
	return Plan{}, fmt.Errorf("no plan %q: quick or full", name)
}
