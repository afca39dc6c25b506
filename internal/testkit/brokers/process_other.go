//go:build !unix

package brokers

import "syscall"

const ( // which the system refuses
	sigstop = syscall.Signal(0x13)
	sigcont = syscall.Signal(0x12)
)

var together *syscall.SysProcAttr
