//go:build freebsd || dragonfly

package load

import "syscall"

func setLimit(l *syscall.Rlimit, n uint64) { l.Cur, l.Max = int64(n), int64(n) }
