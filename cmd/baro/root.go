package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"baro.dev/internal/config"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1 // what was asked for could not be done
	exitUsage  = 2 // what was asked for makes no sense
)

// usageError is a mistake in how the command was called.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// run runs the command and gives its exit code.
func run(args []string, stdout, stderr io.Writer) int {
	return execute(newRoot(), args, stdout, stderr)
}

func execute(root *cobra.Command, args []string, stdout, stderr io.Writer) int {
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	command, err := root.ExecuteC()
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(stderr, "baro: %v\n", err)
	if _, ok := errors.AsType[usageError](err); ok {
		fmt.Fprintf(stderr, "See %s --help.\n", command.CommandPath())
		return exitUsage
	}
	return exitFailed
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "baro",
		Short: "Real-time connections, right away",
		Long: `Baro pushes messages to browsers, devices and programs, over the best transport each of them can get.

Every flag can also be set in the environment: --listen by BARO_LISTEN, --max-connections by BARO_MAX_CONNECTIONS.
A flag on the command line wins; then comes the environment, then the file of serve --config.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArgs,
		// Cobra calls it for whichever command runs.
		PersistentPreRunE: func(c *cobra.Command, _ []string) error {
			if err := config.Environment(c.Flags(), os.LookupEnv); err != nil {
				return usageError{err}
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(newServe(), newCheck(), newConfig(), newHealthcheck(), newToken(), newVersion())
	return root
}

func noArgs(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if c.HasSubCommands() {
		return usageError{fmt.Errorf("there is no command %q", args[0])}
	}
	return usageError{fmt.Errorf("%s takes no arguments, but was given %q", c.CommandPath(), args[0])}
}
