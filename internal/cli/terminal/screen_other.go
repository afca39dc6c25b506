//go:build !unix

package terminal

const canSuspend = false

func suspendProcess() {}

func watchSize(func()) (stop func()) { return func() {} }
