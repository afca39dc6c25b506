//go:build !windows

package neterr

import "syscall"

// What is wrong with an address, or with a connection.
const (
	ErrInUse        = syscall.EADDRINUSE    // something else listens there
	ErrNotAvailable = syscall.EADDRNOTAVAIL // it is not this machine's
	ErrNotPermitted = syscall.EACCES        // not this user
	ErrRefused      = syscall.ECONNREFUSED  // nothing listens there
	ErrReset        = syscall.ECONNRESET    // the peer has cut it
)
