//go:build !linux

package ws

// Descriptor is for Linux, where there are event loops.
func (*Socket) Descriptor() int { return -1 }
