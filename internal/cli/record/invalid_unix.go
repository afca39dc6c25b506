//go:build unix

package record

import (
	"errors"
	"syscall"
)

// isInvalid says whether an error is that a file is of a kind that cannot be synced.
func isInvalid(err error) bool {
	return errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP)
}
