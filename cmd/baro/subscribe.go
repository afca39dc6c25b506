package main

import (
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"baro.dev/channel"
	"baro.dev/channel/client"
	"baro.dev/internal/cli/channels"
	"baro.dev/internal/cli/terminal"
)

type subscribeOptions struct {
	serverOptions
	channels.Subscriber
	json        bool
	quiet       bool
	noReconnect bool
	color       terminal.When
}

func newSubscribe() *cobra.Command {
	var o subscribeOptions
	c := &cobra.Command{
		Use:   "subscribe [URL] CHANNEL...",
		Short: "Print what comes in channels",
		Long: `Subscribe to channels of a server, and print each message on a line: its data, or with --json all of it. With several channels the name of
the channel comes first, and a tab.

It is done as a client does, with a token in BARO_TOKEN or a file if the server wants one, over a WebSocket, or what passes in its place. When
the connection breaks it comes back, and goes on where it was, without a gap and nothing twice; where messages cannot be had any more it says so.
With --position it does the same when it is started again.

With --on-message a program is run for each message, one after the other, with the data on its standard input, the channel as its argument and the
rest in its environment (BARO_MESSAGE_CHANNEL, _POSITION, _ID, _EVENT, _USER); a message is dealt with when it ends
well. With --on-call a program answers calls: it gets the method as its argument and the data on its standard input; what it prints is the
answer, and if it fails the call is refused. No shell is in between.`,
		Example: `  baro subscribe news
  baro subscribe https://baro.example.com --token-file token rooms/1 rooms/2 --json
  baro subscribe prices --history 10 --count 10
  baro subscribe orders --position orders.position --on-message ./handle-order
  baro subscribe rooms/1 --presence --json | jq .
  baro subscribe @door-7 --token-file token --on-call ./door
  baro subscribe builds --count 1 --timeout 10m && ./deploy`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 || len(args) == 1 && looksLikeURL.MatchString(args[0]) {
				return usageError{errors.New("no channel is named")}
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(c *cobra.Command, args []string) error { return o.run(c, args) },
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&o.After, "after", "", "begin after a `position`: EPOCH:OFFSET, oldest or now")
	f.DurationVar(&o.Since, "since", 0, "begin with what came so long ago, of what is kept")
	f.IntVar(&o.History, "history", 0, "begin with so many messages that came before, of what is kept")
	f.StringVar(&o.Positions, "position", "", "`file` that keeps where it is: it goes on there the next time")
	f.IntVarP(&o.Count, "count", "n", 0, "end after so many messages")
	f.DurationVar(&o.Timeout, "timeout", 0, "end after so long; with --count the exit code is then 6")
	f.BoolVar(&o.Presence, "presence", false, "tell who is there, comes and goes")
	f.StringVar(&o.OnMessage, "on-message", "", "`program` that is run for each message")
	f.StringVar(&o.OnCall, "on-call", "", "`program` that answers calls")
	f.BoolVar(&o.noReconnect, "no-reconnect", false, "end when the connection breaks, with exit code 5")
	f.BoolVar(&o.json, "json", false, "print all of each message as JSON, an object a line")
	f.Var(&o.color, "color", "colours: auto, always or never")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "say nothing of the connection")
	o.addFlags(c, false)
	completeWith(c, "color", "auto", "always", "never")
	completeWith(c, "after", "oldest", "now")
	return c
}

func (o *subscribeOptions) run(c *cobra.Command, args []string) error {
	to, args, err := o.target(args)
	if err != nil {
		return err
	}
	options, err := o.client(to)
	if err != nil {
		return err
	}
	o.Channels, o.Stay, o.Errors = args, !o.noReconnect, c.ErrOrStderr()
	o.Note = noter(c, o.quiet)
	err = attended(c, func(ctx context.Context, out io.Writer) error {
		printed := c.OutOrStdout()
		p := &channels.Printer{Out: out, JSON: o.json, Terminal: terminal.Is(printed), Names: len(o.Channels) > 1, Colors: o.color.Colors(printed)}
		o.Out, o.Write = out, p.Message
		o.WritePresence = func(e client.PresenceEvent) error { return o.presence(p, e) }
		o.WriteGap = func(name string, last, next channel.Position) error {
			if !o.json {
				return nil
			}
			return p.Gap(name, last, next)
		}
		return o.Run(ctx, to, options)
	})
	if o.Count == 0 && o.Timeout == 0 && errors.Is(err, errTerminated) {
		return nil // it has no other end
	}
	return err
}

// presence prints who is there, comes and goes: for people on the error output.
func (o *subscribeOptions) presence(p *channels.Printer, e client.PresenceEvent) error {
	if o.json {
		return p.Presence(e)
	}
	who := e.User
	if who == "" {
		who = e.Client
	}
	note := map[client.PresenceKind]string{client.Join: who + " has come", client.Leave: who + " has gone"}[e.Kind]
	if e.Kind == client.Present {
		note = "who is there"
	}
	o.Note("%s: %s: %d users, %d clients", e.Channel, note, e.Users, e.Clients)
	return nil
}
