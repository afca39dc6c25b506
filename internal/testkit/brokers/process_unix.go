//go:build unix && !linux

package brokers

import "syscall"

const (
	sigstop = syscall.SIGSTOP
	sigcont = syscall.SIGCONT
)

var together *syscall.SysProcAttr
