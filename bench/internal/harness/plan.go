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
	// JITWarmup is Warmup in the cells of Socket.IO, where a server in JavaScript is among those compared: it becomes
	// three times as fast within seconds.
	JITWarmup time.Duration
	// Heartbeat is Socket.IO's pingInterval; 0: the official server's 25 s.
	Heartbeat time.Duration
}

const defaultHeartbeat = 25 * time.Second

// JITWarmup is how long V8 is given.
const JITWarmup = 3 * time.Second

// socketIOCells are in the plan "full" and all of the plan "socketio".
func socketIOCells() []string {
	return []string{
		"sioack-64-p1-c100-onecore", "sioack-64-p1-c1000-onecore", "sioack-64-p8-c100-onecore",
		"sioack-64-p1-c100-twocores",
		"sioroom-128-w1-n1000-twocores", "sioroom-128-w1-n5000-twocores", "sioroom-128-w8-n1000-twocores",
		"siopoll-64-c100-twocores",
		"sioopen-64-c32-twocores",
		"sioidle-64-n5000-twocores", "sioidle-64-n19000-twocores",
	}
}

// channelCells are the plan "channels".
func channelCells() []string {
	return []string{
		"chpub-128-p1-c1-twocores", "chpub-128-p1-c16-twocores", "chpub-128-p100-c1-twocores", "chpub-128-p100-c16-twocores",
		"chws-128-w1-n1000-twocores", "chws-128-w1-n5000-twocores", "chws-128-w8-n1000-twocores",
		"chsse-128-w1-n1000-twocores", "chsse-128-w8-n1000-twocores",
		"chidle-128-n5000-twocores",
	}
}

// clusterCells are the plan "cluster".
func clusterCells() []string {
	return []string{
		"siocluster-128-w1-n1000-twocores", "siocluster-128-w8-n1000-twocores",
		"chcluster-128-w1-n1000-twocores", "chcluster-128-w8-n1000-twocores",
	}
}

// PlanNamed returns the plan "quick", a look at everything in about two minutes; "full", what
// docs/performance.md shows, in about an hour; or "socketio", what of that is Socket.IO; or
// "channels", the stand-alone server; or "cluster", what comes from other servers.
func PlanNamed(name string) (Plan, error) {
	switch name {
	case "quick":
		return Plan{Cells: []string{
			"echo-64-p1-c100-onecore", "echo-64-p16-c100-onecore",
			"fanout-128-w1-n1000-onecore",
			"echo-4096-p1-c100-noctx-twocores",
			"churn-64-c32-twocores",
			"idle-64-n2000-twocores",
			"sioack-64-p1-c100-onecore", "sioroom-128-w1-n1000-twocores",
		}, Rounds: 1, Warmup: 200 * time.Millisecond, JITWarmup: JITWarmup, Duration: 400 * time.Millisecond}, nil
	case "full":
		cells := []string{
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
		}
		return Plan{Cells: append(cells, socketIOCells()...), Rounds: 5, Warmup: 300 * time.Millisecond, JITWarmup: JITWarmup, Duration: time.Second}, nil
	case "socketio":
		return Plan{Cells: socketIOCells(), Rounds: 5, Warmup: 300 * time.Millisecond, JITWarmup: JITWarmup, Duration: time.Second}, nil
	}
	if name == "channels" {
		return Plan{Cells: channelCells(), Rounds: 5, Warmup: 300 * time.Millisecond, JITWarmup: JITWarmup, Duration: time.Second}, nil
	}
	if name == "cluster" {
		return Plan{Cells: clusterCells(), Rounds: 5, Warmup: 300 * time.Millisecond, JITWarmup: JITWarmup, Duration: time.Second}, nil
	}
	return Plan{}, fmt.Errorf("no plan %q: quick, full, socketio, channels or cluster", name)
}
