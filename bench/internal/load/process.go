//go:build linux

package load

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// processCPU is the processor time, user and system, that all threads of a process have used, to the nanosecond: what
// /proc/PID/stat has in ticks of 10 ms.
func processCPU(pid int) (time.Duration, error) {
	clock := ^pid<<3 | 2 // clock_getcpuclockid(3): CPUCLOCK_SCHED of a process
	var t syscall.Timespec
	if _, _, errno := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, uintptr(clock), uintptr(unsafe.Pointer(&t)), 0); errno != 0 {
		return 0, fmt.Errorf("processor time of process %d: %w", pid, errno)
	}
	return time.Duration(t.Nano()), nil
}

// bind binds the calling thread to one processor, where it preempts nothing when it wakes (SCHED_BATCH). What it starts
// inherits both. So two processes that share a processor take turns, each doing all it finds to do: that is when their
// times vary least, since they do not depend on which of the two the scheduler prefers at each message.
func bind(cpu int) error {
	var mask [16]uint64
	mask[cpu/64] = 1 << (cpu % 64)
	_, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, 0, unsafe.Sizeof(mask), uintptr(unsafe.Pointer(&mask)))
	if errno != 0 {
		return fmt.Errorf("bind to processor %d: %w", cpu, errno)
	}
	const batch = 3 // sched(7)
	var priority int32
	if _, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_SETSCHEDULER, 0, batch, uintptr(unsafe.Pointer(&priority))); errno != 0 {
		return fmt.Errorf("SCHED_BATCH: %w", errno)
	}
	return nil
}

// OnThread runs f on a thread of its own, bound to a processor unless cpu is negative (see bind).
func OnThread[T any](cpu int, f func() (T, error)) (result T, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked, so that the thread ends with the goroutine
		if cpu >= 0 {
			if err = bind(cpu); err != nil {
				return
			}
		}
		result, err = f()
	}()
	<-done
	return result, err
}

// rss is the resident memory of a process in bytes.
func rss(pid int) (int64, error) {
	return field(fmt.Sprintf("/proc/%d/status", pid), "VmRSS:")
}

// slab is the memory of the kernel's slabs in bytes: sockets, their inodes and files.
func slab() (int64, error) { return field("/proc/meminfo", "Slab:") }

// field reads a line "name 123 kB".
func field(file, name string) (int64, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if words := strings.Fields(line); len(words) > 1 && words[0] == name {
			n, err := strconv.ParseInt(words[1], 10, 64)
			return n << 10, err
		}
	}
	return 0, fmt.Errorf("%s has no %s", file, name)
}
