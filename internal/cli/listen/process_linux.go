package listen

import (
	"os/exec"

	"golang.org/x/sys/unix"
)

// awaitEnd waits for the end of a program and leaves it to be reaped, so that its number, and that of its group, stay its own.
func awaitEnd(cmd *exec.Cmd) bool {
	for {
		if err := unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil); err != unix.EINTR {
			return err == nil
		}
	}
}
