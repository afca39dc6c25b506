package ws

import (
	"syscall"
	"unsafe"
)

// writev writes head and tail with one system call. Both must hold something.
func writev(fd int, head, tail []byte) (int, error) {
	vectors := [2]syscall.Iovec{{Base: &head[0]}, {Base: &tail[0]}}
	vectors[0].SetLen(len(head))
	vectors[1].SetLen(len(tail))
	n, _, errno := syscall.Syscall(syscall.SYS_WRITEV, uintptr(fd), uintptr(unsafe.Pointer(&vectors[0])), uintptr(len(vectors)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
