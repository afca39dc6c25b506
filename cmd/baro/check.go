package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"baro.dev/internal/config"
)

func newCheck() *cobra.Command {
	var o config.Config
	var file string
	c := &cobra.Command{
		Use:   "check --config FILE",
		Short: "Say whether a configuration is right",
		Long: `Say whether a configuration is right, and where not, without starting anything. It takes the flags of serve, and the
environment, as serve does, and reads the files of keys and certificates. The exit code is 1 if something is wrong.`,
		Example: `  baro check --config baro.yml`,
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if file == "" {
				return usageError{errors.New("which configuration? Give --config FILE")}
			}
			if err := o.Load(file, c.Flags(), os.LookupEnv); err != nil {
				return err
			}
			log, err := newLogger(c.ErrOrStderr(), o.LogLevel, o.LogFormat)
			if err != nil {
				return err
			}
			o.Server.Log = log
			if err := o.Server.Check(); err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "%s is right.\n", file)
			return nil
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVarP(&file, "config", "c", "", "the `file`")
	o.Flags(f)
	return c
}
