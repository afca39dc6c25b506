//go:build !linux

package ws

// acceptable reports whether connections are accepted without net/http.
func (f *front) acceptable() bool { return false }

func (f *front) accept() error { panic("ws: not acceptable") }
