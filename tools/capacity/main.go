// Capacity reckons what a number of connections takes: nodes, memory, traffic of the broker, descriptors, network; what runs out first,
// and what second; on how many nodes the members of a room are; and what happens when a node dies and its clients come back. See
// docs/capacity.md, where the defaults come from.
//
//	go run ./capacity
//	go run ./capacity -connections 1e6 -transport socketio -tls=false -node-cores 8
package main

import (
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"time"
)

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if err != flag.ErrHelp {
			fmt.Fprintln(os.Stderr, "capacity:", err)
		}
		os.Exit(2)
	}
}

func run(args []string, out, log io.Writer) error {
	in := Defaults()
	flags := flag.NewFlagSet("capacity", flag.ContinueOnError)
	flags.SetOutput(log)
	in.flags(flags)
	seed := flags.Uint64("seed", 1, "of what is left to chance")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("what is %q?", flags.Arg(0))
	}
	if err := in.check(); err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(*seed, *seed))
	plan := Reckon(in)
	plan.print(out)
	printSpread(out, in, plan.Nodes, random)
	printStorms(out, in, plan.Nodes, random)
	return nil
}

// seconds is a duration as people read it.
func seconds(d time.Duration) string {
	if d >= never {
		return "never"
	}
	if d >= 10*time.Second {
		return d.Round(time.Second).String()
	}
	return d.Round(10 * time.Millisecond).String()
}
