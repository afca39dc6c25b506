//go:build !unix

package record

func isInvalid(error) bool { return false }
