//go:build linux

package eventloop

// What tests have to know.
const (
	MaxEvents = maxEvents
	TimerTick = timerTick
	Linger    = linger
)
