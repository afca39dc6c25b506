package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"baro.dev/channel"
)

// batchOf is for how many channels one publisher publishes who does so by batches.
const batchOf = 10

// A press publishes in all channels of a crowd by the API, half of them by single messages, the other half by batches for several.
type press struct {
	publishers []*publishing
	stop       chan struct{}
	began      time.Time
	took       time.Duration
	running    sync.WaitGroup
}

// publishAll begins to publish each messages in each channel but one, which is finish's; or fewer if stop is closed before.
func (c *crowd) publishAll(url string, each int, pace time.Duration, cut bool) *press {
	p := &press{stop: make(chan struct{}), began: time.Now()}
	singles := len(c.channels) / 2
	for i, name := range c.channels {
		one := &publishing{reading: reading{url: func() string { return url }, name: name}, each: each - 1, stop: p.stop}
		one.off.Store(!cut)
		if pace > 0 && (i < singles || (i-singles)%batchOf == 0) {
			ticks := time.NewTicker(pace)
			one.pace = ticks.C
			c.t.Cleanup(ticks.Stop)
		}
		p.publishers = append(p.publishers, one)
	}
	run := func(i int, publish func() error) {
		p.running.Go(func() {
			if err := publish(); err != nil {
				c.t.Errorf("publishing to %s: after %d messages: %v", c.channels[i], len(p.publishers[i].acknowledged), err)
			}
		})
	}
	for i, one := range p.publishers[:singles] {
		run(i, func() error { return one.publishAPI(c.ctx) })
	}
	for i := singles; i < len(c.channels); i += batchOf {
		run(i, func() error { return publishBatches(c.ctx, p.publishers[i:min(i+batchOf, len(c.channels))]) })
	}
	return p
}

// finish waits for the publishers, publishes the last message of each channel, and gives what was acknowledged for each.
func (p *press) finish(c *crowd) (acknowledged [][]channel.Position, messages, retried int) {
	p.running.Wait()
	for i, one := range p.publishers {
		one.each, one.stop, one.pace = len(one.acknowledged)+1, nil, nil
		c.end(i, one.each)
	}
	for i, one := range p.publishers {
		if err := one.publishAPI(c.ctx); err != nil {
			c.t.Errorf("publishing the last message to %s: %v", c.channels[i], err)
		}
		acknowledged = append(acknowledged, one.acknowledged)
		messages += len(one.acknowledged)
		retried += one.retried
	}
	p.took = time.Since(p.began)
	return acknowledged, messages, retried
}

// publishBatches publishes by batches with a message for each channel, as often as the first of them says.
func publishBatches(ctx context.Context, each []*publishing) error {
	lead := each[0]
	lead.http = lead.client()
	defer lead.http.CloseIdleConnections()
	for lead.due() {
		i := len(lead.acknowledged)
		var messages []map[string]string
		for _, p := range each {
			data, binary := body(p.number, i)
			m := map[string]string{"channel": p.name, "key": fmt.Sprintf("publisher-%d-%d", p.number, i)}
			if binary {
				m["base64"] = base64.StdEncoding.EncodeToString(data)
			} else {
				m["data"] = string(data)
			}
			messages = append(messages, m)
		}
		text, err := json.Marshal(map[string]any{"messages": messages})
		if err != nil {
			return err
		}
		results, err := lead.insistOnAll(ctx, text, fmt.Sprintf("batch-%d", i))
		if err != nil {
			return err
		}
		for j, p := range each {
			if err := p.acknowledge(results[j]); err != nil {
				return err
			}
		}
	}
	return nil
}

// insistOnAll posts a batch until all of it is published.
func (p *publishing) insistOnAll(ctx context.Context, batch []byte, key string) ([]json.RawMessage, error) {
	for {
		text, err := p.insist(ctx, "api/v1/batch", batch, "application/json", key)
		if err != nil {
			return nil, err
		}
		var answer struct{ Results []json.RawMessage }
		if err := json.Unmarshal(text, &answer); err != nil {
			return nil, fmt.Errorf("%w: %w in %.200s", errProtocol, err, text)
		}
		var failed error
		for _, result := range answer.Results {
			var e struct {
				Error *struct {
					Number        int
					Code, Message string
				}
			}
			if err := json.Unmarshal(result, &e); err != nil {
				return nil, fmt.Errorf("%w: %w in %.200s", errProtocol, err, result)
			}
			if e.Error != nil {
				failed = errors.Join(failed, fmt.Errorf("%s", result))
				if e.Error.Number >= 1500 {
					return nil, fmt.Errorf("%w: %w", errProtocol, failed)
				}
			}
		}
		if failed == nil {
			return answer.Results, nil
		}
		p.retried++
		pause(ctx, 20*time.Millisecond)
	}
}
