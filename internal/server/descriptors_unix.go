//go:build unix

package server

import "syscall"

// mostDescriptors is how many this process may have: the runtime has raised the soft limit to the hard one (package os).
func mostDescriptors() uint64 {
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) != nil {
		return descriptorsUnknown
	}
	return uint64(l.Cur) //nolint:unconvert // it is signed on some systems
}
