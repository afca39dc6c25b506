package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"baro.dev/channel/client"
	"baro.dev/internal/cli/audience"
	"baro.dev/internal/cli/channels"
	"baro.dev/internal/cli/target"
	"baro.dev/internal/cli/terminal"
)

// serverOptions are what the flags of publish, call and subscribe say of a server.
type serverOptions struct {
	target.Options
	server     string
	keyFile    string
	transports []string
}

// transportNames are what --transport takes.
var transportNames = map[string]client.Transport{
	"websocket": client.WebSocket, "event-stream": client.EventStream, "long-polling": client.LongPolling, "polling": client.Polling,
}

// addFlags declares the flags that say which server; those of the backend only if it may be one.
func (o *serverOptions) addFlags(c *cobra.Command, backend bool) {
	f := c.Flags()
	f.StringVarP(&o.server, "server", "s", "http://localhost:8000", "`URL` of the server, if none is the first argument")
	if backend {
		f.StringVar(&o.keyFile, "api-key-file", "", "`file` of the API key; otherwise BARO_API_KEY")
	}
	f.StringSliceVar(&o.transports, "transport", nil, "`ways` to connect as a client: websocket, event-stream, long-polling, polling; the best that passes by default")
	o.AddFlags(f)
	completeWith(c, "transport", "websocket", "event-stream", "long-polling", "polling")
	completeWith(c, "server", "http://localhost:8000")
	completeTarget(c)
}

// completeWith says what shells complete the value of a flag with, and that it is no file.
func completeWith(c *cobra.Command, flag string, words ...string) {
	declared(c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)))
}

// completeTarget does so for the flags of target.Options.
func completeTarget(c *cobra.Command) {
	for _, name := range []string{"header", "origin", "cookie", "token", "basic", "resolve", "server-name", "connect-timeout"} {
		completeWith(c, name)
	}
	completeWith(c, "proxy", "none", "http://", "https://", "socks5://", "socks5h://")
	for _, name := range []string{"cert", "key", "ca"} {
		declared(c.MarkFlagFilename(name, "pem", "crt", "key"))
	}
}

// declared is for what fails if a flag is misspelt, which the first test of a command shows.
func declared(err error) {
	if err != nil {
		panic(err)
	}
}

var looksLikeURL = regexp.MustCompile(`^(?i:https?|wss?)://`)

// target takes the URL from the arguments, if the first is one, and gives the rest.
func (o *serverOptions) target(args []string) (*target.Target, []string, error) {
	if len(args) > 0 && looksLikeURL.MatchString(args[0]) {
		o.server, args = args[0], args[1:]
	}
	to, err := o.Target(o.server)
	if err == nil && to.URL.Scheme == "ws+unix" {
		err = usageError{errors.New("the scheme must be http, https, ws or wss; --unix says where a socket is")}
	}
	return to, args, err
}

// maxKeyFile is how long a file of an API key may be.
const maxKeyFile = 4 << 10

// apiKey is that of --api-key-file or BARO_API_KEY; "" if there is none.
func (o *serverOptions) apiKey() (string, error) {
	if o.keyFile == "" {
		return strings.TrimSpace(os.Getenv("BARO_API_KEY")), nil
	}
	f, err := os.Open(o.keyFile)
	if err != nil {
		return "", fmt.Errorf("--api-key-file: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return "", fmt.Errorf("--api-key-file: %w", err)
	}
	key := string(bytes.TrimSpace(text))
	if key == "" || len(text) > maxKeyFile || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", fmt.Errorf("--api-key-file: %s does not have an API key", o.keyFile)
	}
	return key, nil
}

// client are the options of a client of channels.
func (o *serverOptions) client(to *target.Target) (*client.Options, error) {
	var list []client.Transport
	for _, name := range o.transports {
		t, ok := transportNames[name]
		if !ok {
			return nil, usageError{fmt.Errorf("--transport %q is none of websocket, event-stream, long-polling, polling", name)}
		}
		list = append(list, t)
	}
	return channels.ClientOptions(to, list), nil
}

// connect connects as a client.
func (o *serverOptions) connect(ctx context.Context, to *target.Target) (*client.Client, error) {
	options, err := o.client(to)
	if err != nil {
		return nil, err
	}
	return channels.Connect(ctx, to, options)
}

// api is the server's API, for a backend.
func (o *serverOptions) api(to *target.Target) (*channels.API, error) {
	key, err := o.apiKey()
	if err != nil {
		return nil, err
	}
	return channels.NewAPI(to, key), nil
}

// nameAndData is for commands that take a URL, if they are given one, a name, and data in one argument or none.
func nameAndData(name, data string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) > 0 && looksLikeURL.MatchString(args[0]) {
			args = args[1:]
		}
		switch {
		case len(args) == 0:
			return usageError{fmt.Errorf("no %s is named", name)}
		case len(args) > 2:
			return usageError{fmt.Errorf("%s is one argument, and there are %d: put it between quotes", data, len(args)-1)}
		}
		return nil
	}
}

// attended runs what may be interrupted, or told to end. That whoever reads its output has gone is an end like another.
func attended(c *cobra.Command, run func(ctx context.Context, out io.Writer) error) error {
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := untilSignal(c.Context())
	defer stop()
	out := &output{Writer: c.OutOrStdout()}
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	defer audience.OnGone(c.OutOrStdout(), func() { out.end(); leave() })()
	err := run(ctx, out)
	if out.gone() {
		return nil
	}
	return stopped(ctx, err)
}

// output is the standard output. It notes when nobody reads it any more.
type output struct {
	io.Writer
	mu     sync.Mutex
	broken bool
}

func (o *output) Write(p []byte) (int, error) {
	n, err := o.Writer.Write(p)
	if err != nil {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.broken = o.broken || errors.Is(err, syscall.EPIPE)
		err = fmt.Errorf("the output: %w", err)
	}
	return n, err
}

func (o *output) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.broken = true
}

func (o *output) gone() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.broken
}

// noter writes lines for people to the error output, from any goroutine.
func noter(c *cobra.Command, quiet bool) func(format string, args ...any) {
	var mu sync.Mutex
	return func(format string, args ...any) {
		if quiet {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(c.ErrOrStderr(), "baro: %s\n", terminal.SafeLine(fmt.Sprintf(format, args...)))
	}
}
