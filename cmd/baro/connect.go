package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"baro.dev/internal/cli/connect"
	"baro.dev/internal/cli/connection"
	"baro.dev/internal/cli/target"
	"baro.dev/ws"
)

// connectOptions is what the flags of connect say.
type connectOptions struct {
	target   target.Options
	connect  connect.Options
	protocol string
	deflate  bool
	takeover bool
	auth     string
	binary   bool
	base64   bool
	hex      bool
	json     bool
	expect   []string

	conversation conversation
}

func newConnect() *cobra.Command {
	o := &connectOptions{}
	o.connect.Connection = &connection.Options{}
	c := &cobra.Command{
		Use:   "connect URL",
		Short: "Connect to a server, and exchange messages with it",
		Long: `Connect to a server, and exchange messages with it: over WebSocket, Socket.IO, an event stream (SSE), lines of JSON, long polling,
polling or WebTransport, whichever it speaks.

On a terminal what is typed is sent, and what comes is shown as people read it: with colours, JSON with a line for each member, bytes as
a dump. Lines that begin with a slash are commands, which /help tells. With --message, --expect, --count, --timeout, --null,
--timestamps or a format it is as in a pipe.

In a pipe a line that comes in is a message that is sent, and a message that comes is a line that goes out. After the end of the input it
waits for answers until none has come for a second (--wait); where nothing was sent, until the server closes. A message with newlines
goes out as it is: --json and --null keep messages apart.`,
		Example: `  baro connect ws://localhost:8000/c/demo
  echo hello | baro connect wss://example.com/ws
  baro connect https://example.com/events | jq .price                       # an event stream
  baro connect http://localhost:3000/admin --auth '{"token":"abc"}'         # Socket.IO
  baro connect wss://example.com/ws -m ping --expect pong --timeout 5s      # exit code 6 if no pong comes
  baro connect ws://localhost:8000/c/demo --reconnect --json > log.ndjson
  baro connect wss://example.com/ws --frames --deflate --http 2`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{errors.New("connect takes one URL")}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.complete(args[0]); err != nil {
				return err
			}
			signal.Ignore(syscall.SIGPIPE) // whoever reads the output may go, as head does: writing says so
			ctx, stop := untilSignal(c.Context())
			defer stop()
			var err error
			if o.converses(c) {
				err = o.converse(ctx, c)
			} else {
				err = connect.Run(ctx, &o.connect, c.InOrStdin(), c.OutOrStdout(), c.ErrOrStderr())
			}
			return stopped(ctx, err)
		},
	}
	o.flags(c)
	return c
}

func (o *connectOptions) flags(c *cobra.Command) {
	f := c.Flags()
	f.SortFlags = false
	co, cc := &o.connect, o.connect.Connection
	f.StringVarP(&o.protocol, "protocol", "p", "auto", "ws, socketio, sse, ndjson, longpoll, poll, webtransport; or auto: what the server speaks")
	f.IntVar(&cc.HTTP, "http", 0, "`version` of HTTP: 1, 2 or 3; 0: what suits the protocol")
	f.StringArrayVarP(&cc.Subprotocols, "subprotocol", "s", nil, "`name` of a subprotocol to offer; one with each flag")
	f.BoolVar(&o.deflate, "deflate", false, "offer compression (permessage-deflate)")
	f.BoolVar(&o.takeover, "deflate-takeover", false, "the same, with messages that refer to the ones before: smaller")
	f.BoolVarP(&cc.Reconnect, "reconnect", "r", false, "come back when the connection breaks, and go on where it was, as far as the server can")
	f.IntVar(&cc.MaxAttempts, "max-attempts", 0, "`number` of times in a row to try that; 0: for ever")
	f.StringVar(&cc.After, "after", "", "begin behind this `id` of a message: Last-Event-ID, or the place in a channel")

	f.StringVar(&o.auth, "auth", "", "what Socket.IO says when it connects (`JSON`)")
	f.StringVar(&cc.Namespace, "namespace", "", "`namespace` of Socket.IO; otherwise the path of the URL")
	f.StringVar(&cc.Path, "path", "", "`path` where the server has Socket.IO; otherwise /socket.io/")
	f.StringArrayVar(&cc.Transports, "transport", nil, "`transport` of Socket.IO: polling, websocket, webtransport; one with each flag, the first to begin with")
	f.DurationVar(&cc.Interval, "interval", 5*time.Second, "time between two polls")

	f.StringArrayVarP(&co.Messages, "message", "m", nil, "`message` to send instead of the input, in the form of its lines; one with each flag")
	f.BoolVarP(&o.json, "json", "j", false, `an object a line, in and out: {"data":"text"}, {"base64":"..."}, {"event":"name","args":[...]}`)
	f.BoolVarP(&o.binary, "binary", "b", false, "send lines as binary messages")
	f.BoolVar(&o.base64, "base64", false, "lines are binary messages in base64, in and out")
	f.BoolVar(&o.hex, "hex", false, "lines are binary messages in hexadecimal, in and out")
	f.BoolVarP(&co.Null, "null", "0", false, "messages end with a NUL instead of a newline, in and out")
	f.BoolVarP(&co.Timestamps, "timestamps", "t", false, "write before each message when it came")

	f.StringArrayVarP(&o.expect, "expect", "e", nil, "end well when a message matches this regular expression (`pattern`); of several each has to, in this order")
	f.Int64VarP(&co.Count, "count", "n", 0, "end well after so many messages")
	f.DurationVar(&co.Timeout, "timeout", 0, "end after this time: with exit code 6 if what --expect or --count wants has not come; 0: never")
	f.DurationVarP(&co.Wait, "wait", "w", connect.DefaultWait, "how long no answer may come after the end of the input, until it is over; negative: for ever")
	f.Int64Var(&cc.MaxMessage, "max-message", 16<<20, "`bytes` that a message, or a line of the input, may have")
	f.DurationVar(&cc.PingInterval, "ping-interval", 30*time.Second, "after which silence to ping, over WebSocket; negative: never")

	f.BoolVar(&co.Frames, "frames", false, "show each frame of WebSocket (on stderr)")
	f.BoolVar(&co.Stats, "stats", false, "tell at the end how much has passed (on stderr)")
	f.BoolVarP(&co.Verbose, "verbose", "v", false, "tell what happens to the connection (on stderr)")
	o.conversation.flags(f)
	o.target.AddFlags(f)
	completeWith(c, "protocol", protocolNames()...)
	completeWith(c, "http", "1", "2", "3")
	completeWith(c, "transport", "polling", "websocket", "webtransport")
	completeWith(c, "color", "auto", "always", "never")
	for _, name := range []string{"subprotocol", "auth", "namespace", "path", "after", "message", "expect"} {
		completeWith(c, name)
	}
	completeTarget(c)
}

// complete makes options of the flags.
func (o *connectOptions) complete(url string) error {
	cc := o.connect.Connection
	var err error
	if cc.Target, err = o.target.Target(url); err != nil {
		return err
	}
	cc.Protocol = connection.Protocol(o.protocol)
	if o.auth != "" {
		if cc.Auth = json.RawMessage(o.auth); !json.Valid(cc.Auth) || !strings.HasPrefix(strings.TrimSpace(o.auth), "{") {
			return usageError{errors.New("--auth is no object of JSON")}
		}
	}
	cc.Compression = ws.Compression{Enabled: o.deflate || o.takeover, ContextTakeover: o.takeover, Threshold: -1}
	formats := 0
	for format, set := range map[connect.Format]bool{connect.JSON: o.json, connect.Binary: o.binary, connect.Base64: o.base64, connect.Hex: o.hex} {
		if set {
			o.connect.Format = format
			formats++
		}
	}
	switch {
	case formats > 1:
		return usageError{errors.New("only one of --json, --binary, --base64 and --hex can be given")}
	case o.connect.Count < 0:
		return usageError{errors.New("--count is negative")}
	case cc.MaxMessage <= 0:
		return usageError{errors.New("--max-message must be positive")}
	case cc.MaxAttempts < 0:
		return usageError{errors.New("--max-attempts is negative")}
	}
	for _, pattern := range o.expect {
		p, err := regexp.Compile(pattern)
		if err != nil {
			return usageError{fmt.Errorf("--expect: %w", err)}
		}
		o.connect.Expect = append(o.connect.Expect, p)
	}
	return nil
}
