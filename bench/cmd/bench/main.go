//go:build linux

// Command bench compares WebSocket servers: this project, its peers in Go, and raw TCP.
//
//	bench run                                       a look at everything
//	bench run -plan full -out DIR                   what docs/performance.md shows
//	bench run -cells echo-64-p1-c100-onecore -servers baro-inline,gws,tcpepoll -rounds 3
//	bench report -out DIR results.json...           the tables and plots of earlier runs
//	bench serve -server gws                         one server
//	bench install                                   what servers need that are programs of their own, with npm and go
//
// The name of a cell says what is measured: a mode (echo, fanout, idle, churn), the size of a message in bytes, cN or nN
// connections, pN or wN messages in flight, rN messages offered a second, noctx or ctx for compression without and with
// context takeover, and where: onecore (server and generator take turns on one processor), apart (each has its own) or
// twocores (neither is bound).
//
// Modes of Socket.IO are sioack (events that are acknowledged, over WebSocket), sioroom (broadcasts to a room), siopoll
// (acknowledged events by long polling: a POST and a GET), sioidle (clients that answer heartbeats) and sioopen (clients
// that come, have one event acknowledged and go) and siocluster (sioroom where the publisher is at another server, joined with that
// of the others by a broker of this machine: what the others' server takes for a delivery, beside a local one). The size is that of
// an event's argument, a string.
//
// Modes of channels have the stand-alone server beside another one: chpub (backends publish by HTTP, pN messages in each request
// over each of cN connections), chws and chsse (wN messages, published over a connection each, reach nN subscribers over WebSocket or
// as event streams), chcluster (chws where the messages are published at another server than the subscribers are at) and chidle (nN
// subscribers of each transport). Baro is built from this tree; Centrifugo is found in the PATH.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"baro.dev/bench/internal/harness"
	"baro.dev/bench/internal/peers"
)

func main() {
	err := fmt.Errorf("usage: bench run|report|serve|install [flags]")
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "run":
			err = run(os.Args[2:])
		case "report":
			err = report(os.Args[2:])
		case "serve":
			err = peers.Main(os.Args[2:])
		case "install":
			err = peers.Install()
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("run", flag.ContinueOnError)
	planName := flags.String("plan", "quick", "quick, full, socketio, channels or cluster")
	cells := flags.String("cells", "", "`names` of cells, with commas, instead of the plan's")
	servers := flags.String("servers", "", "`names` of servers, with commas; NAME=PROGRAM for one that speaks the flags of bench serve")
	out := flags.String("out", "", "`directory` for results.json, results.md and plots")
	rounds := flags.Int("rounds", 0, "how often each server is measured, if not as often as the plan says")
	duration := flags.Duration("duration", 0, "of each measurement, if not as the plan says")
	warmup := flags.Duration("warmup", 0, "before each measurement, if not as the plan says (Socket.IO: 3 s)")
	heartbeat := flags.Duration("heartbeat", 0, "Socket.IO's pingInterval, if not the 25 s that is its default")
	if err := flags.Parse(args); err != nil {
		return err
	}
	plan, err := harness.PlanNamed(*planName)
	if err != nil {
		return err
	}
	if *cells != "" {
		plan = harness.Plan{Cells: strings.Split(*cells, ","), Rounds: 1, Warmup: 300 * time.Millisecond, JITWarmup: harness.JITWarmup, Duration: time.Second}
	}
	for _, set := range []struct {
		value *time.Duration
		flag  time.Duration
	}{{&plan.Duration, *duration}, {&plan.Warmup, *warmup}, {&plan.JITWarmup, *warmup}, {&plan.Heartbeat, *heartbeat}} {
		if set.flag > 0 {
			*set.value = set.flag
		}
	}
	if *rounds > 0 {
		plan.Rounds = *rounds
	}
	var names []string
	if *servers != "" {
		names = strings.Split(*servers, ",")
	}
	r, err := harness.Run(plan, names, os.Stdout, os.Stderr)
	if err != nil || *out == "" {
		return err
	}
	return r.Write(*out)
}

func report(args []string) error {
	flags := flag.NewFlagSet("report", flag.ContinueOnError)
	out := flags.String("out", "", "`directory` for results.json, results.md and plots")
	if err := flags.Parse(args); err != nil {
		return err
	}
	r, err := harness.Read(flags.Args()...)
	if err != nil {
		return err
	}
	r.Text(os.Stdout)
	if *out == "" {
		return nil
	}
	return r.Write(*out)
}
