package terminal

import (
	"io"
	"os"

	"golang.org/x/sys/windows"
)

// virtualTerminal makes a console of Windows understand escape sequences, and says whether it does.
func virtualTerminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	if !ok {
		return true
	}
	var mode uint32
	if windows.GetConsoleMode(windows.Handle(f.Fd()), &mode) != nil {
		return true // no console: a file, a pipe, or a terminal that is one by itself
	}
	mode |= windows.ENABLE_PROCESSED_OUTPUT | windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING
	return windows.SetConsoleMode(windows.Handle(f.Fd()), mode) == nil
}
