//go:build linux

package harness

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"baro.dev/bench/internal/load"
	"baro.dev/bench/internal/peers"
)

// Contender is a server that takes part.
type Contender struct {
	Name    string
	Command []string // the program that speaks the command line of peers.Main, and its first arguments
	Raw     bool
	Deflate bool
}

// Contenders finds those named, all if there are none. NAME=PROGRAM is one that others bring.
func Contenders(names []string) ([]Contender, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		for _, s := range peers.All() {
			names = append(names, s.Name)
		}
	}
	var list []Contender
	for _, name := range names {
		if name, program, ok := strings.Cut(name, "="); ok {
			list = append(list, Contender{name, []string{program}, strings.HasPrefix(name, "tcp"), true})
			continue
		}
		s, err := peers.Find(name)
		if err != nil {
			return nil, err
		}
		list = append(list, Contender{s.Name, []string{self, "serve"}, s.Raw, s.Deflate})
	}
	return list, nil
}

// Options are what a run is.
type Options struct {
	Rounds           int
	Warmup, Duration time.Duration // of each measurement
	Log              io.Writer
}

// Sample is what one measurement of one server gave.
type Sample struct {
	Cell   string      `json:"cell"`
	Server string      `json:"server"`
	Round  int         `json:"round"`
	Result load.Result `json:"result"`
	Error  string      `json:"error,omitempty"`
}

// Run measures a cell: each server once a round, in an order that differs from round to round.
func Run(c Cell, servers []Contender, o Options) []Sample {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) == nil && limit.Cur < limit.Max {
		limit.Cur = limit.Max
		syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
	}
	servers = slices.DeleteFunc(slices.Clone(servers), func(s Contender) bool {
		return c.Deflate && !s.Deflate
	})
	var samples []Sample
	for round := range o.Rounds {
		for i := range servers {
			s := servers[(i+round)%len(servers)]
			sample := Sample{Cell: c.Name, Server: s.Name, Round: round}
			var err error
			if sample.Result, err = measure(c, s, o); err != nil {
				sample.Error = err.Error()
				fmt.Fprintf(o.Log, "%s, %s: %v\n", c.Name, s.Name, err)
			}
			samples = append(samples, sample)
		}
	}
	return samples
}

func measure(c Cell, s Contender, o Options) (load.Result, error) {
	server, err := start(s, c)
	if err != nil {
		return load.Result{}, err
	}
	defer server.stop()
	t := server.target
	switch {
	case c.Mode == fanOut:
		return t.FanOut(load.FanOut{Conns: c.Conns, Size: c.Size, Depth: c.Depth, Warmup: o.Warmup, Duration: o.Duration})
	case c.Mode == idle:
		return t.Idle(load.Idle{Conns: c.Conns, Size: c.Size, Deflate: c.Deflate, Context: c.Context})
	case c.Mode == churn:
		return t.Churn(load.Churn{Conns: c.Conns, Size: c.Size, Warmup: o.Warmup, Duration: o.Duration})
	case c.Deflate:
		return t.Deflate(load.Deflate{Conns: c.Conns, Size: c.Size, Context: c.Context, Warmup: o.Warmup, Duration: o.Duration})
	case c.Rate > 0:
		return t.Rate(load.Rate{Conns: c.Conns, Size: c.Size, PerSecond: c.Rate, Warmup: o.Warmup, Duration: o.Duration})
	}
	return t.Echo(load.Echo{Conns: c.Conns, Size: c.Size, Depth: c.Depth, Warmup: o.Warmup, Duration: o.Duration})
}
