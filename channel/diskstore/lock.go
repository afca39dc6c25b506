package diskstore

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// errHeld is what lock says where another process has the lock.
var errHeld = errors.New("held")

// acquire takes the lock file at path for this process, until the file is closed or the process ends, however it ends.
// The error is [ErrLocked] and names the process that has it, where that can be known.
func acquire(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lock(f); err != nil {
		defer f.Close()
		if !errors.Is(err, errHeld) {
			return nil, fmt.Errorf("locking %s: %w", path, err)
		}
		owner := "which is not known"
		b, err := io.ReadAll(io.LimitReader(f, 20))
		if pid, numErr := strconv.Atoi(strings.TrimSpace(string(b))); err == nil && numErr == nil {
			owner = "process " + strconv.Itoa(pid)
		}
		return nil, fmt.Errorf("%w: %s is held by %s", ErrLocked, path, owner)
	}
	// Who it is helps whoever comes next; without it the lock is as good.
	if f.Truncate(0) == nil {
		_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	return f, nil
}
