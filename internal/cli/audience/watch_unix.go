//go:build unix

package audience

import (
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// every is how often it is looked whether to stop.
const every = 250 * time.Millisecond

func watch(file *os.File, f func()) (stop func()) {
	over := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		for {
			select {
			case <-over:
				return
			default:
			}
			// Without events, what is told is errors and hangups alone.
			fds := []unix.PollFd{{Fd: int32(file.Fd())}}
			n, err := unix.Poll(fds, int(every/time.Millisecond))
			switch {
			case err == unix.EINTR, err == nil && n == 0:
			case err != nil || fds[0].Revents&unix.POLLNVAL != 0:
				return
			default:
				f()
				return
			}
		}
	})
	return sync.OnceFunc(func() {
		close(over)
		watching.Wait()
	})
}
