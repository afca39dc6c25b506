package redisadapter

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Errors of what is sent to other servers. The sockets of this server get it nevertheless.
var (
	errAway  = errors.New("redisadapter: Redis is away")
	errQueue = errors.New("redisadapter: more is sent than Redis takes")
	errEnded = errors.New("redisadapter: closed")
)

const (
	batchCommands = 512
	batchBytes    = 1 << 20
	commandBytes  = 128 // what one counts besides its bytes
	probeEvery    = 250 * time.Millisecond
)

// sender sends commands without having anybody wait: one goroutine, which is there while there is something to send, takes all that
// has been queued and sends it in one pipeline. Commands leave in the order in which they were given, and none is sent twice.
//
// When Redis does not answer all that is queued fails, in order, and what comes then fails at once; now and then Redis is asked whether
// it is back.
type sender struct {
	client   redis.UniversalClient
	log      *slog.Logger
	maxBytes int // in the queue

	mu     sync.Mutex
	queue  []command
	bytes  int
	runs   bool
	closed bool
	err    error     // Redis is away; nil: it is not, as far as one knows
	probe  time.Time // when to try again then
	idle   chan struct{}
}

type command struct {
	cmd  *redis.Cmd
	size int
	done func(*redis.Cmd, error)
}

func newSender(client redis.UniversalClient, log *slog.Logger, maxBytes int) *sender {
	return &sender{client: client, log: log, maxBytes: maxBytes}
}

// once is a command that is not sent again if the connection breaks before the answer: it may have been carried out.
type once struct{ *redis.Cmd }

func (once) NoRetry() bool { return true }

// send queues a command. done, if there is one, is called with its answer, by another goroutine and in order, unless
// send returns an error. size is the bytes of args.
func (s *sender) send(size int, done func(*redis.Cmd, error), args ...any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	size += commandBytes
	switch {
	case s.closed:
		return errEnded
	case s.err != nil:
		s.look()
		return errAway
	case s.bytes+size > s.maxBytes && s.bytes > 0:
		return errQueue
	}
	cmd := redis.NewCmd(context.Background(), args...)
	cmd.SetFirstKeyPos(1) // for a channel of Redis Cluster, too: what goes by one node stays in order
	s.queue = append(s.queue, command{cmd, size, done})
	s.bytes += size
	if !s.runs {
		s.runs, s.idle = true, make(chan struct{})
		go s.run()
	}
	return nil
}

func (s *sender) run() {
	for batch := s.take(nil); batch != nil; batch = s.take(batch) {
		pipe := s.client.Pipeline()
		for _, c := range batch {
			_ = pipe.Process(context.Background(), once{c.cmd})
		}
		_, err := pipe.Exec(context.Background())
		for _, c := range batch {
			c.finish()
		}
		if err == nil {
			continue
		}
		reload(s.client) // a master may be another one now
		if silent(batch) {
			s.fail(err)
			return
		}
	}
}

func (c *command) finish() {
	if c.done != nil {
		c.done(c.cmd, c.cmd.Err())
	}
}

// take returns what is sent next, in the memory of what was sent last.
func (s *sender) take(last []command) []command {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(last)
	n, bytes := 0, 0
	for n < len(s.queue) && n < batchCommands && (n == 0 || bytes+s.queue[n].size <= batchBytes) {
		bytes += s.queue[n].size
		n++
	}
	if n == 0 {
		s.rest()
		return nil
	}
	batch := append(last[:0], s.queue[:n]...)
	clear(s.queue[:n])
	s.queue = s.queue[n:]
	s.bytes -= bytes
	return batch
}

// rest ends the goroutine. mu is held.
func (s *sender) rest() {
	s.runs, s.queue = false, nil
	close(s.idle)
}

// silent reports whether nobody has answered any of the commands: in Redis Cluster one node may be away alone.
func silent(batch []command) bool {
	for _, c := range batch {
		if err := c.cmd.Err(); err == nil || answered(err) {
			return false
		}
	}
	return true
}

// fail has all that is queued fail, and what follows.
func (s *sender) fail(err error) {
	s.log.Error("Redis is away: other servers hear nothing of this one", "error", err)
	for {
		s.mu.Lock()
		dropped := s.queue
		s.queue, s.bytes = nil, 0
		if len(dropped) == 0 { // nobody can overtake what has failed before
			s.err, s.probe = err, time.Now().Add(probeEvery)
			s.rest()
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		for _, c := range dropped {
			c.cmd.SetErr(errAway)
			c.finish()
		}
	}
}

// look has it found out whether Redis is back, now and then. mu is held.
func (s *sender) look() {
	if s.err != nil && !s.runs && !s.closed && time.Now().After(s.probe) {
		s.runs, s.idle = true, make(chan struct{})
		go s.ask()
	}
}

// ask finds out whether Redis is back.
func (s *sender) ask() {
	cmd := redis.NewCmd(context.Background(), "ping")
	err := s.client.Process(context.Background(), once{cmd})
	if err != nil && answered(err) {
		err = nil
	}
	s.mu.Lock()
	s.err, s.probe = err, time.Now().Add(probeEvery)
	s.rest()
	s.mu.Unlock()
	if err == nil {
		s.log.Info("Redis is back: other servers hear of this one again")
	}
}

// answered reports whether an error is an answer of Redis to a command, and not that there is none.
func answered(err error) bool {
	var e redis.Error
	return errors.As(err, &e) && !redis.HasErrorPrefix(err, "LOADING") && !redis.HasErrorPrefix(err, "CLUSTERDOWN") &&
		!redis.HasErrorPrefix(err, "MASTERDOWN") && !redis.HasErrorPrefix(err, "READONLY")
}

// failure says why nothing gets through at the moment; nil: it does, as far as one knows. Who asks again learns that it is over, though
// nothing is sent.
func (s *sender) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.look()
	return s.err
}

// close sends what is queued, as far as Redis takes it, and no more.
func (s *sender) close(ctx context.Context) {
	s.mu.Lock()
	s.closed = true
	idle := s.idle
	if !s.runs {
		idle = nil
	}
	s.mu.Unlock()
	if idle != nil {
		select {
		case <-idle:
		case <-ctx.Done():
		}
	}
}
