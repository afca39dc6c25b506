package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/spf13/cobra"

	"baro.dev/internal/cli/doctor"
	"baro.dev/internal/cli/exit"
	"baro.dev/internal/cli/target"
	"baro.dev/internal/cli/terminal"
)

func newDoctor() *cobra.Command {
	var to target.Options
	var o doctor.Options
	var colors terminal.When
	var protocol string
	var asJSON, verbose bool
	c := &cobra.Command{
		Use:   "doctor URL",
		Short: "Find out what is wrong on the way to a server, and who can do what about it",
		Long: `Find out what is wrong on the way to a server, and who can do what about it: names, connections, TLS, versions of HTTP, the opening handshake
of WebSocket line by line, each transport in turn, proxies that hold streams back or cut what is silent, round trips and clocks. The URL is that of a
channel of baro serve, of the server, of a Socket.IO server, of any WebSocket, or of an event stream; which, it finds out.

The exit code is 0 if nothing is wrong, 1 if it works with warnings; 3 if the server cannot be reached, 4 if it refuses, and 5 if what is open is cut
or held back, whichever comes first on the way.`,
		Example: `  baro doctor https://example.com/c/news
  baro doctor wss://example.com/chat --idle 70s          # finds who cuts what is silent for a minute
  baro doctor https://example.com --channel news --token-file token --publish
  baro doctor https://example.com/socket.io/ --json | jq -r '.problems[]'`,
		Args: oneArgument("a URL"),
		RunE: func(c *cobra.Command, args []string) error {
			o.Protocol = doctor.Protocol(protocol)
			if err := o.Check(); err != nil {
				return usageError{err}
			}
			t, err := to.Target(args[0])
			if err != nil {
				return err
			}
			o.Target = t
			ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt)
			defer stop()
			defer context.AfterFunc(ctx, stop)() // a second time it ends at once
			if asJSON {
				return examineJSON(ctx, &o, c.OutOrStdout())
			}
			out := c.OutOrStdout()
			written := &remembering{to: out}
			text := &doctor.Text{Out: written, Colors: colors.Colors(out), Verbose: verbose}
			if terminal.Is(out) {
				text.Columns, _ = terminal.Size(out)
			}
			report := doctor.Examine(ctx, &o, text.Result)
			text.Conclusion(report)
			return cmp.Or(written.err, found(report))
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&protocol, "protocol", string(doctor.Auto), "what the URL speaks: auto, channel, socketio, ws, sse")
	f.StringVar(&o.Channel, "channel", "doctor", "`channel` to read where the URL of baro serve names none")
	f.BoolVar(&o.Publish, "publish", false, "publish a message to the channel, to see when it arrives over each transport; all its readers get it")
	f.StringSliceVar(&o.Subprotocols, "subprotocol", nil, "`subprotocols` of WebSocket to offer")
	f.DurationVar(&o.Idle, "idle", 0, "for `how long` to hold silent connections, to see who cuts them; 70s finds the 60 s that most proxies have")
	f.DurationVar(&o.Timeout, "timeout", 10*time.Second, "`how long` each check may take, but for --idle")
	f.DurationVar(&o.Slow, "slow", 2*time.Second, "from `when` on what should come at once is held back")
	f.BoolVar(&asJSON, "json", false, "print the report as one line of JSON (docs/cli.md)")
	f.BoolVarP(&verbose, "verbose", "v", false, "show the opening handshake line by line even if nothing is wrong with it, and what there is nothing to check for")
	f.Var(&colors, "color", "whether to colour: auto, always, never")
	to.AddFlags(f)
	completeWith(c, "protocol", "auto", "channel", "socketio", "ws", "sse")
	completeWith(c, "color", "auto", "always", "never")
	completeWith(c, "channel")
	completeTarget(c)
	return c
}

// remembering is a writer that keeps why it could not write, and then writes no more.
type remembering struct {
	to  io.Writer
	err error
}

func (w *remembering) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	n, err := w.to.Write(p)
	w.err = err
	return n, err
}

func examineJSON(ctx context.Context, o *doctor.Options, out io.Writer) error {
	report := doctor.Examine(ctx, o, nil)
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(report); err != nil {
		return err
	}
	text := line.Bytes()
	if terminal.Is(out) {
		text = terminal.Safe(nil, text)
	}
	if _, err := out.Write(text); err != nil {
		return err
	}
	return found(report)
}

// found is the error that has the command end with the code of the report.
func found(r *doctor.Report) error {
	switch n := len(r.Problems); {
	case r.Exit == exit.OK:
		return nil
	case n == 0: // interrupted
		return exit.With(r.Exit, errors.New("interrupted"))
	case n == 1:
		return exit.With(r.Exit, errors.New("1 problem was found"))
	default:
		return exit.With(r.Exit, fmt.Errorf("%d problems were found", n))
	}
}
