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

// declare declares the flags.
func (s *settings) declare(c *cobra.Command, usage string) {
	f := c.Flags()
	f.SortFlags = false
	f.StringVarP(&s.file, "config", "c", "", usage)
	s.Flags(f)
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
