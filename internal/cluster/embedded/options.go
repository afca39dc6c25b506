package embedded

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"

	"baro.dev/internal/cluster/tlsfiles"
)

// DefaultPort is what peers listen on that are named without a port.
const DefaultPort = 6222

// MaxReplicas is how many nodes can keep the same messages: JetStream has no more.
const MaxReplicas = 5

// Options are how a server is set up. What is zero means what is said with it.
type Options struct {
	// Dir is the directory that it keeps everything in, its own name too; needed. It is made if it is not there.
	Dir string
	// Name is what people call the node, another one for each. A new directory with it is that of the node of that name, which gets what it
	// had from the others, so that a disk can be lost. "": a new directory is a new node, and the cluster waits for the old one.
	Name string
	// Cluster names the cluster: those with another name do not join. "baro".
	Cluster string
	// Listen is the address for the other nodes. ":6222".
	Listen string
	// Advertise is the address by which they reach this one, if that is another; they tell each other of it.
	Advertise string
	// Peers are the addresses of the nodes that the cluster begins with, this one's too, HOST or HOST:PORT. A new cluster begins when
	// all of them are there: as many as are named here, or as there are Replicas if that is more, since a name may stand for
	// many. None: it is a cluster of one, which does not listen, and cannot be joined later.
	Peers []string
	// Replicas is how many nodes keep what is published. 1 for a cluster of up to two peers, otherwise 3.
	Replicas int
	// Secret is what the nodes know each other by. Needed, unless they are all on this machine.
	Secret string
	// TLS are the files that nodes show each other; they are read again when they have changed. None: they speak in the clear.
	TLS tlsfiles.Files
	// MaxMemory and MaxDisk are how many bytes JetStream may take. 256 MiB; three quarters of what is free.
	MaxMemory, MaxDisk int64
	// MaxPayload is how long one message may be. 8 MiB.
	MaxPayload int
	// NoSync leaves it to the system when what was written reaches the disk.
	NoSync bool
	// Log is where it reports. [slog.Default].
	Log *slog.Logger
}

func (o Options) withDefaults() Options {
	setDefault(&o.Cluster, "baro")
	setDefault(&o.Listen, ":"+strconv.Itoa(DefaultPort))
	setDefault(&o.MaxMemory, 256<<20)
	setDefault(&o.MaxPayload, 8<<20)
	if o.Replicas == 0 {
		o.Replicas = 1
		if len(o.Peers) >= 3 {
			o.Replicas = 3
		}
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return o
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// words are what a subject of NATS can have within.
var words = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// minSecretBytes is how long a secret is at least that nobody guesses.
const minSecretBytes = 16

// Check says what is wrong; the errors are for whoever set it up.
func (o Options) Check() error {
	o = o.withDefaults()
	var errs []error
	if o.Dir == "" {
		errs = append(errs, errors.New("a cluster needs a directory for what it keeps"))
	}
	if !words.MatchString(o.Cluster) {
		errs = append(errs, fmt.Errorf("the name %q of the cluster: it must be 1 to 64 of A-Z, a-z, 0-9, - and _", o.Cluster))
	}
	if _, err := net.ResolveTCPAddr("tcp", o.Listen); err != nil {
		errs = append(errs, fmt.Errorf("the address %q for the other nodes: it must be HOST:PORT, or :PORT", o.Listen))
	}
	for _, p := range o.Peers {
		if _, _, err := splitPeer(p); err != nil {
			errs = append(errs, fmt.Errorf("the peer %q: it must be HOST or HOST:PORT", p))
		}
	}
	if o.Replicas < 1 || o.Replicas > MaxReplicas || o.Replicas > 1 && len(o.Peers) == 0 {
		errs = append(errs, fmt.Errorf("%d replicas: there may be 1 to %d, and 1 without peers", o.Replicas, MaxReplicas))
	}
	if o.MaxMemory < 0 || o.MaxDisk < 0 || o.MaxPayload < 0 || o.MaxPayload > 64<<20 {
		errs = append(errs, errors.New("sizes of a cluster must not be negative, and a message not longer than 64 MiB"))
	}
	switch {
	case o.Secret != "" && len(o.Secret) < minSecretBytes:
		errs = append(errs, fmt.Errorf("the secret of the cluster has %d bytes: it needs %d", len(o.Secret), minSecretBytes))
	case o.Secret == "" && len(o.Peers) > 0 && !o.isLocal():
		errs = append(errs, errors.New("a cluster beyond one machine needs a secret, the same on all nodes: whoever reaches its port could join it"))
	}
	errs = append(errs, o.TLS.Check())
	return errors.Join(errs...)
}

// isLocal says whether all nodes are on this machine.
func (o *Options) isLocal() bool {
	return isLoopback(o.Listen) && !slices.ContainsFunc(o.Peers, func(p string) bool { return !isLoopback(p) })
}

func isLoopback(address string) bool {
	host, _, err := splitPeer(address)
	ip, notIP := netip.ParseAddr(host)
	return err == nil && (host == "localhost" || notIP == nil && ip.IsLoopback())
}

// splitPeer splits HOST or HOST:PORT.
func splitPeer(address string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		host, text, err = net.SplitHostPort(net.JoinHostPort(address, strconv.Itoa(DefaultPort)))
	}
	if err != nil {
		return "", 0, err
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err == nil && (n == 0 && host == "" || len(host) > 253 || regexp.MustCompile(`[^A-Za-z0-9.:%_-]`).MatchString(host)) {
		err = errors.New("it is no address")
	}
	return host, int(n), err
}
