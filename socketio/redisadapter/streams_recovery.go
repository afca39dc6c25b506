package redisadapter

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"baro.dev/socketio"
	"baro.dev/socketio/parser"
	"baro.dev/socketio/parser/msgpack"
)

const (
	recoveryTimeout = 5 * time.Second // for all that Redis is asked when a client comes back
	rangeCount      = 500             // entries that are read at once
	maxSessionBytes = 1 << 20
	maxSessionText  = 128 // of an id
)

// persistWaits are after what times a session is looked for again: the server that had the client may be about to persist it.
var persistWaits = [...]time.Duration{50 * time.Millisecond, 150 * time.Millisecond, 300 * time.Millisecond}

var entryID = regexp.MustCompile(`^[0-9]{1,20}-[0-9]{1,20}$`)

var errSession = errors.New("redisadapter: a session in Redis is not one")

// session is what is kept of a socket, under the names of the official adapter.
type session struct {
	SID   string   `json:"sid"`
	PID   string   `json:"pid"`
	Rooms []string `json:"rooms"`
	Data  any      `json:"data"`
}

// PersistSession keeps a session in Redis.
func (a *StreamsAdapter) PersistSession(s *socketio.SessionState) {
	if a.recovery == nil {
		return
	}
	kept := session{s.ID, s.PID, s.Rooms, s.Data}
	if kept.Data == nil {
		kept.Data = struct{}{} // what handlers of Node expect
	}
	packed, err := msgpack.Append(nil, kept)
	if err != nil {
		a.set.Logger.Error("session not kept: its data cannot be encoded", "socket", s.ID, "error", err)
		return
	}
	a.keep(s.PID, base64.StdEncoding.EncodeToString(packed), a.recovery.MaxDisconnectionDuration)
}

func (a *StreamsAdapter) keep(pid, text string, ttl time.Duration) {
	key := a.set.SessionKeyPrefix + pid
	err := a.send.send(len(key)+len(text), func(_ *redis.Cmd, err error) {
		if err != nil {
			a.Unsent(err)
		}
	}, "set", key, text, "px", max(1, ttl.Milliseconds()))
	if err != nil {
		a.Unsent(err)
	}
}

// RestoreSession takes a session from Redis. It waits for that.
func (a *StreamsAdapter) RestoreSession(pid, offset string) *socketio.RestoredSession {
	if a.recovery == nil || !entryID.MatchString(offset) {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), recoveryTimeout)
	defer cancel()
	r := &recovery{adapter: a, pid: pid, after: offset}
	begun := make(chan error, 1)
	go func() { begun <- r.begin(ctx) }()
	var err error
	select {
	case err = <-begun:
	case <-ctx.Done():
		err = fmt.Errorf("%w: %w", errAway, ctx.Err())
		go func() { // what comes too late may come again
			if <-begun == nil {
				r.giveBack()
			}
		}()
	}
	switch {
	case errors.Is(err, redis.Nil):
		return nil
	case err != nil:
		reload(a.streams.wire.client)
		a.set.Logger.Warn("a client that has come back begins anew", "error", err)
		return nil
	}
	state := socketio.SessionState{ID: r.session.SID, PID: pid, Rooms: r.session.Rooms, Data: r.session.Data}
	if m, ok := state.Data.(map[string]any); ok && len(m) == 0 {
		state.Data = nil
	}
	return &socketio.RestoredSession{SessionState: state, Resume: r.resume, GiveBack: r.giveBack}
}

// recovery is a client that comes back.
type recovery struct {
	adapter *StreamsAdapter
	pid     string
	session session
	text    string // as it was in Redis
	until   time.Time
	after   string // what it has got, or what has been gathered for it, ends with this entry
	missed  []*parser.Packet
	bytes   int
}

// begin takes the session and gathers what the client has missed. The error is redis.Nil if it cannot go on.
func (r *recovery) begin(ctx context.Context) error {
	a := r.adapter
	client := a.streams.wire.client
	there, err := client.XRangeN(ctx, a.reader.name, r.after, r.after, 1).Result()
	if err != nil {
		return err
	}
	if len(there) == 0 { // what followed it may be gone as well
		return redis.Nil
	}
	if err := r.take(ctx); err != nil {
		return err
	}
	if err := r.gather(ctx); err != nil {
		r.giveBack()
		return err
	}
	return nil
}

// take takes the session out of Redis.
func (r *recovery) take(ctx context.Context) error {
	a := r.adapter
	key := a.set.SessionKeyPrefix + r.pid
	var left *redis.DurationCmd
	var text *redis.StringCmd
	for try := 0; ; try++ {
		_, err := a.streams.wire.client.TxPipelined(ctx, func(p redis.Pipeliner) error {
			left, text = p.PTTL(ctx, key), p.GetDel(ctx, key)
			return nil
		})
		if err == nil {
			break
		}
		if !errors.Is(err, redis.Nil) || try == len(persistWaits) {
			return err
		}
		select {
		case <-time.After(persistWaits[try]):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	r.text, r.until = text.Val(), time.Now().Add(left.Val())
	if len(r.text) > maxSessionBytes {
		return errSession
	}
	packed, err := base64.StdEncoding.DecodeString(r.text)
	if err != nil {
		return fmt.Errorf("%w: %w", errSession, err)
	}
	v, rest, err := msgpack.Read(packed)
	if err == nil {
		err = v.Decode(&r.session)
	}
	s := &r.session
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", errSession, err)
	case len(rest) > 0 || s.SID == "" || len(s.SID) > maxSessionText || s.PID != r.pid:
		return errSession
	case a.Namespace().Socket(s.SID) != nil:
		return fmt.Errorf("%w: there is a socket with its id", errSession)
	}
	return nil
}

// gather gathers what was missed up to where the reader is.
func (r *recovery) gather(ctx context.Context) error {
	a := r.adapter
	for {
		upTo, err := a.reader.reached(ctx, r.after) // another server may have been ahead
		if err != nil {
			return err
		}
		if err := r.read(ctx, upTo); err != nil {
			return err
		}
		if a.reader.remembers(r.after) {
			return nil
		}
	}
}

// read gathers what is in the stream up to an entry, that one included.
func (r *recovery) read(ctx context.Context, upTo string) error {
	a := r.adapter
	for compareIDs(r.after, upTo) < 0 {
		got, err := a.streams.wire.client.XRangeN(ctx, a.reader.name, "("+r.after, upTo, rangeCount).Result()
		if err != nil {
			return err
		}
		for _, m := range got {
			if err := r.add(&entry{id: m.ID, fields: m.Values}); err != nil {
				return err
			}
		}
		if len(got) < rangeCount {
			r.after = upTo
		}
	}
	return nil
}

// add adds an entry, if it is for the client.
func (r *recovery) add(e *entry) error {
	r.after = e.id
	a := r.adapter
	if e.field("nsp") != a.Namespace().Name() || e.field("type") != broadcastType {
		return nil
	}
	e.size = len(e.field("data"))
	p := r.wanted(e)
	if p == nil {
		return nil
	}
	if r.bytes += e.size; r.bytes > a.recovery.MaxLogBytes {
		return fmt.Errorf("it has missed more than %d bytes", a.recovery.MaxLogBytes)
	}
	p.Data = p.Data.Append(e.id)
	r.missed = append(r.missed, p)
	return nil
}

// wanted returns the event of an entry, if it is for the client; nil also if it is none: nobody has got that.
func (r *recovery) wanted(e *entry) *parser.Packet {
	m, err := r.adapter.parse(e)
	if err != nil || m.RequestID != "" || m.Options.Flags.Volatile || !r.isFor(m.Options) {
		return nil
	}
	if p, err := m.Carried(); err == nil {
		return p
	}
	return nil
}

func (r *recovery) isFor(o *socketio.BroadcastOptions) bool {
	in := func(rooms []string) bool {
		return slices.ContainsFunc(rooms, func(room string) bool { return slices.Contains(r.session.Rooms, room) })
	}
	return (len(o.Rooms) == 0 || in(o.Rooms)) && !in(o.Except)
}

// resume sends what was missed, and has the socket get what comes from there on.
func (r *recovery) resume(s *socketio.Socket, live func()) {
	ctx, cancel := context.WithTimeout(context.Background(), recoveryTimeout)
	defer cancel()
	for {
		r.deliver(s)
		done, err := r.adapter.reader.meet(r, func() {
			r.deliver(s)
			live()
		})
		if done && err == nil {
			return
		}
		if err == nil {
			err = r.gather(ctx)
		}
		if err != nil { // better nothing than less than all: the client comes back, and begins anew
			r.adapter.set.Logger.Warn("a client that has come back is cut", "error", err)
			s.Conn().CloseNow()
			return
		}
	}
}

func (r *recovery) deliver(s *socketio.Socket) {
	for _, p := range r.missed {
		_ = s.Deliver(p)
	}
	r.missed, r.bytes = nil, 0
}

// giveBack has the session wait for its client again, for as long as it would have.
func (r *recovery) giveBack() {
	if left := time.Until(r.until); left > 0 {
		r.adapter.keep(r.pid, r.text, left)
	}
}
