//go:build unix

package main

import (
	"os/signal"
	"syscall"
)

// ignoreFileSize has a file that may not grow be an error of writing (EFBIG), and not the end of the process.
func ignoreFileSize() { signal.Ignore(syscall.SIGXFSZ) }
