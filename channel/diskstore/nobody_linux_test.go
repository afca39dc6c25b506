package diskstore_test

import (
	"os"
	"runtime"
	"syscall"
	"testing"
)

// asNobody does something as somebody who has to ask for permission, which root has not.
func asNobody(t *testing.T, do func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		do()
		return
	}
	done := make(chan syscall.Errno)
	go func() {
		runtime.LockOSThread() // and it ends with the goroutine
		// Files are looked at as another user, by this thread alone (setfsuid(2)).
		_, _, errno := syscall.RawSyscall(syscall.SYS_SETFSUID, 65534, 0, 0)
		do()
		done <- errno
	}()
	if errno := <-done; errno != 0 {
		t.Fatal(errno)
	}
}
