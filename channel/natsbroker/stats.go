package natsbroker

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Stats is what a broker has, and has seen since it was opened.
type Stats struct {
	Topics       int   // channels of which the newest message is known
	Followed     int   // channels
	Waiting      int   // messages for their acknowledgement
	WaitingBytes int64 // of them

	Records    uint64 // acknowledged, each with one message or more
	Conflicts  uint64 // another process was faster, and it was tried again
	Unanswered uint64 // a record was sent again, since it was not acknowledged in a second
	Uncertain  uint64 // of which nobody knows whether they are there
	Duplicates uint64 // messages whose keys were those of earlier ones
	Heard      uint64 // messages that came for followers, some of which they may have had
	Gaps       uint64 // something had been missed by a follower, and was looked for
	Lost       uint64 // it was not there any more, or the channel had begun anew
	Foreign    uint64 // messages skipped that this package did not write
	Dropped    uint64 // messages that came faster than followers took them; they were looked for
}

type counters struct {
	Heard, Records, Conflicts, Unanswered, Uncertain, Duplicates, Gaps, Lost, Foreign, Dropped atomic.Uint64
}

// Stats says what the broker has.
func (b *Broker) Stats() Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := &b.stats
	return Stats{
		Topics: len(b.topics), Followed: len(b.follows), Waiting: b.entries, WaitingBytes: b.waiting,
		Records: c.Records.Load(), Conflicts: c.Conflicts.Load(), Unanswered: c.Unanswered.Load(), Uncertain: c.Uncertain.Load(),
		Duplicates: c.Duplicates.Load(), Heard: c.Heard.Load(), Gaps: c.Gaps.Load(), Lost: c.Lost.Load(), Foreign: c.Foreign.Load(), Dropped: c.Dropped.Load(),
	}
}

// foreign notes a message that this package did not write.
func (b *Broker) foreign(subject string, seq uint64, err error) {
	n := b.stats.Foreign.Add(1)
	b.log.warn("messages that are none of ours were skipped", "last", subject, "sequence", seq, "why", err, "skipped", n)
}

// logger tells each thing once a minute.
type logger struct {
	to   *slog.Logger
	mu   sync.Mutex
	told map[string]time.Time
}

func (l *logger) warn(what string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Since(l.told[what]) < time.Minute {
		return
	}
	if l.told == nil {
		l.told = make(map[string]time.Time)
	}
	l.told[what] = time.Now()
	l.to.Warn("natsbroker: "+what, args...)
}
