package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"baro.dev/internal/cli/exit"
	"baro.dev/internal/cli/load"
	"baro.dev/internal/cli/target"
	tty "baro.dev/internal/cli/terminal"
)

// benchFlags is what the flags of bench say.
type benchFlags struct {
	load.Options
	target     target.Options
	scenario   string
	transports []string
	warmUp     time.Duration
	api        string
	json       bool
	svg        string
	yes        bool
	quiet      bool
}

func newBench() *cobra.Command {
	var o benchFlags
	c := &cobra.Command{
		Use:   "bench URL",
		Short: "Put load on a server, and measure how it bears it",
		Long: `Put load on a server, and measure how it bears it.

Scenarios:
  echo       each connection sends messages that the server sends back, or, over Socket.IO, events that it acknowledges
  fanout     publishers publish in channels of baro serve, and subscribers get it; the scenario for URLs with /c/NAME
  connect    connections are opened, and held for the --duration
  reconnect  all connections are cut, and come back at once, again and again

With --rate messages are sent at that rate, whether or not the ones before have been answered, and latency is from when a message was
due: a server that stands still for a second shows it. Without, each connection sends when it has been answered (a closed loop), which
tells how much a server can do, and flatters its latencies.

The result says whether the generator itself was the bottleneck. Progress goes to standard error, the result to standard output.`,
		Example: `  baro bench ws://localhost:9000/ --connections 100 --rate 10000 --duration 30s
  baro bench localhost:8000/c/demo --connections 1000 --transport websocket,sse --rate 50 --svg report.svg
  baro bench localhost:8000 --transport socketio --event echo --size 1024 --json
  baro bench localhost:8000/c/demo --scenario connect --connections 5000 --rate 500
  baro bench localhost:8000/c/demo --scenario reconnect --connections 2000`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return exit.With(exit.Usage, fmt.Errorf("baro bench takes one URL, but was given %d", len(args)))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return bench(c, args[0], &o) },
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVarP(&o.scenario, "scenario", "s", "", "echo, fanout, connect or reconnect (default echo; fanout for /c/NAME)")
	f.StringSliceVarP(&o.transports, "transport", "t", []string{"websocket"}, "`names`: websocket, socketio, and but for echo sse, ndjson, longpoll; several take turns")
	f.IntVarP(&o.Connections, "connections", "c", 10, "connections; in a fanout, subscribers")
	f.DurationVarP(&o.Duration, "duration", "d", 10*time.Second, "how long is measured; for connect, held")
	f.Float64VarP(&o.Rate, "rate", "r", 0, "`number` of messages, or connections, a second in all; 0: a closed loop")
	f.IntVar(&o.Size, "size", 64, "`bytes` of a message; in a fanout at least 32, otherwise 8")
	f.BoolVar(&o.Binary, "binary", false, "send binary messages")
	f.IntVar(&o.InFlight, "in-flight", 0, "messages of a connection that may wait for their answers (default 1 in a closed loop, 10000 at a rate)")
	f.DurationVar(&o.warmUp, "warm-up", time.Second, "how long before it is measured the load begins")
	f.DurationVar(&o.Ramp, "ramp", 0, "over how long connections are opened")
	f.IntVar(&o.Opening, "opening", 100, "connections opened at a time")
	f.IntVar(&o.Channels, "channels", 1, "channels of a fanout: NAME-1, NAME-2 and so on")
	f.IntVar(&o.Publishers, "publishers", 1, "connections that publish in a fanout")
	f.StringVar(&o.PublishBy, "publish-by", "post", "how: post (to the channel), api (the HTTP API) or websocket (/ws)")
	f.StringVar(&o.api, "api", "", "`URL` where the HTTP API is, if not at the same server")
	f.StringVar(&o.Event, "event", "echo", "`name` of the event that a Socket.IO server acknowledges")
	f.StringVar(&o.Namespace, "namespace", "/", "`name` of the namespace of Socket.IO")
	f.DurationVar(&o.Pause, "pause", time.Second, "how long there is peace between two storms of reconnect")
	f.DurationVar(&o.Drain, "drain", 5*time.Second, "how long to wait at the end for what has not come")
	f.Int64Var(&o.MaxErrors, "max-errors", 1000, "end when there are more errors; -1: never")
	f.IntVar(&o.Workers, "workers", 0, "threads (default half as many as processors)")
	f.BoolVar(&o.json, "json", false, "write the result as JSON")
	f.StringVar(&o.svg, "svg", "", "write a report with charts to a `file`, too")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "show no progress")
	f.BoolVarP(&o.yes, "yes", "y", false, "the owner of a server on the internet knows of the load")
	o.target.AddFlags(f)
	f.Lookup("proxy").Usage = "only none: bench goes through no `proxy`, whatever HTTP_PROXY says"
	f.Lookup("token-file").Usage = "`file` of the token; it is read once"
	completeWith(c, "scenario", "echo", "fanout", "connect", "reconnect")
	completeWith(c, "transport", "websocket", "socketio", "sse", "ndjson", "longpoll")
	completeWith(c, "publish-by", "post", "api", "websocket")
	completeTarget(c)
	return c
}

func bench(c *cobra.Command, rawURL string, f *benchFlags) error {
	o, err := f.options(rawURL)
	if err == nil {
		err = checkUses(c.Flags(), o)
	}
	if err != nil {
		return benchError(err)
	}
	signal.Ignore(syscall.SIGPIPE) // whoever reads the output may go, as head does
	ctx, stop := untilSignal(c.Context())
	defer stop()
	if !f.yes && f.target.Unix == "" {
		if err := load.Impolite(ctx, o, net.DefaultResolver.LookupNetIP); err != nil {
			return benchError(err)
		}
	}
	p := &load.Printer{To: c.ErrOrStderr()}
	if tty.Is(c.ErrOrStderr()) && !tty.Dumb() {
		p.Columns, _ = tty.Size(c.ErrOrStderr())
	}
	if !f.quiet {
		o.Progress = p.Print
	}
	result, err := load.Run(ctx, *o)
	p.End()
	if result == nil {
		return stopped(ctx, benchError(err))
	}
	if failed := f.write(c.OutOrStdout(), result); failed != nil && !errors.Is(failed, syscall.EPIPE) {
		return failed
	}
	return stopped(ctx, benchError(errors.Join(err, result.Verdict())))
}

// options puts together what the flags say.
func (f *benchFlags) options(rawURL string) (*load.Options, error) {
	t, err := f.target.Target(rawURL)
	if err != nil {
		return nil, err
	}
	if f.target.Proxy != "" && f.target.Proxy != "none" {
		return nil, exit.With(exit.Usage, errors.New("bench goes through no proxy: it would be measured in the server's place"))
	}
	o := f.Options
	if o.Target, err = load.From(t); err != nil {
		return nil, err
	}
	if o.Scenario = load.Scenario(f.scenario); f.scenario == "" {
		o.Scenario = load.Guess(t.URL)
	}
	for _, name := range f.transports {
		o.Transports = append(o.Transports, load.Transport(name))
	}
	o.WarmUp = f.warmUp
	if f.api != "" {
		if o.API, err = url.Parse(f.api); err != nil || !slices.Contains([]string{"http", "https"}, o.API.Scheme) || o.API.Host == "" {
			return nil, exit.With(exit.Usage, fmt.Errorf("--api %q is no URL of http or https", f.api))
		}
	}
	return &o, nil
}

// write writes the result, as text or JSON, and the report.
func (f *benchFlags) write(out io.Writer, r *load.Result) error {
	if f.svg != "" {
		file, err := os.Create(f.svg)
		if err != nil {
			return err
		}
		if err := errors.Join(r.WriteSVG(file), file.Close()); err != nil {
			return fmt.Errorf("--svg %s: %w", f.svg, err)
		}
	}
	if f.json {
		e := json.NewEncoder(out)
		e.SetEscapeHTML(false)
		return e.Encode(r)
	}
	columns, _ := tty.Size(out)
	return r.WriteText(out, columns)
}

// benchError gives an error its exit code.
func benchError(err error) error {
	if _, ok := errors.AsType[*load.UsageError](err); ok {
		return exit.With(exit.Usage, err)
	}
	if _, ok := errors.AsType[*load.OpenError](err); ok {
		return target.Unconnected(err)
	}
	return err
}
