package ws

import "runtime"

// SetDefaultLoops sets what 0 stands for in Server.Loops.
func SetDefaultLoops(n int) { defaultLoops = n }

// OnLoops reports whether connections that can be are read by event loops.
func OnLoops() bool { return runtime.GOOS == "linux" && defaultLoops >= 0 }

// Looped reports whether an event loop reads s.
func (s *Socket) Looped() bool { return s.looped }
