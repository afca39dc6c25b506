package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"baro.dev/internal/cli/connection"
	"baro.dev/internal/cli/record"
	"baro.dev/internal/cli/terminal"
)

type replayOptions struct {
	connectingOptions
	replayer record.Replayer
	speed    string
	mode     string
	most     int
	json     bool
	check    bool
}

func newReplay() *cobra.Command {
	var o replayOptions
	c := &cobra.Command{
		Use:   "replay FILE [URL]",
		Short: "Play a recorded session again, and compare what comes",
		Long: `Play a session again that baro record has written: send what was sent, when it was sent, and compare what comes with what came. Differences are
printed, and the exit code is 6 if there are any.

With --speed 2 it goes twice as fast, with --speed max as fast as can be; what was an answer is waited for before the next message leaves,
unless nothing is compared. With --compare json, which is the default, what is JSON may have other spaces and another order of members, and --ignore
names members that differ each time: by name, or as a JSON pointer in which * is any part. exact compares bytes, count how many messages there are, and none
nothing.

Where a secret was not recorded that of BARO_SECRET is sent, or the token (--token-file). A recording that is damaged is refused before anything is sent.`,
		Example: `  baro replay session.ndjson ws://localhost:8000/c/demo
  baro replay session.ndjson wss://staging.example.com/ws --speed max
  baro replay chat.ndjson http://localhost:3000 --ignore id --ignore time --ignore '/0/*/seq'
  baro replay load.ndjson ws://localhost:8000/ws --speed 10 --compare none
  baro replay session.ndjson --check`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 1 || len(args) > 2 {
				return usageError{errors.New("replay takes a file, and a URL")}
			}
			return nil
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 0 {
				return []string{"ndjson"}, cobra.ShellCompDirectiveFilterFileExt
			}
			return nil, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(c *cobra.Command, args []string) error { return o.run(c, args) },
	}
	f := c.Flags()
	f.SortFlags = false
	r := &o.replayer
	f.StringVar(&o.speed, "speed", "1", "how many `times` faster, or max")
	f.StringVar(&o.mode, "compare", "json", "`how`: exact, json, count or none")
	f.StringVar(&r.Secret, "secret", "", "what is sent where a secret was not recorded, otherwise the token; others on this machine can read a command line, so better BARO_SECRET")
	f.StringArrayVar(&r.Ignore, "ignore", nil, "`member` of JSON that may differ: a name, or a pointer as /user/*/id; one with each flag")
	f.DurationVar(&r.Patience, "patience", 10*time.Second, "how late may be what is expected")
	f.DurationVar(&r.Settle, "settle", 200*time.Millisecond, "how long to wait at the end for what is not expected")
	f.IntVar(&o.most, "max-differences", 20, "how many differences are printed; all are counted")
	f.BoolVar(&o.check, "check", false, "read the recording, say what it is, and send nothing")
	f.BoolVar(&o.json, "json", false, "print the result, and each difference, as JSON, an object a line")
	o.addFlags(c, "")
	completeWith(c, "speed", "1", "2", "10", "max")
	completeWith(c, "compare", "exact", "json", "count", "none")
	completeWith(c, "ignore")
	completeWith(c, "secret")
	return c
}

func (o *replayOptions) run(c *cobra.Command, args []string) error {
	if err := o.load(); err != nil {
		return err
	}
	file, err := os.Open(args[0])
	if err != nil {
		return err
	}
	defer file.Close()
	about, err := record.Check(file)
	if err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	h := about.Header
	if o.check {
		_, err := fmt.Fprintf(c.OutOrStdout(), "%s\t%s\t%s\t%d lines\n", h.Started.Format(time.RFC3339), h.Protocol, terminal.SafeLine(h.URL), about.Lines)
		return err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	url := h.URL
	switch {
	case len(args) == 2:
		url = args[1]
	case url == "" || strings.Contains(url, "?"):
		return usageError{errors.New("the recording does not say the whole URL: give it behind the file")}
	}
	to, err := o.ofRecording(url, h)
	if err != nil {
		return err
	}
	r := &o.replayer
	if r.Reader, err = record.NewReader(file); err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	if r.Secret == "" && to.Target.Token != nil {
		if r.Secret, err = to.Target.Token(c.Context()); err != nil {
			return err
		}
	}
	if about.Secrets > 0 && r.Secret == "" {
		return usageError{fmt.Errorf("%d messages had secrets that were not recorded: --secret says what is sent in their place", about.Secrets)}
	}
	return attended(c, func(ctx context.Context, out io.Writer) error {
		r.Differ = o.teller(out, terminal.Is(c.OutOrStdout()))
		if r.Connection, err = connection.Dial(ctx, to); err != nil {
			return err
		}
		result, err := r.Replay(ctx)
		if o.json {
			text, failed := json.Marshal(result)
			if failed == nil {
				_, failed = fmt.Fprintf(out, "%s\n", text)
			}
			return errors.Join(err, failed)
		}
		noter(c, false)("%d sent, %d of %d received, %d different, %.3f s", result.Sent, result.Received, result.Expected, result.Different, result.Seconds)
		return err
	})
}

// load reads the flags that are words.
func (o *replayOptions) load() error {
	r := &o.replayer
	r.Mode = record.Mode(o.mode)
	if o.speed != "max" {
		var err error
		if r.Speed, err = strconv.ParseFloat(o.speed, 64); err != nil || !(r.Speed >= 0.001) || r.Speed > 1e6 {
			return usageError{fmt.Errorf("--speed %q is neither max nor a number from 0.001 to 1000000", o.speed)}
		}
	}
	if r.Patience < 0 || r.Settle < 0 || o.most < 0 {
		return usageError{errors.New("--patience, --settle and --max-differences cannot be negative")}
	}
	return nil
}

// ofRecording are the options of a connection like the one that was recorded, as far as flags say nothing else.
func (o *replayOptions) ofRecording(url string, h record.Header) (*connection.Options, error) {
	if o.protocol == "" {
		o.protocol = string(h.Protocol)
	}
	to, err := o.connection(url)
	if err != nil {
		return nil, err
	}
	if len(to.Subprotocols) == 0 && h.Subprotocol != "" {
		to.Subprotocols = []string{h.Subprotocol}
	}
	if to.Namespace == "" && h.Namespace != "/" {
		to.Namespace = h.Namespace
	}
	return to, nil
}

// shownOfMessage is how much of a message is printed, in bytes.
const shownOfMessage = 300

// teller prints differences.
func (o *replayOptions) teller(out io.Writer, safe bool) func(record.Difference) error {
	n := 0
	show := func(what string, e *record.Entry) string {
		if e == nil {
			return ""
		}
		text, cut := e.Show(shownOfMessage)
		if safe {
			text = terminal.SafeLine(text)
		}
		if cut {
			text += " …"
		}
		return "\n  " + what + " " + text
	}
	return func(d record.Difference) error {
		if n++; n > o.most {
			return nil
		}
		var text string
		if o.json {
			line, err := json.Marshal(d)
			if err != nil {
				return err
			}
			text = string(line)
		} else {
			where := "behind the end"
			if d.Line > 0 {
				where = fmt.Sprintf("line %d", d.Line)
			}
			text = fmt.Sprintf("%s, %.3f s: %s%s%s", where, d.At.Seconds(), d.What, show("-", d.Want), show("+", d.Got))
		}
		_, err := fmt.Fprintln(out, text)
		return err
	}
}
