package embedded

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"baro.dev/internal/filelock"
)

// ErrStopped means that the server was stopped.
var ErrStopped = errors.New("the NATS server in this process has stopped")

// A Server is a NATS server in this process. Make it with [Start], and end it with [Server.Stop]. All methods may be called from any
// goroutine.
type Server struct {
	options Options
	given   *server.Options
	user    nkeys.KeyPair // whom the server lets in: this process
	nats    *server.Server
	addr    net.Addr // where it listens for the others; nil: it does not
	log     *slog.Logger
	lock    *os.File    // of the directory
	whole   atomic.Bool // see Behind
	cancel  context.CancelFunc
	work    sync.WaitGroup
	stop    sync.Once
	stopped chan struct{}
}

// startWithin is how long a server may take until it answers this process. What it has on the disk is read then.
const startWithin = 5 * time.Minute

// Start starts a server, and returns when this process can connect to it; its peers may be missing then, and with them a leader:
// see [Server.Err]. Ctx is for waiting alone.
func Start(ctx context.Context, o Options) (*Server, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	name, err := nameOf(o.Dir, o.Name)
	if err != nil {
		return nil, err
	}
	lock, err := filelock.Acquire(filepath.Join(o.Dir, "lock"))
	if held := (*filelock.HeldError)(nil); errors.As(err, &held) {
		return nil, fmt.Errorf("%s is in use by another process: %w", o.Dir, err)
	}
	if err != nil {
		return nil, err
	}
	s, err := start(ctx, o, name)
	if err != nil {
		_ = lock.Close()
		return nil, err
	}
	s.lock = lock
	return s, nil
}

func start(ctx context.Context, o Options, name string) (*Server, error) {
	user, err := nkeys.CreateUser()
	if err != nil {
		return nil, err
	}
	public, err := user.PublicKey()
	if err != nil {
		return nil, err
	}
	authority := o.TLS.Authority() // before it is read: it may be changed meanwhile
	given, err := o.nats(name, public)
	if err != nil {
		return nil, err
	}
	if err := listens(&given.Cluster); err != nil {
		return nil, err
	}
	n, err := server.NewServer(given)
	if err != nil {
		return nil, err
	}
	s := &Server{options: o, given: given.Clone(), user: user, nats: n, log: o.Log, stopped: make(chan struct{})}
	n.SetLoggerV2(&logger{log: o.Log}, o.Log.Enabled(ctx, slog.LevelDebug), false, false)
	alive, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	started := make(chan struct{})
	s.work.Go(func() {
		defer close(started)
		n.Start()
	})
	if err := s.waitStarted(ctx, started); err != nil {
		s.Stop()
		return nil, err
	}
	if len(o.Peers) > 0 {
		// What is reloaded has to name the ports that were found, which the server does not tell any more when it ends.
		at, own := n.ClusterAddr(), n.Addr()
		if at == nil || own == nil {
			s.Stop()
			return nil, ErrStopped
		}
		s.addr, s.given.Cluster.Port, s.given.Port = at, at.Port, own.(*net.TCPAddr).Port
		s.work.Go(func() { s.lookAround(alive, net.DefaultResolver, scene{authority: authority}) })
	}
	return s, nil
}

// waitStarted waits until the server answers, or has given up.
func (s *Server) waitStarted(ctx context.Context, started <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	select {
	case <-started:
	case <-ctx.Done():
		return fmt.Errorf("the NATS server in this process did not start: %w", ctx.Err())
	}
	for pause := time.Millisecond; !s.nats.ReadyForConnections(pause); pause = min(2*pause, time.Second) {
		switch {
		case !s.nats.Running():
			return errors.New("the NATS server in this process did not start: the log says why")
		case ctx.Err() != nil:
			return fmt.Errorf("the NATS server in this process did not start: %w", ctx.Err())
		}
	}
	if !s.nats.JetStreamEnabled() {
		return errors.New("the NATS server in this process did not start: JetStream cannot use its directory")
	}
	return nil
}

// listens says why nobody can listen on the address for the other nodes: NATS would tell the log, and go on without it.
func listens(c *server.ClusterOpts) error {
	if c.Port <= 0 {
		return nil
	}
	l, err := net.Listen("tcp", net.JoinHostPort(c.Host, strconv.Itoa(c.Port)))
	if err != nil {
		return fmt.Errorf("the address for the other nodes: %w", err)
	}
	return l.Close()
}

// nats is what NATS calls it. user is the only client.
func (o *Options) nats(name, user string) (*server.Options, error) {
	given := &server.Options{
		ServerName: name, NoSigs: true, DisableJetStreamBanner: true,
		// Routes want a listener for clients: nobody on this machine knows what to say to it.
		Host: "127.0.0.1", Port: server.RANDOM_PORT, Nkeys: []*server.NkeyUser{{Nkey: user}},
		LameDuckDuration: 2 * time.Second, LameDuckGracePeriod: time.Nanosecond,
		MaxPayload: int32(o.MaxPayload), MaxPending: 8 * int64(o.MaxPayload),
		JetStream: true, StoreDir: o.Dir, JetStreamMaxMemory: o.MaxMemory, JetStreamMaxStore: o.MaxDisk,
		SyncAlways:            !o.NoSync,
		ConnectErrorReports:   reportEvery,
		ReconnectErrorReports: reportEvery,
	}
	if len(o.Peers) == 0 {
		return given, nil
	}
	address, err := net.ResolveTCPAddr("tcp", o.Listen)
	if err != nil {
		return nil, err
	}
	cluster := &given.Cluster
	cluster.Name, cluster.Host, cluster.Port, cluster.Advertise = o.Cluster, "0.0.0.0", address.Port, o.Advertise
	if address.IP != nil {
		cluster.Host = address.IP.String()
	}
	if address.Port == 0 {
		cluster.Port = server.RANDOM_PORT
	}
	cluster.ConnectRetries = 120 // a second apart, so that who was cut off for long is back at once
	cluster.PingInterval, cluster.MaxPingsOut = 2*time.Second, 2
	cluster.Compression.Mode = server.CompressionOff
	if o.Secret != "" {
		cluster.Username, cluster.Password = o.Cluster, o.password()
	}
	if o.TLS.Given() {
		if cluster.TLSConfig, err = o.TLS.Mutual(); err != nil {
			return nil, err
		}
		cluster.TLSTimeout = 10
	}
	// Those who begin a cluster agree on how many they are: no two halves are to begin one each.
	for i := range max(len(o.Peers), o.Replicas) {
		route, err := o.route(o.Peers[i%len(o.Peers)])
		if err != nil {
			return nil, err
		}
		given.Routes = append(given.Routes, route)
	}
	return given, nil
}

// reportEvery is after how many attempts to reach a peer the log has another line; they are a second apart.
const reportEvery = 60

// password is of the secret, but is not it, and has no characters that mean something to NATS.
func (o *Options) password() string {
	sum := sha256.Sum256([]byte("baro cluster\x00" + o.Secret))
	return hex.EncodeToString(sum[:])
}

// route is a peer as NATS names it.
func (o *Options) route(peer string) (*url.URL, error) {
	host, port, err := splitPeer(peer)
	if err != nil {
		return nil, err
	}
	u := &url.URL{Scheme: "nats-route", Host: net.JoinHostPort(host, strconv.Itoa(port))}
	if o.Secret != "" {
		u.User = url.UserPassword(o.Cluster, o.password())
	}
	return u, nil
}

// Connect connects this process to the server, without a network between them.
func (s *Server) Connect(options ...nats.Option) (*nats.Conn, error) {
	public, err := s.user.PublicKey()
	if err != nil {
		return nil, err
	}
	return nats.Connect("", append(options, nats.InProcessServer(s.nats), nats.Nkey(public, s.user.Sign))...)
}

// Replicas is how many nodes are to keep what is published.
func (s *Server) Replicas() int { return s.options.Replicas }

// Name is the node's own, which it has for as long as its directory.
func (s *Server) Name() string { return s.nats.Name() }

// Addr is where the other nodes reach this one; nil: it is alone.
func (s *Server) Addr() net.Addr { return s.addr }

// Err says why the cluster keeps nothing at the moment; nil: it does.
func (s *Server) Err() error {
	if !s.nats.Running() {
		return ErrStopped
	}
	state, err := s.nats.Jsz(nil)
	switch {
	case err != nil:
		return err
	case state.Disabled:
		return errors.New("JetStream has stopped: the disk is full, or fails")
	case len(s.options.Peers) == 0:
		return nil
	case state.Meta == nil:
		return errors.New("JetStream has not begun yet")
	}
	if there := 1 + s.nats.NumRemotes(); there < state.Meta.QuorumNeeded { // known at once when one has died
		return fmt.Errorf("%d of %d nodes are there, and %d are needed", there, state.Meta.Size, state.Meta.QuorumNeeded)
	}
	there := 1
	for _, r := range state.Meta.Replicas {
		if !r.Offline && r.Peer != s.nats.NodeName() { // which it is itself where nobody leads
			there++
		}
	}
	if there < state.Meta.QuorumNeeded {
		return fmt.Errorf("%d of %d nodes are there, and %d are needed", there, state.Meta.Size, state.Meta.QuorumNeeded)
	}
	if state.Meta.Leader == "" {
		return fmt.Errorf("%d of %d nodes are there, which have no leader yet: a new cluster begins when all are", there, state.Meta.Size)
	}
	return nil
}

// Behind says what this node has not got yet of what it is to keep, since it was started; nil: it has had all of it. Until then it is as good
// as gone for those who elect a leader of that, should another node go.
func (s *Server) Behind() error {
	if len(s.options.Peers) == 0 || s.whole.Load() {
		return nil
	}
	if !s.nats.JetStreamIsCurrent() { // what streams there are: for Healthz that may be known in part, if more comes
		return errors.New("it does not know yet what there is to keep")
	}
	if health := s.nats.Healthz(nil); health.Error != "" {
		return errors.New(health.Error)
	}
	s.whole.Store(true)
	return nil
}

// Stop ends the server: it hands over what it leads, so that the others go on at once. It may come more than once.
func (s *Server) Stop() {
	s.stop.Do(func() {
		s.cancel()
		s.nats.LameDuckShutdown()
		s.nats.Shutdown()
		s.nats.WaitForShutdown()
		s.work.Wait()
		if s.lock != nil { // it was started
			_ = s.lock.Close()
		}
		close(s.stopped)
	})
	<-s.stopped
}
