package natsadapter

import (
	"sync/atomic"

	"baro.dev/socketio/internal/clusteradapter"
)

// Stats are what a Cluster has counted since it was made, but for the first four, which there are now.
type Stats struct {
	Servers      int   // that live, with this one
	Rooms        int   // that are heard of: with members here, or that had some until a moment ago, and sockets whose ids others have made
	PendingSend  int   // bytes that wait to be given to the connection
	PendingBytes int64 // bytes that have come and wait to be handled

	Sent, SentBytes         uint64 // messages given to the connection, each subject one
	Unsent                  uint64 // messages for which there was no room, or that the connection did not take
	Received, ReceivedBytes uint64 // messages, those of this server itself among them
	Events                  uint64 // messages of other servers that concerned namespaces of this one
	Elsewhere               uint64 // broadcasts among them for rooms that nobody here is in
	Duplicates              uint64 // copies of what is for several rooms
	Ignored                 uint64 // what no server of such a version has sent
	Overrun                 uint64 // messages that were lost since they came faster than they could be handled
	Away                    uint64 // how often the broker could not be reached any more
}

type counters struct {
	sent, sentBytes, unsent, received, receivedBytes, duplicates, ignored, overrun, away atomic.Uint64

	events, elsewhere, strange atomic.Uint64 // of adapters that are closed
}

// Stats returns what has been counted.
func (c *Cluster) Stats() Stats {
	n := &c.count
	s := Stats{
		Servers: 1 + len(c.others("")), PendingSend: c.out.pending(), PendingBytes: c.queued.Load(),
		Sent: n.sent.Load(), SentBytes: n.sentBytes.Load(), Unsent: n.unsent.Load(),
		Received: n.received.Load(), ReceivedBytes: n.receivedBytes.Load(), Events: n.events.Load(), Elsewhere: n.elsewhere.Load(),
		Duplicates: n.duplicates.Load(), Ignored: n.ignored.Load() + n.strange.Load(), Overrun: n.overrun.Load(), Away: n.away.Load(),
	}
	for _, a := range c.list() {
		s.Rooms += a.interest.len()
		of := a.Stats()
		s.Events += of.Received
		s.Elsewhere += of.Elsewhere
		s.Ignored += of.Ignored
		s.Overrun += of.Overloaded
	}
	return s
}

// keep adds what an adapter has counted that is closed.
func (n *counters) keep(of clusteradapter.Stats) {
	n.events.Add(of.Received)
	n.elsewhere.Add(of.Elsewhere)
	n.strange.Add(of.Ignored)
	n.overrun.Add(of.Overloaded)
}

// ignore counts what is wrong on the wire.
func (c *Cluster) ignore(what string, err error) {
	c.count.ignored.Add(1)
	c.log.warn(what, err)
}

// sent counts what the connection was given.
func (c *Cluster) sent(bytes int, err error) {
	if err != nil {
		c.count.unsent.Add(1)
		c.log.warn("messages for other servers are lost", err)
		return
	}
	c.count.sent.Add(1)
	c.count.sentBytes.Add(uint64(bytes))
}
