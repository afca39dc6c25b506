//go:build !linux

package load

func localPorts() (int, bool) { return 0, false }
