package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"baro.dev/channel"
)

// However often they are cut, clients that come back with their position end with every message, in order, once.
func TestMultiplexedCuts(t *testing.T) {
	const clients, messages, publishers = 20, 2000, 4
	s := start(t, Config{Channels: channel.Options{HistoryCount: messages}})
	var wg sync.WaitGroup
	for _, transport := range multiplexers {
		for i := range clients {
			wg.Go(func() {
				if err := readCut(t, s, transport, messages); err != nil {
					t.Errorf("%s %d: %v", transport, i, err)
				}
			})
		}
	}
	for p := range publishers {
		wg.Go(func() {
			k := mustTalk(t, s, multiplexers[p%2], "")
			for i := range messages / publishers {
				if err := k.ask("publish", fmt.Sprintf(`{"channel":"all","data":"%d/%d"}`, p, i), nil); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	eventually(t, "who was cut is gone", func() bool { i, _ := s.hub.Info("all"); return i.Subscribers <= 2*clients })
}

// readCut reads as many messages, over as many connections as it takes.
func readCut(t *testing.T, s *Server, transport string, messages uint64) error {
	var last channel.Position
	after := "oldest"
	next := map[int]int{}
	for last.Offset < messages {
		k, err := dialTalk(t, s, transport, "")
		if err != nil {
			return err
		}
		k.begin("subscribe", fmt.Sprintf(`{"channel":"all","after":%q}`, after))
		for left := 1 + rand.IntN(400); left > 0 && last.Offset < messages; left-- {
			h := k.next()
			if h.name != "message" {
				return fmt.Errorf("after %v: %s %s", last, h.name, h.body)
			}
			var m channel.Message
			if err := json.Unmarshal([]byte(h.body), &m); err != nil {
				return err
			}
			var p, i int
			if _, err := fmt.Sscanf(string(m.Data), "%d/%d", &p, &i); err != nil || m.Offset != last.Offset+1 || next[p] != i {
				return errors.Join(err, fmt.Errorf("after %v, with %d due of publisher %d: %s", last, next[p], p, h.body))
			}
			next[p]++
			last = m.Position()
			after = last.String()
		}
		k.conn.CloseNow()
	}
	return nil
}
