package brokers

import "syscall"

const (
	sigstop = syscall.SIGSTOP
	sigcont = syscall.SIGCONT
)

// together has the process end with the thread that started it.
var together = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
