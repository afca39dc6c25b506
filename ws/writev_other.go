//go:build unix && !linux

package ws

import "syscall"

// writev writes head and then tail, as far as they go without waiting.
func writev(fd int, head, tail []byte) (int, error) {
	n, err := syscall.Write(fd, head)
	if err != nil || n < len(head) {
		return n, err
	}
	m, err := syscall.Write(fd, tail)
	if err != nil {
		return n, nil // it comes again, if it matters
	}
	return n + m, nil
}
