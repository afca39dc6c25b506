//go:build unix

package load

import "syscall"

// descriptors is how many this process may have, after it has seen to it that there are so many, if that can be.
func descriptors(need uint64) (have uint64, ok bool) {
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) != nil {
		return 0, false
	}
	if uint64(l.Cur) < need { //nolint:unconvert // it is signed on some systems
		raised := l
		raised.Cur = l.Max
		if uint64(l.Max) < need { //nolint:unconvert // likewise
			setLimit(&raised, need) // which root may
		}
		if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised) != nil {
			raised = l
			raised.Cur = l.Max
			_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised)
		}
		if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) != nil {
			return 0, false
		}
	}
	return uint64(l.Cur), true //nolint:unconvert // likewise
}
