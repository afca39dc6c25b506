package main

import (
	"math"
	"os"
	"runtime/debug"
	"strconv"

	"baro.dev/internal/cgroup"
)

// memoryPercent is how much of its control group's memory the heap is to stay within. The rest is for what the runtime does not count.
const memoryPercent = 90

// limitMemory has the garbage collector keep within the memory of the control group, unless GOMEMLIMIT says what to keep within. It
// returns the limit in bytes, or "none".
func limitMemory() string {
	limit, ok := cgroup.MemoryLimit(os.DirFS("/"))
	switch {
	case os.Getenv("GOMEMLIMIT") != "":
		limit = debug.SetMemoryLimit(-1)
		ok = limit < math.MaxInt64
	case ok:
		limit = limit / 100 * memoryPercent
		debug.SetMemoryLimit(limit)
	}
	if !ok {
		return "none"
	}
	return strconv.FormatInt(limit, 10)
}
