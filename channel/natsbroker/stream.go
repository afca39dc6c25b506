package natsbroker

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"reflect"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"baro.dev/channel"
	"baro.dev/internal/cluster/clock"
)

// leastPerSubject is how many records of a channel the stream has at least, whatever the rules say: so many a follower may have
// missed and catch up with.
const leastPerSubject = 1024

// maxRecord is how long a message of the stream may be, with its headers: the files of JetStream take what is longer than 32 MiB for damaged,
// and forget what is beside it.
const maxRecord = 31 << 20

var errUnusable = errors.New("its storage, retention or acknowledgements are others")

// stream is the stream of all channels. What rules keep makes its bounds grow; they never shrink by themselves, since other
// processes may have other rules.
type stream struct {
	js   jetstream.JetStream
	name string
	o    *Options

	clock *clock.Clock
	gone  func() // called before it is made, when nobody can learn where channels end, and where others have made it

	mu        sync.Mutex
	config    jetstream.StreamConfig
	created   time.Time
	leader    string
	led       time.Time // when the leader was last known to lead
	confirmed string    // who led it then
	count     int64     // that keeps wanted
	ttl       time.Duration
	last      bool // something is to be kept for ever
	grow      bool // the bounds are to grow
}

func newStream(nc *nats.Conn, o *Options, c *clock.Clock, gone func()) (*stream, error) {
	js, err := jetstream.New(nc)
	if o.Domain != "" {
		js, err = jetstream.NewWithDomain(nc, o.Domain)
	}
	if err != nil {
		return nil, err
	}
	return &stream{js: js, name: o.stream(), o: o, clock: c, gone: gone, count: leastPerSubject, ttl: o.Remember}, nil
}

// wanted is the configuration as this process wants it. mu is held.
func (s *stream) wanted() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:              s.name,
		Description:       "channels of Baro, version 1",
		Subjects:          []string{s.o.Prefix + ".p.*"},
		Storage:           jetstream.FileStorage,
		Replicas:          max(s.o.Replicas, 1),
		MaxMsgsPerSubject: s.count,
		MaxBytes:          s.maxBytes(),
		MaxMsgSize:        maxRecord,
		Discard:           jetstream.DiscardOld,
		Duplicates:        channel.KeyAge,
		AllowDirect:       true,
		AllowMsgTTL:       true,
		RePublish:         &jetstream.RePublish{Source: s.o.Prefix + ".p.*", Destination: s.o.Prefix + ".r.{{wildcard(1)}}"},
	}
}

func (s *stream) maxBytes() int64 {
	if s.o.MaxBytes > 0 {
		return s.o.MaxBytes
	}
	return -1
}

// begin makes the stream, or has it be as it is needed. It waits for a connection and a leader, as long as ctx lasts.
func (s *stream) begin(ctx context.Context) error {
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		try, cancel := context.WithTimeout(ctx, 2*time.Second)
		err := s.ensure(try)
		cancel()
		api, ok := errors.AsType[*jetstream.APIError](err)
		if err == nil || ok && api.Code != 503 || errors.Is(err, errUnusable) {
			return err
		}
		if no := denied(s.js.Conn(), `"$JS.`); no != nil {
			return no
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return err
		}
	}
}

// ensure makes the stream, or has it be as it is needed.
func (s *stream) ensure(ctx context.Context) error {
	info, err := s.info(ctx)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		s.gone()
		err = s.create(ctx)
		if err == nil {
			return nil
		}
		var again error
		if info, again = s.info(ctx); again != nil { // or another process made it meanwhile
			return err
		}
	} else if err != nil {
		return s.failed("cannot be looked up", err)
	}
	s.note(info)
	return s.adapt(ctx, info.Config, false)
}

// info asks how the stream is, and what time it is there, which servers say from 2.10 on.
func (s *stream) info(ctx context.Context) (*jetstream.StreamInfo, error) {
	asked := s.clock.Here()
	have, err := s.js.Stream(ctx, s.name)
	if err != nil {
		return nil, err
	}
	info := have.CachedInfo()
	if !info.TimeStamp.IsZero() {
		s.clock.Saw(asked, s.clock.Here(), info.TimeStamp)
	}
	return info, nil
}

func (s *stream) create(ctx context.Context) error {
	s.mu.Lock()
	config := s.wanted()
	s.mu.Unlock()
	made, err := s.js.CreateStream(ctx, config)
	if err != nil {
		return s.failed("cannot be made", err)
	}
	s.note(made.CachedInfo())
	return s.adapt(ctx, made.CachedInfo().Config, true)
}

// note remembers what is known of the stream, and says whether it is another one than it was, or is led by another server.
func (s *stream) note(info *jetstream.StreamInfo) (changed bool) {
	s.mu.Lock()
	leader := ""
	if info.Cluster != nil {
		leader = info.Cluster.Leader
	}
	another := !s.created.IsZero() && !s.created.Equal(info.Created)
	changed = another || !s.created.IsZero() && s.leader != leader
	if s.short(&info.Config) && !s.short(&s.config) { // others have made it again, or changed it
		s.grow = true
	}
	s.config, s.created, s.leader = info.Config, info.Created, leader
	s.mu.Unlock()
	if another {
		s.gone()
	}
	return changed
}

// short says whether a stream has less room than is needed. mu is held.
func (s *stream) short(c *jetstream.StreamConfig) bool {
	return c.MaxMsgsPerSubject > 0 && c.MaxMsgsPerSubject < s.count || !c.AllowMsgTTL && c.MaxAge > 0 && (s.last || c.MaxAge < s.ttl)
}

// adapt changes the bounds of a stream that has others, and says what it cannot change. fresh says that the stream was made just now.
func (s *stream) adapt(ctx context.Context, have jetstream.StreamConfig, fresh bool) error {
	s.mu.Lock()
	want := s.wanted()
	ttl, last := s.ttl, s.last
	s.grow = false
	s.mu.Unlock()
	if have.Storage != want.Storage || have.Retention != want.Retention || have.NoAck {
		return s.failed("was made by somebody else: delete it, or use another prefix", errUnusable)
	}
	next := have
	next.Subjects, next.RePublish, next.AllowDirect, next.Duplicates = want.Subjects, want.RePublish, true, want.Duplicates
	if have.MaxMsgsPerSubject > 0 {
		next.MaxMsgsPerSubject = max(have.MaxMsgsPerSubject, want.MaxMsgsPerSubject)
	}
	if have.MaxMsgSize <= 0 || have.MaxMsgSize > maxRecord {
		next.MaxMsgSize = maxRecord
	}
	if s.o.Replicas > 0 {
		next.Replicas = want.Replicas
	}
	if s.o.MaxBytes > 0 {
		next.MaxBytes = want.MaxBytes
	}
	next.AllowMsgTTL = have.AllowMsgTTL || s.newer()
	switch {
	case next.AllowMsgTTL || last:
		next.MaxAge = 0
	case fresh || have.MaxAge > 0: // messages cannot have ages of their own
		next.MaxAge = max(have.MaxAge, ttl)
	}
	if reflect.DeepEqual(have, next) {
		return nil
	}
	updated, err := s.js.UpdateStream(ctx, next)
	if err != nil {
		if api, refused := errors.AsType[*jetstream.APIError](err); !refused || api.Code == 503 {
			s.mu.Lock()
			s.grow = true // it is tried again
			s.mu.Unlock()
		}
		return s.failed("cannot be changed", err)
	}
	s.note(updated.CachedInfo())
	return nil
}

// newer says whether the server can give messages ages of their own: from 2.11 on.
func (s *stream) newer() bool { return s.since(11) }

// since says whether the server is of version 2 and a number, or later.
func (s *stream) since(minor int) bool {
	var major, has int
	_, err := fmt.Sscanf(s.js.Conn().ConnectedServerVersion(), "%d.%d", &major, &has)
	return err == nil && (major > 2 || major == 2 && has >= minor)
}

func (s *stream) failed(what string, err error) error {
	return fmt.Errorf("%w %q %s: %w", ErrStream, s.name, what, err)
}

// need notes what is to be kept, and says how long the stream is to have it; 0: for ever. more says that its bounds are to grow.
func (s *stream) need(keep channel.Keep) (ttl time.Duration, more bool) {
	ttl = max(keep.Age, keep.Age+s.o.Remember) // an age of centuries overflows
	if keep.Last {
		ttl = 0
	}
	count := int64(1) << bits.Len64(min(uint64(max(keep.Count-1, 0)), 1<<40))
	s.mu.Lock()
	defer s.mu.Unlock()
	if count > s.count || ttl > s.ttl || keep.Last && !s.last {
		s.count, s.ttl, s.last = max(s.count, count), max(s.ttl, ttl), s.last || keep.Last
		s.grow, more = true, true
	}
	return ttl, more
}

// ages says whether messages of the stream have ages of their own.
func (s *stream) ages() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.config.AllowMsgTTL
}

// growing says whether the stream is to be adapted.
func (s *stream) growing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.grow
}

// replicated says whether others than the leader may answer for the stream.
func (s *stream) replicated() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.config.Replicas > 1
}

// look asks how the stream is, has it grow if it is to, and makes it if it is not there. changed says that it is another one than it was,
// or led by another server.
func (s *stream) look(ctx context.Context) (changed bool, err error) {
	have, err := s.info(ctx)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return true, s.ensure(ctx)
	}
	if err != nil {
		return false, s.failed("does not answer", err)
	}
	changed = s.note(have)
	if s.growing() {
		err = s.adapt(ctx, have.Config, false)
	}
	return changed, err
}

// tellsTime says whether the server says what time it is whenever it is asked how the stream is.
func (s *stream) tellsTime() bool { return s.since(10) }

// near says whether what the leader of the stream publishes cannot be overtaken by its answers: it is the server of the connection.
func (s *stream) near() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.leader == "" || s.leader == s.js.Conn().ConnectedServerName()
}

// perSubject is how many records of a channel the stream has at most.
func (s *stream) perSubject() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return uint64(max(s.config.MaxMsgsPerSubject, 1))
}
