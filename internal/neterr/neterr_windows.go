package neterr

import "golang.org/x/sys/windows"

// What is wrong with an address, or with a connection.
const (
	ErrInUse        = windows.WSAEADDRINUSE    // something else listens there
	ErrNotAvailable = windows.WSAEADDRNOTAVAIL // it is not this machine's
	ErrNotPermitted = windows.WSAEACCES        // not this user
	ErrRefused      = windows.WSAECONNREFUSED  // nothing listens there
	ErrReset        = windows.WSAECONNRESET    // the peer has cut it
)
