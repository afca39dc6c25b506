// Package filelock keeps other processes from what this one uses.
package filelock

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// HeldError means that another process has the lock.
type HeldError struct {
	Path string
	PID  int // of who has it; 0: that is not known
}

func (e *HeldError) Error() string {
	owner := "which is not known"
	if e.PID != 0 {
		owner = "process " + strconv.Itoa(e.PID)
	}
	return e.Path + " is held by " + owner
}

// Acquire takes the lock file at path for this process, until the file is closed or the process ends, however it ends. It makes the file if
// it is not there. The error is a [*HeldError] where another process has it.
func Acquire(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if held, err := lock(f); err != nil {
		defer f.Close()
		if !held {
			return nil, fmt.Errorf("locking %s: %w", path, err)
		}
		b, _ := io.ReadAll(io.LimitReader(f, 20))
		pid, _ := strconv.Atoi(strings.TrimSpace(string(b)))
		return nil, &HeldError{path, max(0, pid)}
	}
	// Who it is helps whoever comes next; without it the lock is as good.
	if f.Truncate(0) == nil {
		_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	return f, nil
}
