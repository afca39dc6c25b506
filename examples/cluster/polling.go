package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// pollInTurn opens a session of Socket.IO over polling at the first server, and goes on at the others, as it goes behind a balancer without
// sticky sessions.
func pollInTurn(ctx context.Context, out io.Writer, urls ...string) error {
	open, err := get(ctx, urls[0]+"/socket.io/?EIO=4&transport=polling")
	if err != nil {
		return err
	}
	_, rest, _ := strings.Cut(open, `"sid":"`)
	sid, _, ok := strings.Cut(rest, `"`)
	if !ok {
		return fmt.Errorf("no session: %s", open)
	}
	fmt.Fprintf(out, "opened at %s: session %s\n", urls[0], sid)
	session := "/socket.io/?EIO=4&transport=polling&sid=" + sid
	if _, err := do(ctx, http.MethodPost, urls[1]+session, "40"); err != nil { // connect
		return err
	}
	fmt.Fprintf(out, "connected at %s\n", urls[1])
	answer, err := get(ctx, urls[2]+session)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(answer, "40") {
		return fmt.Errorf("not connected: %s", answer)
	}
	fmt.Fprintf(out, "answered at %s: %s\n", urls[2], answer)
	return nil
}
