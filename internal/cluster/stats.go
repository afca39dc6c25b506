package cluster

import "sync/atomic"

// counters of a node.
type counters struct {
	sent, sentBytes, unsent, received, receivedBytes atomic.Uint64
	invalid, unknown, conflicts, twice, refused      atomic.Uint64
	asked, busy, dead, gaps                          atomic.Uint64
	streamsOpened, streamsReset                      atomic.Uint64
}

// Stats are what a node has counted since it joined, but for Peers and Streams, which there are now.
type Stats struct {
	Peers, Streams int

	Sent, SentBytes         uint64 // messages to the bus
	Unsent                  uint64 // that the bus did not take
	Received, ReceivedBytes uint64

	Invalid   uint64 // messages that no node of a version that this one knows has sent
	Unknown   uint64 // messages of types that this version does not know
	Conflicts uint64 // messages of a second node with the id of one that is there
	Twice     uint64 // requests that came again
	Refused   uint64 // messages of more nodes than [Options.MaxPeers], and streams above [Options.MaxStreams]

	Asked uint64 // questions, and what was told
	Busy  uint64 // questions that were refused with [ErrBusy]
	Dead  uint64 // nodes that were called dead
	Gaps  uint64 // times that [Node.OnGap] had cause

	StreamsOpened uint64 // by this node and by others
	StreamsReset  uint64 // that ended otherwise than by Close
}

// Stats gives the counters of the node.
func (n *Node) Stats() Stats {
	c := &n.count
	s := Stats{
		Sent: c.sent.Load(), SentBytes: c.sentBytes.Load(), Unsent: c.unsent.Load(),
		Received: c.received.Load(), ReceivedBytes: c.receivedBytes.Load(),
		Invalid: c.invalid.Load(), Unknown: c.unknown.Load(), Conflicts: c.conflicts.Load(), Twice: c.twice.Load(),
		Refused: c.refused.Load(), Asked: c.asked.Load(), Busy: c.busy.Load(), Dead: c.dead.Load(), Gaps: c.gaps.Load(),
		StreamsOpened: c.streamsOpened.Load(), StreamsReset: c.streamsReset.Load(),
	}
	s.Streams = n.streams.len()
	n.mu.Lock()
	defer n.mu.Unlock()
	s.Peers = len(n.peers)
	return s
}

// poison counts what should not have come.
func (c *counters) poison() uint64 {
	return c.invalid.Load() + c.conflicts.Load() + c.twice.Load() + c.refused.Load()
}
