package carry_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"baro.dev/internal/cluster/membus"
	"baro.dev/internal/testkit"
	"baro.dev/ws"
)

// A node that stops lets the WebSockets go that it carries, one after the other, and takes no more; the sessions' own node keeps its own.
func TestDrain(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience)
	defer cancel()
	all := cells(t, new(membus.Network), 2, setup{})
	const clients = 20
	ended := make(chan time.Time, clients)
	for range clients {
		c := all[1].upgrade(t, ctx, all[0].open(t), setup{})
		defer c.CloseNow()
		go func() {
			for _, err := range c.Messages(ctx) {
				if err != nil {
					break
				}
			}
			ended <- time.Now()
		}()
	}
	own := all[0].upgrade(t, ctx, all[0].open(t), setup{})
	defer own.CloseNow()
	eventually(t, "all are carried", func() bool { return all[1].carrier.Stats().OpenSockets == clients })

	const window = time.Second
	began := time.Now()
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		all[1].carrier.Drain(ctx, window)
	}()
	var times []time.Duration
	for range clients {
		times = append(times, (<-ended).Sub(began))
	}
	<-drained
	if last := times[clients-1]; last < window/2 {
		t.Errorf("all ended at once: %v", times)
	}
	eventually(t, "none is carried", func() bool { return all[1].carrier.Stats().OpenSockets == 0 })
	sid := all[0].open(t)
	_, resp, err := ws.Dial(ctx, "ws"+strings.TrimPrefix(all[1].site.URL, "http")+"/engine.io/?EIO=4&transport=websocket&sid="+sid, nil)
	if err == nil || resp == nil || resp.StatusCode != 503 {
		t.Errorf("another WebSocket: %v, %v", resp, err)
	}
	if err := own.Write(ctx, ws.Text, []byte("4still here")); err != nil {
		t.Error(err)
	}
	if m, err := own.Read(ctx); err != nil || string(m.Data) != "4still here" {
		t.Errorf("the other's own: %q, %v", m.Data, err)
	}
}
