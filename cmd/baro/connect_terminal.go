package main

import (
	"context"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"baro.dev/internal/cli/connect"
	"baro.dev/internal/cli/interactive"
	"baro.dev/internal/cli/terminal"
)

// conversation is what the flags of connect say of the terminal.
type conversation struct {
	color   terminal.When
	compact bool
	history string
	forget  bool
}

func (v *conversation) flags(f *pflag.FlagSet) {
	f.Var(&v.color, "color", "on a terminal: colours: auto, always or never")
	f.BoolVar(&v.compact, "compact", false, "on a terminal: show JSON as it came")
	f.StringVar(&v.history, "history", "", "on a terminal: `file` of what was typed; otherwise one of the user's own")
	f.BoolVar(&v.forget, "no-history", false, "on a terminal: do not keep what was typed")
}

// converses reports whether somebody types and reads: at a terminal, with nothing asked for that is for scripts.
func (o *connectOptions) converses(c *cobra.Command) bool {
	co := &o.connect
	script := co.Format != "" && co.Format != connect.Text || co.Null || co.Timestamps || co.Count > 0 || co.Timeout > 0 ||
		len(co.Messages) > 0 || len(co.Expect) > 0
	return !script && terminal.Is(c.InOrStdin()) && terminal.Is(c.OutOrStdout())
}

// converse is connect for who sits at the terminal. A history that cannot be kept is the session's to tell.
func (o *connectOptions) converse(ctx context.Context, c *cobra.Command) error {
	history := o.conversation.history
	if history == "" {
		history, _ = terminal.HistoryPath("history") // without a home directory nothing is kept
	}
	if o.conversation.forget {
		history = ""
	}
	in, _ := c.InOrStdin().(*os.File)
	out, _ := c.OutOrStdout().(*os.File)
	return interactive.Run(ctx, interactive.Options{
		In: in, Out: out, Colors: o.conversation.color.Colors(out), Connection: o.connect.Connection, History: history,
		Compact: o.conversation.compact, Frames: o.connect.Frames,
	})
}
