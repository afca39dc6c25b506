// Package extendedconnect makes Go's HTTP/2 server and client speak extended CONNECT (RFC 8441), which WebSocket over
// HTTP/2 needs. Import it for its effect, in a program, never in a library.
//
// net/http decides at its initialisation, by GODEBUG=http2xconnect=1 in the environment. This package imports nothing
// but os, so that it is initialised first: of the packages whose imports are ready, Go initialises the one that comes
// first by import path ("The Go Programming Language Specification", Package initialization).
package extendedconnect

import "os"

var _ = enable()

// enable adds the setting to GODEBUG, unless the user has decided.
func enable() bool {
	const setting = "http2xconnect="
	old := os.Getenv("GODEBUG")
	for rest := old; rest != ""; {
		var item string
		item, rest = cut(rest, ',')
		if len(item) >= len(setting) && item[:len(setting)] == setting {
			return false
		}
	}
	if old != "" {
		old += ","
	}
	return os.Setenv("GODEBUG", old+setting+"1") == nil
}

// cut is strings.Cut, without the import.
func cut(s string, at byte) (before, after string) {
	for i := range len(s) {
		if s[i] == at {
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}
