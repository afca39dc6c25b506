package natsbroker

import (
	"context"
	"fmt"
	"time"
)

const (
	// heardWithin is how lately most of the servers have been heard of by one that certainly leads: others elect another leader when they
	// have heard nothing for 4 seconds at least.
	heardWithin = 2500 * time.Millisecond
	// confirmFor is how long that holds, so that 4 seconds are not over.
	confirmFor = time.Second
	// confirmWithin is how long a leader is waited for.
	confirmWithin = 2 * time.Second
)

// confirm says who is the leader of the stream, and sees to it that it is: one that is cut off from the others goes on as if it were
// for ten seconds, while they may have another, and more messages. The error is [ErrAway].
func (s *stream) confirm(ctx context.Context) (leader string, err error) {
	s.mu.Lock()
	known, leader := s.config.Replicas <= 1 || time.Since(s.led) < confirmFor, s.confirmed
	s.mu.Unlock()
	if known {
		return leader, nil
	}
	ctx, cancel := context.WithTimeout(ctx, confirmWithin)
	defer cancel()
	err = retry(ctx, func() error {
		asked := time.Now()
		info, err := s.info(ctx)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrAway, err)
		}
		if info.Cluster == nil {
			return nil
		}
		heard := 1
		for _, r := range info.Cluster.Replicas {
			if !r.Offline && r.Active < heardWithin {
				heard++
			}
		}
		leader = info.Cluster.Leader
		if all := 1 + len(info.Cluster.Replicas); heard <= all/2 {
			return fmt.Errorf("%w: the leader of the stream has heard of %d of %d servers lately", errNobody, heard, all)
		}
		s.mu.Lock()
		s.led, s.confirmed = asked, leader
		s.mu.Unlock()
		return nil
	})
	return leader, err
}
