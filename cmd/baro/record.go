package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"baro.dev/internal/cli/connection"
	"baro.dev/internal/cli/record"
	"baro.dev/internal/cli/terminal"
)

type recordOptions struct {
	connectingOptions
	recorder record.Recorder
	out      string
	force    bool
	quiet    bool
	redact   []string
}

func newRecord() *cobra.Command {
	var o recordOptions
	c := &cobra.Command{
		Use:   "record URL --out FILE",
		Short: "Connect to a server, and write the session down",
		Long: `Connect to a server, as baro connect does, and write down what is sent and what comes, and when: lines of JSON, which baro replay plays
again, and any program can read.

Each line of the standard input is a message that is sent; of Socket.IO it is ["event", argument, …], or {"event": "name", "args": [argument, …], "ack": true}
for one that the server is to acknowledge; {"ack": 1, "args": […]} acknowledges the first event that came and wants it. After its end it goes on until no answer has
come for a second (--wait); where nothing was sent, until the server closes.

No secret that can be known as one is written: not what --token, --cookie, --basic or --header say, the query of the URL, and in JSON the values of
members called token, password and the like (--redact names others). In their place is REDACTED. The file can be read by its owner alone.`,
		Example: `  baro record ws://localhost:8000/c/demo --out session.ndjson
  printf 'one\ntwo\n' | baro record wss://example.com/ws -o session.ndjson
  echo '["chat", "hello"]' | baro record http://localhost:3000 -o chat.ndjson      # Socket.IO
  baro record https://example.com/events -o events.ndjson --timeout 1m             # an event stream
  baro record wss://example.com/ws -o s.ndjson --token-file token --redact session`,
		Args:              oneArgument("a URL"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(c *cobra.Command, args []string) error { return o.run(c, args[0]) },
	}
	f := c.Flags()
	f.SortFlags = false
	r := &o.recorder
	f.StringVarP(&o.out, "out", "o", "", "`file` of the recording")
	f.BoolVarP(&o.force, "force", "f", false, "replace the file if there is one")
	f.StringArrayVar(&o.redact, "redact", nil, "`name` of another member of JSON whose values are not written; one with each flag")
	f.IntVarP(&r.Count, "count", "n", 0, "end after so many messages that came")
	f.DurationVar(&r.Timeout, "timeout", 0, "end after this time; 0: never")
	f.DurationVarP(&r.Wait, "wait", "w", time.Second, "how long no answer may come after the end of the input, until it is over; negative: for ever")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "print nothing of what comes")
	o.addFlags(c, "auto")
	declared(c.MarkFlagFilename("out", "ndjson"))
	return c
}

// oneArgument is for commands that take one.
func oneArgument(what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usageError{fmt.Errorf("%s takes %s", c.CommandPath(), what)}
		}
		return nil
	}
}

func (o *recordOptions) run(c *cobra.Command, url string) error {
	if o.out == "" {
		return usageError{errors.New("--out says where the recording goes, and there is none")}
	}
	if o.recorder.Count < 0 || o.recorder.Timeout < 0 {
		return usageError{errors.New("--count and --timeout cannot be negative")}
	}
	to, err := o.connection(url)
	if err != nil {
		return err
	}
	return attended(c, func(ctx context.Context, out io.Writer) error {
		ignoreFileSize()
		r := &o.recorder
		var err error
		if r.Connection, err = connection.Dial(ctx, to); err != nil {
			return err
		}
		file, err := record.Create(o.out, o.force)
		if err != nil {
			_ = r.Connection.Close(ctx, 0, "")
			return err
		}
		redactor := record.NewRedactor(to.Target.Header, o.redact)
		if r.Writer, err = record.NewWriter(file, record.NewHeader(r.Connection.Info(), time.Now()), redactor); err != nil {
			_ = r.Connection.Close(ctx, 0, "")
			return errors.Join(err, file.Close())
		}
		r.In = c.InOrStdin()
		if !o.quiet {
			r.Show = shower(out, terminal.Is(c.OutOrStdout()))
		}
		err = r.Run(ctx)
		if closed := r.Writer.Close(); err == nil {
			err = closed
		}
		noter(c, o.quiet)("%s has %d lines", o.out, r.Writer.Lines())
		return err
	})
}

// shower prints messages, harmless if that is on a terminal.
func shower(out io.Writer, safe bool) func(*connection.Message) error {
	return func(m *connection.Message) error {
		data := m.Data
		if m.Kind == connection.Event {
			data = fmt.Appendf(nil, "%s %s", m.Event, m.Data)
		}
		if safe {
			data = terminal.Safe(nil, data)
		}
		_, err := out.Write(append(slices.Clip(data), '\n'))
		return err
	}
}
