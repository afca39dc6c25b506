package natsbroker

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

// What time it is for all is what NATS says, whose messages JetStream lets go by it. Servers say it whenever they are asked how the stream
// is, from 2.10 on. Older ones say only when they have got a message: so one is put there, on a subject that is no channel's, now and then.

// clockEvery is how often that is done, and clockWithin how long it may take.
const clockEvery, clockWithin = 10 * time.Minute, 2 * time.Second

// Now implements [channel.Broker]: it is the time of NATS, as far as it is known.
func (b *Broker) Now() time.Time { return b.clock.Now() }

// readClock reads the clock of a server that does not say what time it is. Where that fails it goes on as it went.
func (b *Broker) readClock(ctx context.Context) {
	if b.stream.tellsTime() {
		return
	}
	b.clockRead = time.Now()
	ctx, cancel := context.WithTimeout(ctx, clockWithin)
	defer cancel()
	asked := b.clock.Here()
	seq, err := b.putMark(ctx)
	answered := b.clock.Here()
	if err != nil {
		return
	}
	var answer struct {
		Message struct {
			Time time.Time `json:"time"`
		} `json:"message"`
	}
	err = b.calls.ask(ctx, b.api+"STREAM.MSG.GET."+b.stream.name, getRequest{Seq: seq}, func(m *nats.Msg) bool {
		_ = json.Unmarshal(m.Data, &answer) // the time is zero then
		return true
	})
	if at := answer.Message.Time; err == nil && !at.IsZero() {
		b.clock.Saw(asked, answered, at)
	}
}

// putMark puts a message into the stream that nobody reads, and says where.
func (b *Broker) putMark(ctx context.Context) (uint64, error) {
	var ack publishAck
	var bad error
	err := b.calls.ask(ctx, b.options.Prefix+".p._", struct{}{}, func(m *nats.Msg) bool {
		bad = json.Unmarshal(m.Data, &ack)
		return true
	})
	switch {
	case err != nil:
		return 0, err
	case bad != nil || ack.Seq == 0:
		return 0, fmt.Errorf("%w: %q is answered by what is no acknowledgement", ErrAway, b.options.Prefix+".p._")
	}
	return ack.Seq, nil
}
