package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/pflag"

	"baro.dev/internal/cli/load"
	"baro.dev/internal/config"
)

// benchUses are the flags that not every run makes use of, and which runs do.
var benchUses = []struct {
	flag string
	use  string
	by   func(*load.Options) bool
}{
	{"rate", "the scenarios echo, fanout and connect", scenarios(load.Echo, load.FanOut, load.Connect)},
	{"size", "the scenarios echo and fanout", scenarios(load.Echo, load.FanOut)},
	{"in-flight", "the scenarios echo and fanout", scenarios(load.Echo, load.FanOut)},
	{"warm-up", "the scenarios echo and fanout", scenarios(load.Echo, load.FanOut)},
	{"drain", "the scenarios echo and fanout", scenarios(load.Echo, load.FanOut)},
	{"binary", "echoes over WebSocket", func(o *load.Options) bool {
		return o.Scenario == load.Echo && slices.Contains(o.Transports, load.WebSocket)
	}},
	{"event", "echoes over Socket.IO", func(o *load.Options) bool {
		return o.Scenario == load.Echo && slices.Contains(o.Transports, load.SocketIO)
	}},
	{"namespace", "--transport socketio", func(o *load.Options) bool { return slices.Contains(o.Transports, load.SocketIO) }},
	{"channels", "the scenario fanout", scenarios(load.FanOut)},
	{"publishers", "the scenario fanout", scenarios(load.FanOut)},
	{"publish-by", "the scenario fanout", scenarios(load.FanOut)},
	{"api", "--publish-by api", func(o *load.Options) bool { return o.Scenario == load.FanOut && o.PublishBy == "api" }},
	{"pause", "the scenario reconnect", scenarios(load.Reconnect)},
}

func scenarios(all ...load.Scenario) func(*load.Options) bool {
	return func(o *load.Options) bool { return slices.Contains(all, o.Scenario) }
}

// checkUses refuses flags that would change nothing. Variables may be set for other runs.
func checkUses(f *pflag.FlagSet, o *load.Options) error {
	for _, u := range benchUses {
		if config.Given(f.Lookup(u.flag)) && !u.by(o) {
			return usageError{fmt.Errorf("--%s is for %s, and would change nothing here", u.flag, u.use)}
		}
	}
	if f.Changed("rate") && config.Given(f.Lookup("ramp")) && o.Scenario == load.Connect {
		return usageError{errors.New("--rate says how fast connections are opened, and so does --ramp: one of them")}
	}
	return nil
}
