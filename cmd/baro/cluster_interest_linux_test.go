package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"baro.dev/ws"
)

// interested is how many of a channel's ten subscribers each of three nodes has: of one channel in three all are at one node, of one at two, and of
// one at all.
func interested(channel int) (at [3]int) {
	first := channel / 3 % 3
	switch channel % 3 {
	case 0:
		at[first] = 10
	case 1:
		at[first], at[(first+1)%3] = 5, 5
	default:
		at = [3]int{3, 3, 3}
		at[first]++
	}
	return at
}

// A hearer is a connection that has subscribed to many channels, and counts what comes.
type hearer struct {
	conn  *ws.Conn
	heard atomic.Int64
	ready atomic.Int64
	wrong atomic.Pointer[string]
}

func (h *hearer) read(ctx context.Context, has func(channel int) bool) {
	for {
		f, err := readFrame(ctx, h.conn)
		if err != nil {
			if ctx.Err() == nil {
				text := err.Error()
				h.wrong.Store(&text)
			}
			return
		}
		var m struct {
			Channel string
			Data    string
		}
		channel := 0
		switch {
		case f.Error != nil:
			h.wrong.Store(&f.Error.Code)
		case f.ID != 0:
			h.ready.Add(1)
		case f.Message != nil:
			err := json.Unmarshal(f.Message, &m)
			if _, scanned := fmt.Sscanf(m.Channel, "many/%d", &channel); err != nil || scanned != nil || m.Data != "to "+m.Channel || !has(channel) {
				text := string(f.Message)
				h.wrong.Store(&text)
			}
			h.heard.Add(1)
		}
	}
}

// Messages cross only to nodes that have subscribers: of 100,000 channels with ten subscribers each, which is a million on thirty connections of
// /ws, on three nodes over NATS. In CI there are 297.
func TestClusterInterest(t *testing.T) {
	t.Parallel()
	channels, published, limit := 297, 297, time.Minute
	if whole {
		channels, published, limit = 99_999, 29_997, 20*time.Minute
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	broker := external["NATS"]
	k, _, admin := startNodesForTrial(t, 3, nil, func(int) []string { return nil }, append(broker.args(broker.start(t).Addr),
		"--max-channels-per-connection", fmt.Sprint(channels), "--max-channels", "200000", "--queue-bytes", "64MiB")...)
	l := &trial{nodes: k, ctx: ctx, admin: admin, logs: make([]string, 3)}
	began := time.Now()
	var hearers [3][10]hearer
	var subscribing, reading sync.WaitGroup
	subscriptions := 0
	for node := range hearers {
		for i := range hearers[node] {
			h := &hearers[node][i]
			has := func(channel int) bool { return channel < channels && i < interested(channel)[node] }
			r := &(&publishing{}).reading
			r.url = func() string { return k.URLs[node] }
			r.off.Store(true)
			var err error
			if h.conn, err = r.dialMultiplexed(ctx); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { h.conn.CloseNow() })
			reading.Go(func() { h.read(ctx, has) })
			var own int64
			for channel := range channels {
				if has(channel) {
					own++
				}
			}
			subscriptions += int(own)
			subscribing.Go(func() {
				for channel := range channels {
					if !has(channel) {
						continue
					}
					if err := writeJSON(ctx, h.conn, map[string]any{"id": channel + 1, "subscribe": map[string]any{"channel": fmt.Sprintf("many/%d", channel)}}); err != nil {
						t.Error(err)
						return
					}
				}
				for h.ready.Load() < own && h.wrong.Load() == nil && ctx.Err() == nil {
					pause(ctx, 20*time.Millisecond)
				}
				if h.ready.Load() < own {
					t.Errorf("node %d: %d of %d subscriptions; %v", node, h.ready.Load(), own, h.wrong.Load())
				}
			})
		}
	}
	subscribing.Wait()
	if t.Failed() {
		return
	}
	t.Logf("%d subscriptions to %d channels on 30 connections after %v", subscriptions, channels, time.Since(began).Round(time.Millisecond))

	var before, crossed, wanted, delivered [3]float64
	for node := range 3 {
		before[node] = l.metric(node, "baro_broker_received_total")
		t.Logf("node %d: %v channels, %v subscriptions, %d MB", node, l.metric(node, "baro_channels"), l.metric(node, "baro_subscriptions"), k.procs[node].memory(t)>>20)
	}
	began = time.Now()
	var publishing sync.WaitGroup
	for p := range 8 {
		publishing.Go(func() {
			for n := p; n < published; n += 8 {
				if err := publishTo(ctx, k.URLs[n%3], n*(channels/published)+n%(channels/published)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	publishing.Wait()
	for n := range published {
		for node, subscribers := range interested(n*(channels/published) + n%(channels/published)) {
			delivered[node] += float64(subscribers)
			if subscribers > 0 {
				wanted[node]++
			}
		}
	}
	took := time.Since(began)
	for node := range 3 {
		heard := func() (n float64) {
			for i := range hearers[node] {
				n += float64(hearers[node][i].heard.Load())
			}
			return n
		}
		for heard() < delivered[node] && ctx.Err() == nil {
			pause(ctx, 20*time.Millisecond)
		}
		for i := range hearers[node] {
			if wrong := hearers[node][i].wrong.Load(); wrong != nil {
				t.Errorf("node %d: %s", node, *wrong)
			}
		}
		crossed[node] = l.metric(node, "baro_broker_received_total") - before[node]
		if crossed[node] != wanted[node] || heard() != delivered[node] {
			t.Errorf("node %d was sent %v messages, and has subscribers of %v; %v of %v were delivered", node, crossed[node], wanted[node], heard(), delivered[node])
		}
		t.Logf("node %d: of %d messages %v crossed to it, all of which it has subscribers of: %v deliveries; %d MB", node, published, crossed[node], heard(), k.procs[node].memory(t)>>20)
	}
	t.Logf("%d messages published in %v", published, took.Round(time.Millisecond))
	cancel()
	reading.Wait()
}

// publishTo publishes in a channel, until that is acknowledged.
func publishTo(ctx context.Context, url string, n int) error {
	name := fmt.Sprintf("many/%d", n)
	for ctx.Err() == nil {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"c/"+name, strings.NewReader("to "+name))
		if err != nil {
			return err
		}
		request.Header.Set("Content-Type", "text/plain")
		request.Header.Set("Idempotency-Key", name)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		response.Body.Close()
		switch response.StatusCode {
		case http.StatusOK:
			return nil
		case http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			pause(ctx, 20*time.Millisecond)
		default:
			return errors.New(response.Status)
		}
	}
	return ctx.Err()
}
