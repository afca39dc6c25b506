//go:build !unix

package deflate

import "time"

var began = time.Now()

// cpuTime is the time that passed, for want of what the process has used.
func cpuTime() time.Duration { return time.Since(began) }
