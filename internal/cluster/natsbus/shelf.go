package natsbus

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"baro.dev/internal/cluster"
)

// ShelfOptions are those of a [Shelf]. The zero value has the defaults.
type ShelfOptions struct {
	// Prefix is what subjects begin with, and in capitals the name of the stream. Default: baro.
	Prefix string
	// Domain is the JetStream domain. Default: none.
	Domain string
	// Replicas is on how many servers a thing is before Put returns. Default: as the stream has it, and 1 where it is made.
	Replicas int
	// MaxTTL is the longest that a thing may be kept. Default: 31 days.
	MaxTTL time.Duration
	// Now is the clock that things go by, for all who share the shelf. Default: time.Now.
	Now func() time.Time
}

// Shelf is a [cluster.Shelf] in a stream of JetStream: each thing is the last message of its subject, prefix.s.SHELF.KEY. Who takes it puts
// an empty one after it, which the stream refuses where another was faster.
type Shelf struct {
	nc     *nats.Conn
	js     jetstream.JetStream
	api    string
	stream string
	prefix string
	o      ShelfOptions
	ages   atomic.Bool // messages may have ages of their own
}

var _ cluster.Shelf = (*Shelf)(nil)

// maxShelfBytes is how much may be on a shelf for List.
const maxShelfBytes = 64 << 20

var errName = errors.New("natsbus: a name has 1 to 255 bytes")

// NewShelf makes the stream where it is not there, and has it be as it is needed; it waits for the broker, no longer than ctx.
func NewShelf(ctx context.Context, nc *nats.Conn, o ShelfOptions) (*Shelf, error) {
	o.Prefix = cmp.Or(o.Prefix, "baro")
	if !valid(o.Prefix) {
		return nil, fmt.Errorf("natsbus: no prefix of subjects: %q", o.Prefix)
	}
	if o.MaxTTL <= 0 {
		o.MaxTTL = 31 * 24 * time.Hour
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Shelf{nc: nc, api: "$JS.API.", o: o, prefix: o.Prefix + ".s.", stream: strings.ToUpper(strings.ReplaceAll(o.Prefix, ".", "_")) + "_SHELF"}
	js, err := jetstream.New(nc)
	if o.Domain != "" {
		s.api = "$JS." + o.Domain + ".API."
		js, err = jetstream.NewWithDomain(nc, o.Domain)
	}
	if err != nil {
		return nil, err
	}
	s.js = js
	return s, s.make(ctx)
}

func (s *Shelf) config() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: s.stream, Description: "what Baro keeps for a while, version 1", Subjects: []string{s.prefix + "*.*"},
		Storage: jetstream.FileStorage, Replicas: max(s.o.Replicas, 1), MaxMsgsPerSubject: 1, MaxMsgSize: maxThing, MaxAge: s.o.MaxTTL, Duplicates: 2 * time.Minute,
		AllowDirect: true, AllowMsgTTL: true,
	}
}

func (s *Shelf) make(ctx context.Context) error {
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		err := s.tryToMake(ctx)
		if err == nil {
			return nil
		}
		if api := (*jetstream.APIError)(nil); errors.As(err, &api) && api.Code != 503 || errors.Is(err, nats.ErrPermissionViolation) {
			return fmt.Errorf("natsbus: the stream %s: %w", s.stream, err)
		}
		select { // there is no connection yet, or no leader
		case <-time.After(pause):
		case <-ctx.Done():
			return fmt.Errorf("%w: the stream %s: %w", cluster.ErrAway, s.stream, err)
		}
	}
}

// tryToMake makes the stream, or has it be as it should. A server that dies answers nothing: the next one is asked soon.
func (s *Shelf) tryToMake(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	config := s.config()
	have, err := s.js.Stream(ctx, s.stream)
	switch {
	case err == nil:
		if s.o.Replicas == 0 {
			config.Replicas = have.CachedInfo().Config.Replicas
		}
		config.MaxAge = max(config.MaxAge, have.CachedInfo().Config.MaxAge)
		have, err = s.js.UpdateStream(ctx, config)
	case errors.Is(err, jetstream.ErrStreamNotFound):
		have, err = s.js.CreateStream(ctx, config)
	}
	if err == nil {
		s.ages.Store(have.CachedInfo().Config.AllowMsgTTL)
	}
	return err
}

// remake makes the stream again that somebody has deleted, where that may be why there was an error, and says whether it did.
func (s *Shelf) remake(ctx context.Context, err error) bool {
	if !errors.Is(err, jetstream.ErrStreamNotFound) && !errors.Is(err, jetstream.ErrNoStreamResponse) && !errors.Is(err, nats.ErrNoResponders) {
		return false
	}
	if _, err := s.js.Stream(ctx, s.stream); !errors.Is(err, jetstream.ErrStreamNotFound) {
		return false
	}
	return s.tryToMake(ctx) == nil
}

// A thing is what a message of the stream holds: a version, whether it was taken, the end of its time in milliseconds, an id, the value.
type thing struct {
	taken bool
	until time.Time
	id    [8]byte
	value []byte
}

// maxThing is how long a message of the stream may be: the files of JetStream take what is longer than 32 MiB for damaged.
const maxThing = 31 << 20

const (
	thingVersion = 1
	thingHeader  = 1 + 1 + 8 + 8
)

func newThing(value []byte, until time.Time, taken bool) thing {
	t := thing{taken: taken, until: until, value: value}
	_, _ = rand.Read(t.id[:]) // it never fails
	return t
}

func (t *thing) bytes() []byte {
	b := make([]byte, 0, thingHeader+len(t.value))
	b = append(b, thingVersion, 0)
	if t.taken {
		b[1] = 1
	}
	b = binary.LittleEndian.AppendUint64(b, uint64(t.until.UnixMilli()))
	b = append(b, t.id[:]...)
	return append(b, t.value...)
}

// parseThing reads what a message holds; false where nobody wrote that who uses this package.
func parseThing(b []byte) (thing, bool) {
	if len(b) < thingHeader || b[0] != thingVersion || b[1] > 1 {
		return thing{}, false
	}
	t := thing{taken: b[1] == 1, until: time.UnixMilli(int64(binary.LittleEndian.Uint64(b[2:]))), value: b[thingHeader:]}
	copy(t.id[:], b[10:])
	return t, true
}

// there says whether it can be taken.
func (s *Shelf) there(t *thing) bool { return !t.taken && s.o.Now().Before(t.until) }

func (s *Shelf) subject(shelf, key string) (string, error) {
	if len(shelf) == 0 || len(shelf) > 255 || len(key) == 0 || len(key) > 255 {
		return "", errName
	}
	return s.prefix + cluster.Word(shelf) + "." + cluster.Word(key), nil
}

// Put implements [cluster.Shelf].
func (s *Shelf) Put(ctx context.Context, shelf, key string, value []byte, ttl time.Duration) error {
	subject, err := s.subject(shelf, key)
	switch {
	case err != nil:
		return err
	case ttl <= 0:
		return nil
	case ttl > s.o.MaxTTL:
		return fmt.Errorf("natsbus: %v is longer than things are kept: %v", ttl, s.o.MaxTTL)
	case int64(len(value)+thingHeader+512) > s.nc.MaxPayload() && s.nc.IsConnected():
		return cluster.ErrTooLarge
	}
	_, err = s.publish(ctx, subject, newThing(value, s.o.Now().Add(ttl), false), ttl)
	return err
}

// publish puts a thing where it may be tried more than once: the stream knows its id.
func (s *Shelf) publish(ctx context.Context, subject string, t thing, ttl time.Duration, o ...jetstream.PublishOpt) (seq uint64, err error) {
	m := &nats.Msg{Subject: subject, Data: t.bytes(), Header: nats.Header{}}
	if s.ages.Load() {
		m.Header.Set("Nats-TTL", strconv.FormatInt(int64((ttl+2*time.Second-1)/time.Second), 10))
	}
	o = append(o, jetstream.WithMsgID(base64.RawURLEncoding.EncodeToString(t.id[:])))
	err = s.retry(ctx, func(ctx context.Context) error {
		ack, err := s.js.PublishMsg(ctx, m, o...)
		if err == nil {
			seq = ack.Sequence
		}
		return err
	})
	return seq, err
}

// tryFor is how long an answer may take, before it is asked for again.
const tryFor = time.Second

// retry calls f until it has an answer, or ctx ends.
func (s *Shelf) retry(ctx context.Context, f func(ctx context.Context) error) error {
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, 500*time.Millisecond) {
		try, cancel := context.WithTimeout(ctx, tryFor)
		err := f(try)
		again := err != nil && s.remake(try, err)
		cancel()
		api := (*jetstream.APIError)(nil)
		if err == nil || !again && errors.As(err, &api) && api.Code != 503 && api.ErrorCode != duplicateBusy {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", cluster.ErrAway, err)
		}
	}
}

// duplicateBusy is JetStream's code for a message that was sent before and is not yet known to be there.
const duplicateBusy = 10158

// wrongLast is JetStream's code for a message that is not put after what it expected.
const wrongLast, wrongLastBusy = 10071, 10164

// Take implements [cluster.Shelf].
func (s *Shelf) Take(ctx context.Context, shelf, key string) ([]byte, bool, error) {
	subject, err := s.subject(shelf, key)
	if err != nil {
		return nil, false, err
	}
	mine := newThing(nil, s.o.Now().Add(time.Minute), true)
	var value []byte
	for {
		last, err := s.get(ctx, getThing{Last: subject})
		if err != nil {
			return nil, false, err
		}
		t, ok := parseThing(last.Data)
		if ok && t.id == mine.id { // it is there, though the answer was not
			s.forget(subject, last.Seq)
			return value, true, nil
		}
		if last.Seq == 0 || !ok || !s.there(&t) {
			return nil, false, nil
		}
		value = t.value
		seq, err := s.publish(ctx, subject, mine, time.Minute, jetstream.WithExpectLastSequencePerSubject(last.Seq))
		if err == nil {
			s.forget(subject, seq)
			return value, true, nil
		}
		if api := (*jetstream.APIError)(nil); !errors.As(err, &api) || api.ErrorCode != wrongLast && api.ErrorCode != wrongLastBusy {
			return nil, false, err
		}
	}
}

// forget removes what was taken, if nothing was put there since. It does not wait.
func (s *Shelf) forget(subject string, seq uint64) {
	body, _ := json.Marshal(map[string]any{"filter": subject, "seq": seq + 1}) // it cannot fail
	_ = s.nc.PublishRequest(s.api+"STREAM.PURGE."+s.stream, s.nc.NewRespInbox(), body)
}
