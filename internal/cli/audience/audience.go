// Package audience tells when nobody reads an output any more, though nothing is written: baro subscribe news | head -1 is to end when head does.
package audience

import (
	"io"
	"os"
)

// OnGone has f called, once, when whoever reads w has gone: where w is a pipe, a socket or a terminal, on Unix. stop ends that, and waits
// for a call that is under way.
func OnGone(w io.Writer, f func()) (stop func()) {
	file, ok := w.(*os.File)
	if !ok {
		return func() {}
	}
	return watch(file, f)
}
