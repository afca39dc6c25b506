package backbone

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"baro.dev/channel/natsbroker"
	"baro.dev/channel/redisbroker"
	"baro.dev/internal/cluster/embedded"
	"baro.dev/internal/cluster/natsbus"
	"baro.dev/internal/cluster/redisbus"
)

// Options are what a backbone needs beside its configuration.
type Options struct {
	Dir             string // where messages are kept; see [Config.Check]
	NoSync          bool   // see [embedded.Options]
	MaxMessageBytes int    // how long the data of a message may be
	Log             *slog.Logger
}

// Open joins this server with others by a configuration that [Config.Check] finds right. It does not wait for brokers and peers, but for
// what this process itself has to start.
func Open(c Config, o Options) (*Backbone, error) {
	c = c.withDefaults()
	if o.Log == nil {
		o.Log = slog.Default()
	}
	switch {
	case c.Embedded:
		return c.openEmbedded(o)
	case len(c.NATS.URLs) > 0:
		return c.openNATS(o)
	default:
		return c.openRedis(o)
	}
}

// maxPayload is how long a message of NATS may be so that one of a channel fits, with all that goes with it.
func maxPayload(data int) int { return min(max(8<<20, data+1<<20), 64<<20) }

func (c *Config) openEmbedded(o Options) (*Backbone, error) {
	given := c.embedded(filepath.Join(o.Dir, "cluster"), o.Log)
	given.NoSync, given.MaxPayload = o.NoSync, maxPayload(o.MaxMessageBytes)
	s, err := embedded.Start(context.Background(), given)
	if err != nil {
		return nil, err
	}
	conn, err := s.Connect(append(natsbus.ConnectOptions(), tellErrors(o.Log))...)
	if err != nil {
		s.Stop()
		return nil, err
	}
	b, err := c.onNATS(conn, s.Replicas(), o)
	if err != nil {
		conn.Close()
		s.Stop()
		return nil, err
	}
	of := b.Err
	b.Err = func() error {
		if err := s.Err(); err != nil {
			return err
		}
		return of()
	}
	b.Behind = s.Behind
	b.Close = func() {
		conn.Close()
		s.Stop()
	}
	return b, nil
}

func (c *Config) openNATS(o Options) (*Backbone, error) {
	options := append(natsbus.ConnectOptions(), nats.Name("baro "+c.Name), tellErrors(o.Log))
	n := &c.NATS
	if n.Credentials != "" {
		options = append(options, nats.UserCredentials(n.Credentials))
	}
	if n.User != "" {
		options = append(options, nats.UserInfo(n.User, n.Password))
	}
	if n.TLS.Given() {
		secure, err := n.TLS.Client()
		if err != nil {
			return nil, err
		}
		options = append(options, nats.Secure(secure))
	}
	conn, err := nats.Connect(strings.Join(n.URLs, ","), options...)
	if err != nil {
		return nil, fmt.Errorf("NATS: %w", err)
	}
	b, err := c.onNATS(conn, max(1, c.Replicas), o)
	if err != nil {
		conn.Close()
		return nil, err
	}
	b.Close = conn.Close
	return b, nil
}

// patience is how long a message may take to be kept: longer than servers of NATS take to find another leader, 4 to 9 seconds, so that
// publishers wait through its death.
const patience = 12 * time.Second

// kept is what is kept in JetStream.
type kept struct {
	*natsbroker.Broker
	shelf *natsbus.Shelf
}

// onNATS is what a connection to NATS gives.
func (c *Config) onNATS(conn *nats.Conn, replicas int, o Options) (*Backbone, error) {
	bus, err := natsbus.New(conn, natsbus.Options{Prefix: c.Name})
	if err != nil {
		return nil, err
	}
	broker := openLater(o.Log, func(ctx context.Context) (kept, error) {
		b, err := natsbroker.Open(ctx, conn, &natsbroker.Options{Prefix: c.Name, Replicas: replicas, Timeout: patience, Logger: o.Log})
		if err != nil {
			return kept{}, err
		}
		shelf, err := natsbus.NewShelf(ctx, conn, natsbus.ShelfOptions{Prefix: c.Name, Replicas: replicas, Now: b.Now})
		if err != nil {
			_ = b.Close()
			return kept{}, err
		}
		return kept{b, shelf}, nil
	})
	return &Backbone{
		Broker: broker, Bus: bus, Shelf: shelf{broker}, Err: broker.Err,
		Message: func(err error) bool {
			return errors.Is(err, natsbroker.ErrTooLarge) || errors.Is(err, natsbroker.ErrClosed)
		},
		Stats: func() Stats {
			b := broker.broker.Load()
			if b == nil {
				return Stats{}
			}
			s := b.Stats()
			return Stats{Heard: s.Heard, Gaps: s.Gaps, Lost: s.Lost, Foreign: s.Foreign, Waiting: s.WaitingBytes}
		},
	}, nil
}

// shelf is one in JetStream, when that is there.
type shelf struct{ *later[kept] }

func (s shelf) of() (*natsbus.Shelf, error) {
	if b := s.broker.Load(); b != nil {
		return b.shelf, nil
	}
	return nil, s.err()
}

// Put implements [cluster.Shelf], as do those below.
func (s shelf) Put(ctx context.Context, name, key string, value []byte, ttl time.Duration) error {
	on, err := s.of()
	if err != nil {
		return err
	}
	return on.Put(ctx, name, key, value, ttl)
}

// List gives what is on a shelf.
func (s shelf) List(ctx context.Context, name string) (map[string][]byte, error) {
	on, err := s.of()
	if err != nil {
		return nil, err
	}
	return on.List(ctx, name)
}

// Take takes something from it.
func (s shelf) Take(ctx context.Context, name, key string) ([]byte, bool, error) {
	on, err := s.of()
	if err != nil {
		return nil, false, err
	}
	return on.Take(ctx, name, key)
}

func (c *Config) openRedis(o Options) (*Backbone, error) {
	r, err := c.Redis.options()
	if err != nil {
		return nil, err
	}
	bus, err := redisbus.Open(r, redisbus.Options{Prefix: c.Name + ":", Logger: o.Log})
	if err != nil {
		return nil, err
	}
	broker, err := redisbroker.Open(r, &redisbroker.Options{
		Prefix: c.Name + ":", MaxMessageBytes: max(16<<20, o.MaxMessageBytes+1<<20), Replicas: c.Replicas, Logger: o.Log,
	})
	if err != nil {
		_ = bus.Close()
		return nil, err
	}
	return &Backbone{
		Broker: broker, Bus: bus, Shelf: bus, Err: broker.Err,
		Message: func(err error) bool {
			return errors.Is(err, redisbroker.ErrTooLarge) || errors.Is(err, redisbroker.ErrNewer) || errors.Is(err, redisbroker.ErrClosed)
		},
		Stats: func() Stats {
			s := broker.Stats()
			return Stats{Heard: s.Heard, Gaps: s.Filled, Lost: s.Lost, Foreign: s.Poisoned + bus.Skipped(), Waiting: s.Queued}
		},
	}, nil
}
