// Cluster starts three servers, baro serve --cluster, which are one: a message that is published at one is read at another, a session of
// Socket.IO may be asked for at any, and when one is killed its reader goes on elsewhere and misses nothing.
//
//	go run ./examples/cluster
//	go run ./examples/cluster -stay      # and leaves the servers there, to try, until it is interrupted
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	baro := flag.String("baro", "", "the program; otherwise it is built")
	stay := flag.Bool("stay", false, "leave the servers there until the program is interrupted")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Stdout, *baro, *stay); err != nil && ctx.Err() == nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, out io.Writer, baro string, stay bool) error {
	dir, err := os.MkdirTemp("", "baro-cluster-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if baro == "" {
		fmt.Fprintln(out, "building baro")
		baro = filepath.Join(dir, "baro")
		build := exec.CommandContext(ctx, "go", "build", "-o", baro, "baro.dev/cmd/baro")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			return err
		}
	}
	nodes, err := newNodes(baro, dir, 3)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		defer n.kill()
		if err := n.start(); err != nil {
			return err
		}
	}
	for _, n := range nodes {
		if err := n.waitReady(ctx); err != nil {
			return err
		}
		fmt.Fprintf(out, "%s is ready: %s\n", n.name, n.url)
	}
	if err := show(ctx, out, nodes); err != nil {
		return err
	}
	if stay {
		fmt.Fprintln(out, "the servers stay until you press ^C")
		<-ctx.Done()
	}
	return nil
}

// show is what a cluster is for.
func show(ctx context.Context, out io.Writer, nodes []*node) error {
	one, two, three := nodes[0], nodes[1], nodes[2]
	r := newReader("demo", one.url, two.url, three.url)
	next := func(want string) error {
		m, err := r.next(ctx)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "read at %s: %s\n", m.from, m.data)
		if m.data != want {
			return fmt.Errorf("read %q, and not %q", m.data, want)
		}
		return nil
	}
	say := func(at *node, data string) error {
		fmt.Fprintf(out, "published at %s: %s\n", at.url, data)
		return publish(ctx, at.url, "demo", data)
	}

	fmt.Fprintln(out, "\nA message crosses the servers:")
	if err := r.open(ctx); err != nil { // at the first
		return err
	}
	defer r.close()
	if err := say(three, "hello from the third"); err != nil {
		return err
	}
	if err := next("hello from the third"); err != nil {
		return err
	}

	fmt.Fprintln(out, "\nA session of Socket.IO, each of its requests at another server:")
	if err := pollInTurn(ctx, out, one.url, two.url, three.url); err != nil {
		return err
	}

	fmt.Fprintln(out, "\nA server is killed, and its reader goes on at the next one, after what it has read:")
	one.kill()
	fmt.Fprintln(out, one.name, "is gone")
	for _, data := range []string{"you were away", "and missed nothing"} {
		if err := say(three, data); err != nil {
			return err
		}
	}
	for _, data := range []string{"you were away", "and missed nothing"} {
		if err := next(data); err != nil {
			return err
		}
	}

	fmt.Fprintln(out, "\nIt comes back, and has what was published meanwhile:")
	if err := one.start(); err != nil {
		return err
	}
	if err := one.waitReady(ctx); err != nil {
		return err
	}
	history, err := get(ctx, one.url+"/c/demo?after=oldest")
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s", history)
	return nil
}
