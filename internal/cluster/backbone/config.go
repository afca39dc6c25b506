package backbone

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"baro.dev/internal/cluster/embedded"
	"baro.dev/internal/cluster/tlsfiles"
)

// Config is by what servers are joined; the zero Config: by nothing.
type Config struct {
	// Embedded has a NATS server in this process. Its Dir is "cluster" in the directory of messages.
	Embedded bool
	// Listen, Advertise, Peers, Secret, TLS, MaxMemory and MaxDisk are those of [embedded.Options].
	Listen, Advertise  string
	Peers              []string
	Secret             string
	TLS                tlsfiles.Files
	MaxMemory, MaxDisk int64

	NATS  NATS
	Redis Redis

	// Name is what everything of the cluster has before its name, so that several may share a broker. "baro".
	Name string
	// Replicas is how many servers of NATS keep what is published: see [embedded.Options]; of an external NATS 1 if it is not said. Of Redis it is how many
	// replicas have a message before it is acknowledged, beside the master: 0.
	Replicas int
	// Node is what people call this server. The host's name.
	Node string
}

// NATS is an external NATS, with JetStream.
type NATS struct {
	URLs           []string // nats://host:4222, tls://host:4222; several servers of one cluster. None: there is no such thing
	Credentials    string   // a file as nsc makes it
	User, Password string
	TLS            tlsfiles.Files
}

// Redis is an external Redis: one server, several with Sentinel, or a Redis Cluster.
type Redis struct {
	// URL is redis://HOST:PORT/DB for one server, redis+sentinel://HOST:PORT,HOST:PORT/MASTER/DB, or
	// redis+cluster://HOST:PORT,HOST:PORT; with rediss in place of redis for TLS. "": there is no such thing.
	URL              string
	User, Password   string
	SentinelPassword string
	TLS              tlsfiles.Files
}

// Given says whether there is a cluster.
func (c *Config) Given() bool { return c.Embedded || len(c.NATS.URLs) > 0 || c.Redis.URL != "" }

func (c Config) withDefaults() Config {
	if c.Name == "" {
		c.Name = "baro"
	}
	return c
}

// words are what a subject of NATS can have within.
var words = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// Check says what is wrong. dir is where messages are kept; "" for nowhere.
func (c Config) Check(dir string) error {
	c = c.withDefaults()
	var errs []error
	brokers := 0
	for _, given := range []bool{c.Embedded, len(c.NATS.URLs) > 0, c.Redis.URL != ""} {
		if given {
			brokers++
		}
	}
	if brokers > 1 {
		errs = append(errs, errors.New("cluster, nats and redis: there can be one of them"))
	}
	if !words.MatchString(c.Name) {
		errs = append(errs, fmt.Errorf("the name %q of the cluster: it must be 1 to 64 of A-Z, a-z, 0-9, - and _", c.Name))
	}
	if len(c.Node) > 255 {
		errs = append(errs, errors.New("the name of the node is longer than 255 bytes"))
	}
	switch {
	case brokers > 1:
	case c.Embedded && dir == "":
		errs = append(errs, errors.New("a cluster keeps what is published on the disk: say in which directory (data)"))
	case c.Embedded:
		errs = append(errs, c.embedded(dir, nil).Check())
	case len(c.NATS.URLs) > 0:
		errs = append(errs, external("NATS", dir), c.NATS.check(c.Replicas))
	case c.Redis.URL != "":
		_, err := c.Redis.options()
		errs = append(errs, external("Redis", dir), err)
	case len(c.Peers) > 0:
		errs = append(errs, errors.New("there are peers of a cluster, and no cluster: say cluster"))
	}
	return errors.Join(errs...)
}

// external says that messages are kept in one place.
func external(by, dir string) error {
	if dir == "" {
		return nil
	}
	return fmt.Errorf("with %s messages are kept there, and not in a directory of this machine: leave out data", by)
}

func (c *Config) embedded(dir string, log *slog.Logger) embedded.Options {
	return embedded.Options{
		Dir: dir, Name: c.Node, Cluster: c.Name, Listen: c.Listen, Advertise: c.Advertise, Peers: c.Peers, Replicas: c.Replicas, Secret: c.Secret,
		TLS: c.TLS, MaxMemory: c.MaxMemory, MaxDisk: c.MaxDisk, Log: log,
	}
}

func (n *NATS) check(replicas int) error {
	var errs []error
	for _, text := range n.URLs {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme) {
			errs = append(errs, fmt.Errorf("the URL %q of NATS: it must be nats://HOST:PORT, or tls://HOST:PORT", hide(text)))
		}
	}
	if n.Credentials != "" && n.User != "" {
		errs = append(errs, errors.New("NATS knows who comes by a file of credentials, or by a user: there can be one of them"))
	}
	if replicas < 0 || replicas > embedded.MaxReplicas {
		errs = append(errs, fmt.Errorf("%d replicas: there may be 1 to %d", replicas, embedded.MaxReplicas))
	}
	return errors.Join(append(errs, n.TLS.Check())...)
}

// hide is a URL without who comes.
func hide(text string) string {
	if at := strings.LastIndexByte(text, '@'); at >= 0 {
		scheme, _, ok := strings.Cut(text, "://")
		if ok {
			return scheme + "://…" + text[at:]
		}
		return "…" + text[at:]
	}
	return text
}
