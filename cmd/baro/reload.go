package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"baro.dev/internal/config"
	"baro.dev/internal/server"
)

// reloader has the server go by its configuration anew.
type reloader struct {
	began   *settings
	flags   *pflag.FlagSet
	server  *server.Server
	service *service
	log     *slog.Logger
	level   *slog.LevelVar
	drain   atomic.Int64 // the time for stopping, as a Duration
}

// run reloads for each signal, one after the other, until ctx is done; those that come while it does are one. What other signals
// ask for does not wait for it. If the signal says that the terminal has gone, nobody is there who would stop the server: it is abandoned.
func (r *reloader) run(ctx context.Context, signals <-chan os.Signal, from console, abandoned chan<- struct{}) {
	for {
		select {
		case <-signals:
			if from.gone() {
				close(abandoned)
				return
			}
			r.reload()
		case <-ctx.Done():
			return
		}
	}
}

// reload reads the file again, which is wrong or right as a whole.
func (r *reloader) reload() {
	r.service.reloading()
	defer r.service.reloaded()
	unchanged, err := r.try()
	switch {
	case err != nil:
		for _, mistake := range mistakes(err) {
			r.log.Error("the configuration is wrong, and was not loaded", "error", mistake)
		}
	case len(unchanged) > 0:
		r.log.Warn("the configuration was loaded; what needs a restart keeps its value", "keys", strings.Join(unchanged, " "))
	default:
		r.log.Info("the configuration was loaded")
	}
}

func (r *reloader) try() (unchanged []string, err error) {
	c, err := config.Reload(r.began.file, r.flags, os.LookupEnv)
	var level slog.Level
	if err == nil {
		level, err = parseLevel(c.LogLevel)
	}
	if err == nil {
		_, err = handlerOf(nil, level, c.LogFormat)
	}
	if err != nil {
		r.server.ReloadFailed()
		return nil, err
	}
	if unchanged, err = r.server.Reload(c.Server); err != nil {
		return nil, err
	}
	r.level.Set(level)
	r.drain.Store(int64(c.Drain))
	if c.LogFormat != r.began.LogFormat {
		unchanged = append(unchanged, "log.format")
	}
	if c.Traces != r.began.Traces {
		unchanged = append(unchanged, "trace")
	}
	slices.Sort(unchanged)
	return unchanged, nil
}

// timeout is how long stopping may take.
func (r *reloader) timeout() time.Duration { return time.Duration(r.drain.Load()) }

// mistakes are the errors that were joined, each for a line of its own.
func mistakes(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, mistakes(e)...)
	}
	return all
}

// A console is where the command was started. HUP says that it is gone, or else to reload.
type console struct{ there bool }

// startedFrom is called before anybody listens for HUP: whoever had it ignored (nohup) wants to survive the terminal.
func startedFrom() console { return console{!signal.Ignored(syscall.SIGHUP) && hasTerminal()} }

// gone says whether there was a terminal, and is none any more.
func (t console) gone() bool { return t.there && !hasTerminal() }

func hasTerminal() bool {
	f, err := os.Open("/dev/tty")
	if err != nil {
		return false
	}
	_ = f.Close()
	return true
}
