//go:build unix

package terminal

import (
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

const (
	canSuspend  = true
	suspendTime = 500 * time.Millisecond // in which a process that is told to stop has stopped
)

// suspendProcess stops the process group, as the terminal would.
func suspendProcess() {
	resumed := make(chan os.Signal, 1)
	signal.Notify(resumed, syscall.SIGCONT)
	defer signal.Stop(resumed)
	if syscall.Kill(0, syscall.SIGTSTP) != nil {
		return
	}
	select {
	case <-resumed:
	case <-time.After(suspendTime): // of a group that no shell has control of, the system stops nobody
	}
}

// watchSize calls resized for each SIGWINCH.
func watchSize(resized func()) (stop func()) {
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, syscall.SIGWINCH)
	done := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		for {
			select {
			case <-changed:
				resized()
			case <-done:
				return
			}
		}
	})
	return func() {
		signal.Stop(changed)
		close(done)
		running.Wait()
	}
}
