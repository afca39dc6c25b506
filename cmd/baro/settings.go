package main

import (
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"baro.dev/internal/config"
)

// settings is what serve, and what looks at the configuration of serve, is told.
type settings struct {
	config.Config
	file string
}

// declare declares the flags; the help has all of them if it is to be whole.
func (s *settings) declare(c *cobra.Command, description string, whole bool) {
	f := c.Flags()
	f.SortFlags = false
	f.StringVarP(&s.file, "config", "c", "", description)
	s.Flags(f)
	c.SetUsageFunc(func(asked *cobra.Command) error {
		if asked != c { // it is beneath this one, and has other flags
			return asked.Root().UsageFunc()(asked)
		}
		return usage(c, whole)
	})
	if err := complete(c); err != nil {
		panic(err) // a flag is not there
	}
}

func (s *settings) load(c *cobra.Command) error {
	return s.Load(s.file, c.Flags(), os.LookupEnv)
}

// unknownVariables are those that were meant as settings, it seems, and are none.
func unknownVariables(c *cobra.Command) []error {
	var all []*pflag.FlagSet
	var visit func(*cobra.Command)
	visit = func(c *cobra.Command) {
		all = append(all, c.Flags())
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	visit(c.Root())
	return config.UnknownVariables(os.Environ(), all...)
}
