package timerwheel_test

import (
	"fmt"
	"time"

	"baro.dev/internal/timerwheel"
)

type conn struct {
	name string
	idle timerwheel.Timer[*conn]
}

func Example() {
	wheel := timerwheel.New[*conn](100*time.Millisecond, 512)
	a, b := &conn{name: "a"}, &conn{name: "b"}
	for _, c := range []*conn{a, b} {
		c.idle.Value = c
		wheel.Schedule(&c.idle, 30*time.Second)
	}
	// A message comes on b: its idle timeout starts over.
	wheel.Schedule(&b.idle, 20*time.Second+30*time.Second)

	for {
		next, ok := wheel.Next() // an event loop waits for events until then
		if !ok {
			break
		}
		wheel.Advance(next, func(c *conn) { fmt.Println(c.name, "was idle for too long at", next) })
	}
	// Output:
	// a was idle for too long at 30s
	// b was idle for too long at 50s
}
