// Command autobahn is what the Autobahn test suite is run against: echo servers for its fuzzing client, and an
// echo client for its fuzzing server.
//
//	autobahn server 127.0.0.1:9001          # ws.Server; conn and inline for the other two ways
//	autobahn client ws://127.0.0.1:9002     # runs all cases of the fuzzing server
//
// The suite is Python 2 and comes from its own project; see https://github.com/crossbario/autobahn-testsuite.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"
	"strconv"
	"time"

	"baro.dev/ws"
)

// The suite sends messages of up to 16 MiB, some in 65,536 fragments, and compressed ones with every combination of parameters.
var (
	limits      = ws.Limits{MaxMessageSize: 32 << 20, MaxFragments: -1}
	queue       = ws.Queue{MaxBytes: 64 << 20}
	compression = ws.Compression{Enabled: true, ContextTakeover: true, WindowBits: 15, PeerWindowBits: 15}
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: autobahn server|conn|inline ADDR, or autobahn client URL")
	}
	var err error
	switch os.Args[1] {
	case "server", "inline":
		err = http.ListenAndServe(os.Args[2], &ws.Server{
			Options:   ws.AcceptOptions{Limits: limits, Compression: compression, Queue: queue},
			Inline:    os.Args[1] == "inline",
			OnMessage: func(c *ws.Socket, m ws.Message) { _ = c.Send(m.Type, m.Data) },
		})
	case "conn":
		err = http.ListenAndServe(os.Args[2], http.HandlerFunc(accept))
	case "client":
		err = runCases(os.Args[2])
	default:
		err = fmt.Errorf("%s: neither server, conn, inline nor client", os.Args[1])
	}
	if err != nil {
		log.Fatal(err)
	}
}

func accept(w http.ResponseWriter, r *http.Request) {
	c, err := ws.Accept(w, r, &ws.AcceptOptions{Limits: limits, Compression: compression, Queue: queue})
	if err != nil {
		return
	}
	defer c.CloseNow()
	_ = echo(context.Background(), c)
}

func echo(ctx context.Context, c *ws.Conn) error {
	for m, err := range c.Messages(ctx) {
		if err != nil {
			return err
		}
		if err := c.Write(ctx, m.Type, m.Data); err != nil {
			return err
		}
	}
	return nil
}

// runCases asks the fuzzing server how many cases there are, and goes through them.
func runCases(url string) error {
	const agent = "?agent=baro"
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	c, _, err := ws.Dial(ctx, url+"/getCaseCount", nil)
	if err != nil {
		return err
	}
	m, err := c.Read(ctx)
	if err != nil {
		return err
	}
	_ = c.Close(ctx, ws.StatusNormalClosure, "")
	cases, err := strconv.Atoi(m.String())
	if err != nil {
		return err
	}
	for i := 1; i <= cases; i++ {
		c, _, err := ws.Dial(ctx, fmt.Sprintf("%s/runCase%s&case=%d", url, agent, i),
			&ws.DialOptions{Limits: limits, Compression: compression, Queue: queue})
		if err != nil {
			log.Printf("case %d: %v", i, err)
			continue
		}
		_ = echo(ctx, c)
		// Without it the report would show a stream that was cut.
		select {
		case <-c.Done():
		case <-time.After(2 * time.Second):
			c.CloseNow()
		}
	}
	c, _, err = ws.Dial(ctx, url+"/updateReports"+agent, nil)
	if err != nil {
		return err
	}
	return c.Close(ctx, ws.StatusNormalClosure, "")
}
