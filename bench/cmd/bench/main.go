//go:build linux

// Command bench compares WebSocket servers.
//
//	bench run                                      a minute's worth of it all
//	bench run -plan full -rounds 5 -out results    what docs/performance.md shows
//	bench run -cells echo-64-p1-c100-onecore -servers baro-inline,gws,tcpepoll -rounds 3
//	bench serve -server gws                        one server
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
	err := fmt.Errorf("usage: bench run|serve [flags]")
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "serve":
			err = peers.Main(os.Args[2:])
		case "run":
			err = run(os.Args[2:])
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("run", flag.ExitOnError)
	cells := flags.String("cells", "echo-64-p1-c100-onecore", "`names` of cells, with commas")
	servers := flags.String("servers", "", "`names` of servers, with commas; NAME=PROGRAM for one that speaks the flags of bench serve")
	o := harness.Options{Log: os.Stderr}
	flags.IntVar(&o.Rounds, "rounds", 1, "how often each server is measured")
	flags.DurationVar(&o.Duration, "duration", time.Second, "of each measurement")
	flags.DurationVar(&o.Warmup, "warmup", 300*time.Millisecond, "before each measurement")
	flags.Parse(args)
	var names []string
	if *servers != "" {
		names = strings.Split(*servers, ",")
	}
	contenders, err := harness.Contenders(names)
	if err != nil {
		return err
	}
	for name := range strings.SplitSeq(*cells, ",") {
		c, err := harness.ParseCell(name)
		if err != nil {
			return err
		}
		harness.Table(os.Stdout, c, harness.Run(c, contenders, o))
	}
	return nil
}
