//go:build !windows

package terminal

import "io"

// virtualTerminal says whether a terminal understands escape sequences: all do, but those of Windows want to be asked.
func virtualTerminal(io.Writer) bool { return true }
