//go:build unix && !freebsd && !dragonfly

package load

import "syscall"

func setLimit(l *syscall.Rlimit, n uint64) { l.Cur, l.Max = n, n }
