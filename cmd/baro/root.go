package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"baro.dev/internal/cli/exit"
	"baro.dev/internal/cli/terminal"
	"baro.dev/internal/config"
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
		return exit.OK
	}
	code := exit.Code(err)
	if _, ok := errors.AsType[usageError](err); ok {
		code = exit.Usage
	}
	if code != exit.Interrupted && code != exit.Terminated {
		fmt.Fprintf(stderr, "baro: %s\n", terminal.Safe(nil, []byte(err.Error()))) // of which a server may have said a part
	}
	if code == exit.Usage {
		fmt.Fprintf(stderr, "See %s --help.\n", command.CommandPath())
	}
	return code
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "baro",
		Short: "Real-time connections, right away",
		Long: `Baro pushes messages to browsers, devices and programs, over the best transport each of them can get: baro serve is the server.
The other commands are for whoever works with real-time connections, of this server or of others.

Every flag can also be set in the environment: --listen by BARO_LISTEN, --max-connections by BARO_MAX_CONNECTIONS.
A flag on the command line wins; then comes the environment, then the file of serve --config.`,
		Example: `  baro serve --dev                                   # a server; then open http://localhost:8000/
  baro subscribe demo                                # in another terminal
  baro publish demo hello                            # and in a third
  baro connect wss://example.com/ws                  # any server of WebSocket, Socket.IO, event streams …`,
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
	addGroup(root, "server", "The server:", newServe(), newCheck(), newConfig(), newToken(), newHealthcheck())
	addGroup(root, "channels", "Channels of a server:", newPublish(), newSubscribe(), newCall())
	addGroup(root, "connections", "Connections of any kind:", newConnect(), newListen(), newBridge(), newRecord(), newReplay(), newBench(), newDoctor())
	root.AddCommand(newCompletion(), newMan(), newVersion())
	return root
}

// addGroup adds commands that help tells of together.
func addGroup(root *cobra.Command, id, title string, commands ...*cobra.Command) {
	root.AddGroup(&cobra.Group{ID: id, Title: title})
	for _, c := range commands {
		c.GroupID = id
	}
	root.AddCommand(commands...)
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
