package main

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/spf13/cobra"

	"baro.dev/internal/cli/channels"
)

type callOptions struct {
	serverOptions
	channels.Caller
	json bool
	rpc  bool
}

func newCall() *cobra.Command {
	var o callOptions
	c := &cobra.Command{
		Use:   "call [URL] METHOD [JSON|-]",
		Short: "Call devices, and print what they answer",
		Long: `Call the clients of a user, as a device is, and print what they answer, which is JSON. Several are called at the same time; then each answer
is an object on a line of its own, with who gave it.

It is done by the HTTP API, as a backend does, with an API key in BARO_API_KEY or a file (scope call); a server with --dev needs none. A call is
never tried again: nobody but the device knows what it has done already.

With --rpc it is the other way round: a client, with its token, asks the backend that the server is configured with.

The exit code is 1 if a device has refused, 4 if the server has, or nobody is there, 5 if the device left before it answered, and 6 if it did
not answer in time.`,
		Example: `  baro call --user door-7 open '{"for": "5s"}'
  baro call https://baro.example.com --api-key-file key --user door-7 --user door-8 status
  baro call --user door-9 reboot --hold 24h
  echo '{"volume": 3}' | baro call --user radio set - --timeout 5s
  baro call --rpc --token-file token price '{"of": "bread"}'`,
		Args:              nameAndData("method", "JSON"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(c *cobra.Command, args []string) error { return o.run(c, args) },
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringArrayVarP(&o.Users, "user", "u", nil, "`name` of a user, as a device is, who is called; can be repeated")
	f.StringArrayVar(&o.Clients, "client", nil, "`id` of a connection that is called; can be repeated")
	f.DurationVar(&o.Timeout, "timeout", 10*time.Second, "how long an answer may take")
	f.DurationVar(&o.Hold, "hold", 0, "how long the call waits for who is away, up to 24h")
	f.BoolVar(&o.rpc, "rpc", false, "ask the backend, as a client")
	f.BoolVar(&o.json, "json", false, "print the whole answer, an object a line, also of one device")
	o.addFlags(c, true)
	return c
}

func (o *callOptions) run(c *cobra.Command, args []string) error {
	to, args, err := o.target(args)
	if err != nil {
		return err
	}
	if o.Timeout <= 0 || o.Hold < 0 {
		return usageError{errors.New("--timeout must be more than 0, and --hold not less")}
	}
	if o.rpc && len(o.Users)+len(o.Clients) > 0 {
		return usageError{errors.New("--rpc asks the backend, and --user and --client are others")}
	}
	o.Method, o.Envelope = args[0], o.json
	if len(args) > 1 {
		o.Data = []byte(args[1])
	}
	if string(o.Data) == "-" {
		if o.Data, err = channels.ReadAll(c.InOrStdin()); err != nil {
			return err
		}
	}
	return attended(c, func(ctx context.Context, out io.Writer) error {
		if o.rpc {
			k, err := o.connect(ctx, to)
			if err != nil {
				return err
			}
			defer func() { _ = k.Close() }()
			ctx, cancel := context.WithTimeout(ctx, o.Timeout)
			defer cancel()
			return channels.Ask(ctx, k, o.Method, o.Data, out)
		}
		if o.API, err = o.api(to); err != nil {
			return err
		}
		defer o.API.Close()
		return o.Call(ctx, out)
	})
}
