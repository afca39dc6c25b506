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

// Place is where a thread runs, and what it starts.
type Place struct {
	CPU   int  // the processor; -1: any
	Batch bool // it preempts nothing when it wakes (SCHED_BATCH)
}

// enter binds the calling thread.
func (p Place) enter() error {
	if p.CPU >= 0 {
		var mask [16]uint64
		mask[p.CPU/64] = 1 << (p.CPU % 64)
		_, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, 0, unsafe.Sizeof(mask), uintptr(unsafe.Pointer(&mask)))
		if errno != 0 {
			return fmt.Errorf("bind to processor %d: %w", p.CPU, errno)
		}
	}
	if p.Batch {
		const batch = 3 // sched(7)
		var priority int32
		_, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_SETSCHEDULER, 0, batch, uintptr(unsafe.Pointer(&priority)))
		if errno != 0 {
			return fmt.Errorf("SCHED_BATCH: %w", errno)
		}
	}
	return nil
}

// OnThread runs f on a thread of its own in a place.
func OnThread[T any](p Place, f func() (T, error)) (result T, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked, so that the thread ends with the goroutine
		if err = p.enter(); err == nil {
			result, err = f()
		}
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
