//go:build linux

package harness

import "baro.dev/bench/internal/load"

// isFor reports whether a door is one that the cell is about: publishing is measured where nobody can subscribe.
func (c Cell) isFor(d *load.Door) bool {
	switch s := d.Subscribe; c.Mode {
	case chPublish:
		return s == nil && (c.Depth == 1 || d.Publish.Batch != nil)
	case chSocket, chCluster:
		return s != nil && !s.Stream
	case chStream:
		return s != nil && s.Stream
	default:
		return s != nil
	}
}

func measureChannels(c Cell, t load.Target, d load.Door, p Plan) (load.Result, error) {
	switch c.Mode {
	case chPublish:
		return t.Publications(d, load.Echo{Conns: c.Conns, Size: c.Size, Depth: c.Depth, Warmup: p.Warmup, Duration: p.Duration})
	case chIdle:
		return t.Idle(load.Idle{Conns: c.Conns, Size: c.Size, Door: &d})
	}
	return t.Spread(d, load.FanOut{Conns: c.Conns, Size: c.Size, Depth: c.Depth, Warmup: p.Warmup, Duration: p.Duration})
}
