package natsbroker

import (
	"context"
	"errors"
	"time"
)

// Where the stream has forgotten what it had acknowledged, the channel would go on with offsets that were given away, in the same
// epoch. Whoever knows of that, since it published the last of it or was handed it, has the channel begin anew.

const forgot = "NATS has forgotten what it had acknowledged: the channel begins anew"

var errForked = errors.New(forgot)

// anew says that a record begins another life where a channel of an epoch ends from one sequence of the stream to another.
type anew struct {
	epoch    string
	from, to uint64
}

// of is what a record is put after that would be put after t.
func (a anew) of(t tail) *tail {
	if a.epoch != "" && a.epoch == t.epoch && t.seq >= a.from && t.seq <= a.to {
		return &tail{seq: t.seq}
	}
	return &t
}

// isFork says whether r, the first record that is there from where a follower is on, and not the one that it was handed last, shows that the
// stream has forgotten that. Else it is not kept any more.
func (b *Broker) isFork(ctx context.Context, t *topic, f *follow, seq uint64, r *record) (bool, error) {
	if seq == f.at.seq || r.epoch == f.at.epoch && r.first <= f.at.end {
		return true, nil
	}
	other, err := b.leaderGet(ctx, getRequest{Seq: f.at.seq}) // of another channel: sequences were given away again, too
	return err == nil && other.seq > 0 && other.subject != t.subject, err
}

var errDoubted = errors.New("NATS has not got what it had acknowledged, by the word of a server that may not lead any more")

// doubtFor is how long a leader is doubted that has forgotten something: one that has stood still learns meanwhile that others have gone on.
const doubtFor = 1500 * time.Millisecond

// fork has a channel begin anew that ends with last by the leader's word. The error is errForked then, or errDoubted: the follower is to
// look again.
func (b *Broker) fork(ctx context.Context, t *topic, f *follow, last *tail, from anew) error {
	if f.doubted.IsZero() {
		f.doubted = time.Now()
	}
	if b.stream.replicated() {
		if time.Since(f.doubted) < doubtFor {
			return errDoubted
		}
		if sure, _, err := b.certainLast(ctx, t); err != nil || sure.id != last.id {
			return errors.Join(errDoubted, err)
		}
	}
	f.doubted = time.Time{}
	b.log.warn(forgot, "channel", t.name)
	if err := b.mark(ctx, t, f.recent, from); err != nil {
		return err
	}
	return errForked
}
