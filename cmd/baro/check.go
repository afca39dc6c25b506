package main

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"
)

func newCheck() *cobra.Command {
	var o settings
	c := &cobra.Command{
		Use:   "check",
		Short: "Say whether a configuration is right",
		Long: `Say whether a configuration is right, and where not, without starting anything; and what of it is right but unwise. It takes the
flags of serve, and the environment, as serve does, and reads the files of keys and certificates. The exit code is 1 if something is wrong.`,
		Example: `  baro check --config baro.yml`,
		Args:    noArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return check(c, &o) },
	}
	o.declare(c, "the `file`", false)
	return c
}

func check(c *cobra.Command, o *settings) error {
	unknown := errors.Join(unknownVariables(c)...)
	if err := o.load(c); err != nil {
		return errors.Join(err, unknown)
	}
	log, err := newLogger(c.ErrOrStderr(), new(slog.LevelVar), o.LogLevel, o.LogFormat)
	if err != nil {
		return errors.Join(err, unknown)
	}
	o.Server.Log = log
	if err := errors.Join(o.Server.Check(), unknown); err != nil {
		return err
	}
	what := o.file
	if what == "" {
		what = "The configuration"
	}
	advice := o.Advice(c.Flags())
	if len(advice) == 0 {
		fmt.Fprintf(c.OutOrStdout(), "%s is right.\n", what)
		return nil
	}
	fmt.Fprintf(c.OutOrStdout(), "%s is right, but:\n", what)
	for _, a := range advice {
		fmt.Fprintf(c.OutOrStdout(), "  %s\n", a)
	}
	return nil
}
