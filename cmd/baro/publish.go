package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"baro.dev/internal/cli/channels"
	"baro.dev/internal/cli/terminal"
)

type publishOptions struct {
	serverOptions
	channels.Draft
	more     []string // channels
	lines    bool
	jsonData bool
	binary   bool
	client   bool
	json     bool
	quiet    bool
	patience time.Duration
}

func newPublish() *cobra.Command {
	var o publishOptions
	c := &cobra.Command{
		Use:   "publish [URL] CHANNEL [DATA|-]",
		Short: "Publish messages in channels",
		Long: `Publish a message in a channel of a server, or each line of the standard input as one. What is printed is the message's place,
EPOCH:OFFSET.

It is done by the HTTP API, as a backend does, with an API key in BARO_API_KEY or a file (scope publish); a server with --dev needs none. With
a token, or --as-client, it is done as a client does, over one connection.

A message is published once, whatever breaks in between: it has an idempotency key, a random one or that of --idempotency-key, and is tried
again for as long as --patience says. Lines that are there at once go in one request.`,
		Example: `  baro publish news hello
  baro publish https://baro.example.com news hello --api-key-file key
  baro publish prices '{"EUR": 1.08}' --json-data --event price
  baro publish photos --binary < photo.jpeg
  tail -f log | baro publish logs --lines
  baro publish news --channel sport 'to two channels'
  baro publish @kim 'to a user' --idempotency-key order-17`,
		Args:              nameAndData("channel", "data"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(c *cobra.Command, args []string) error { return o.run(c, args) },
	}
	f := c.Flags()
	f.SortFlags = false
	f.BoolVarP(&o.lines, "lines", "l", false, "each line of the standard input is a message")
	f.BoolVar(&o.jsonData, "json-data", false, "the data is JSON, which is checked, and published compact")
	f.BoolVar(&o.binary, "binary", false, "the data is bytes")
	f.StringVar(&o.Event, "event", "", "what kind of message it is")
	f.StringVar(&o.ID, "id", "", "the message's own name")
	f.StringVar(&o.Key, "idempotency-key", "", "`key`: a second message with it within five minutes is not published; with --lines the number of the line is added")
	f.StringVar(&o.Exclude, "exclude", "", "`id` of a client that does not get the message")
	f.StringArrayVarP(&o.more, "channel", "c", nil, "another `channel` to publish in; can be repeated")
	f.BoolVar(&o.client, "as-client", false, "publish as a client does, also without a token")
	f.DurationVar(&o.patience, "patience", 20*time.Second, "how long a message is tried again that may not have come through")
	f.BoolVar(&o.json, "json", false, "print what became of each message as JSON, an object a line")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "print nothing but errors")
	o.addFlags(c, true)
	return c
}

func (o *publishOptions) run(c *cobra.Command, args []string) error {
	to, args, err := o.target(args)
	if err != nil {
		return err
	}
	in, err := o.input(c, args[1:])
	if err != nil {
		return err
	}
	o.Channels = append([]string{args[0]}, o.more...)
	switch {
	case o.jsonData && o.binary:
		return usageError{errors.New("--json-data and --binary cannot be used together")}
	case o.patience < 0:
		return usageError{fmt.Errorf("--patience %v is negative", o.patience)}
	case o.lines && o.ID != "":
		return usageError{errors.New("--id names one message, and --lines are many")}
	case o.jsonData:
		o.Kind = channels.JSON
	case o.binary:
		o.Kind = channels.Binary
	}
	return attended(c, func(ctx context.Context, out io.Writer) error {
		p := &channels.Publisher{Draft: o.Draft, Patience: o.patience, Told: o.tell(c, out)}
		if o.client || to.Token != nil || len(o.transports) > 0 {
			if o.Exclude != "" {
				return usageError{errors.New("--exclude is for backends: it needs an API key, and no token")}
			}
			if p.Client, err = o.connect(ctx, to); err != nil {
				return err
			}
			defer func() { _ = p.Client.Close() }()
		} else {
			if p.API, err = o.api(to); err != nil {
				return err
			}
			defer p.API.Close()
		}
		if o.lines {
			return p.Lines(ctx, in)
		}
		data, err := channels.ReadAll(in)
		if err != nil {
			return err
		}
		return p.Publish(ctx, data)
	})
}

// input is where the data is: the argument, or else the standard input, if that is no terminal at which somebody waits in vain.
func (o *publishOptions) input(c *cobra.Command, args []string) (io.Reader, error) {
	switch {
	case len(args) == 0 && !o.lines && terminal.Is(c.InOrStdin()):
		return nil, usageError{errors.New("there is no data; - reads the standard input")}
	case len(args) == 0 || args[0] == "-":
		return c.InOrStdin(), nil
	}
	return strings.NewReader(args[0]), nil
}

// tell prints what became of a message.
func (o *publishOptions) tell(c *cobra.Command, out io.Writer) func(channels.Result) error {
	note := noter(c, false)
	return func(r channels.Result) error {
		var text string
		switch {
		case o.json:
			line, err := json.Marshal(r)
			if err != nil {
				return err
			}
			text = string(line)
		case !r.OK() && (o.lines || len(o.Channels) > 1):
			what := r.Channel
			if r.Line > 0 {
				what += fmt.Sprintf(", line %d", r.Line)
			}
			note("%s: %v", what, r.Error)
			return nil
		case !r.OK() || o.quiet:
			return nil
		case len(o.Channels) > 1:
			text = r.Channel + "\t" + r.Position().String()
		default:
			text = r.Position().String()
		}
		_, err := fmt.Fprintln(out, text)
		return err
	}
}
