// Client sends the lines of its standard input as messages and prints the messages that come.
//
//	go run ./examples/client ws://localhost:8080/
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"time"

	"baro.dev/ws"
)

func main() {
	log.SetFlags(0)
	wait := flag.Duration("wait", time.Second, "how long to listen after the end of the input")
	flag.Parse()
	if flag.NArg() != 1 {
		log.Fatal("usage: client [-wait 1s] ws://host/path")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, flag.Arg(0), os.Stdin, os.Stdout, *wait); err != nil {
		log.Fatal(err)
	}
}

// run talks to url until the input has ended and wait is over, or the server closes the connection, or ctx is done.
func run(ctx context.Context, url string, in io.Reader, out io.Writer, wait time.Duration) error {
	c, _, err := ws.Dial(ctx, url, nil)
	if err != nil {
		return err
	}
	defer c.CloseNow()

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		lines := bufio.NewScanner(in)
		for lines.Scan() {
			if err := c.Write(ctx, ws.Text, lines.Bytes()); err != nil {
				log.Print(err)
				break
			}
		}
		time.AfterFunc(wait, cancel)
	}()
	for m, err := range c.Messages(ctx) {
		if ctx.Err() != nil {
			return c.Close(context.Background(), ws.StatusNormalClosure, "")
		}
		if err != nil {
			return err
		}
		fmt.Fprintln(out, m)
	}
	return nil
}
