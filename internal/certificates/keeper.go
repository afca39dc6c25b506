package certificates

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"
)

// Config is where certificates come from. A zero field means what is said with it.
type Config struct {
	// Cert and Key are PEM files of the certificate that the server shows, with those between it and its root, and of its key.
	Cert, Key string
	// ACME is how to have certificates issued. There is either that, or files.
	ACME ACME
	// Clients says which certificates clients show. None.
	Clients Clients
	// MaxHandshakes is how many handshakes are under way at a time; another one waits for a moment, and is refused then. 256.
	MaxHandshakes int
	// Interval is how often files are looked at. 2 s.
	Interval time.Duration
	// Log is where is said which certificate is in use, and what is wrong. [slog.Default].
	Log *slog.Logger
}

const (
	// expiresSoon is how long before its expiry a certificate is warned of; one that is for less than three times that, when a third of
	// its time is left.
	expiresSoon = 14 * 24 * time.Hour
	// day is how often that is, and how often the key of session tickets changes.
	day = 24 * time.Hour
	// ticketKeys is how many such keys are good.
	ticketKeys = 3
)

// A Keeper has the certificates of a server. Make one with [New].
type Keeper struct {
	config     Config
	log        *slog.Logger
	own        source
	clients    *authorities // nil: clients are not asked for certificates
	handshakes *handshakes
	refused    func(reason, why string, who ...slog.Attr)
	base       *tls.Config // of handshakes in which clients are not asked for certificates
	tickets    [][32]byte  // of the goroutine that watches, once it runs

	closing chan struct{}
	close   func()
	running sync.WaitGroup
}

// Why handshakes are refused, in a word.
const (
	ReasonHandshakes = "handshakes"         // there are too many
	ReasonClient     = "client_certificate" // that of the client is not taken
)

// who is whose handshake it is. leaf is nil where the client has shown no certificate; its words are not to be trusted.
func who(c net.Conn, leaf *x509.Certificate) []slog.Attr {
	list := []slog.Attr{slog.String("remote", c.RemoteAddr().String())}
	if leaf != nil {
		list = append(list, slog.String("subject", clip(leaf.Subject.String())), slog.String("issuer", clip(leaf.Issuer.String())),
			slog.String("serial", leaf.SerialNumber.Text(16)))
	}
	return list
}

// source is where the server's own certificates come from.
type source interface {
	start(net.Addr) error
	certificate(*tls.ClientHelloInfo) (*tls.Certificate, error)
	leaves() []*x509.Certificate // that are in use
	look(force bool) error
	close()
}

// New reads the files, and says what is wrong with them. It begins nothing.
func New(config Config) (*Keeper, error) {
	if config.Log == nil {
		config.Log = slog.Default()
	}
	if config.Interval == 0 {
		config.Interval = 2 * time.Second
	}
	k := &Keeper{config: config, log: config.Log, closing: make(chan struct{})}
	k.refused = func(string, string, ...slog.Attr) {}
	k.close = sync.OnceFunc(func() { close(k.closing) })
	k.handshakes = newHandshakes(config.MaxHandshakes)
	var err error
	if len(config.ACME.Domains) > 0 {
		k.own, err = newIssued(config.ACME, config.Log)
	} else {
		k.own, err = newPair(config.Cert, config.Key, config.Log)
	}
	if err != nil {
		return nil, err
	}
	if k.clients, err = newAuthorities(config.Clients, config.Log); err != nil {
		return nil, err
	}
	k.base = &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: k.own.certificate,
	}
	k.renewTickets()
	return k, nil
}

// OnRefused has f hear of each handshake that is refused: why by [ReasonHandshakes] or [ReasonClient] and in words, and who it was. f must not
// block. Call it before there are handshakes.
func (k *Keeper) OnRefused(f func(reason, why string, who ...slog.Attr)) { k.refused = f }

// TLSConfig is for servers of HTTP, over TCP and over QUIC, where what speaks HTTP/3 names its own protocol. What it gives follows the files.
func (k *Keeper) TLSConfig() *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		NextProtos:         []string{"h2", "http/1.1"},
		GetConfigForClient: k.configFor,
		GetCertificate:     k.own.certificate, // some look whether there is one
	}
}

// configFor is the configuration of one handshake. All have the same keys of session tickets.
func (k *Keeper) configFor(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	if err := k.handshakes.enter(hello.Context()); err != nil {
		if errors.Is(err, ErrHandshakes) {
			k.refused(ReasonHandshakes, err.Error(), who(hello.Conn, nil)...)
		}
		return nil, err
	}
	switch {
	case isChallenge(hello) && len(k.config.ACME.Domains) > 0:
		c := k.base.Clone()
		c.NextProtos = hello.SupportedProtos // nothing but the handshake can come of it
		return c, nil
	case k.clients != nil:
		c := k.base.Clone()
		k.clients.ask(c, func(err error, leaf *x509.Certificate) {
			k.refused(ReasonClient, err.Error(), who(hello.Conn, leaf)...)
		})
		return c, nil
	}
	return k.base, nil
}

// Start begins to watch the files, or to have certificates issued for the address that the server listens on, and logs which there are. Call
// it once. The error is that the address for HTTP, if one is wanted, cannot be had.
func (k *Keeper) Start(address net.Addr) error {
	if err := k.own.start(address); err != nil {
		return err
	}
	k.warn()
	k.running.Go(k.watch)
	return nil
}

func (k *Keeper) watch() {
	tick := time.NewTicker(k.config.Interval)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-k.closing:
			return
		case <-tick.C:
		}
		_ = k.look(false) // the log has it
		if time.Since(last) >= day {
			last = time.Now()
			k.warn()
			k.renewTickets()
		}
	}
}

// Reload looks at the files at once. The error, which the log has too, says what is wrong with them; what was there before is in use still.
func (k *Keeper) Reload() error { return k.look(true) }

func (k *Keeper) look(force bool) error {
	err := k.own.look(force)
	if k.clients != nil {
		err = errors.Join(err, k.clients.look(force))
	}
	return err
}

// Close ends what [Keeper.Start] began, and waits for it. It may come more than once, and instead of Start.
func (k *Keeper) Close() {
	k.close()
	k.running.Wait()
	k.own.close()
}

// Expiry is when the first of the certificates in use expires; the zero time where there is none yet.
func (k *Keeper) Expiry() time.Time {
	var first time.Time
	for _, leaf := range k.own.leaves() {
		if first.IsZero() || leaf.NotAfter.Before(first) {
			first = leaf.NotAfter
		}
	}
	return first
}

// warn tells of what expires soon.
func (k *Keeper) warn() {
	for _, leaf := range k.own.leaves() {
		soon := min(expiresSoon, leaf.NotAfter.Sub(leaf.NotBefore)/3)
		switch left := time.Until(leaf.NotAfter); {
		case left <= 0:
			k.log.Error("TLS certificate has expired: clients refuse it", about(leaf)...)
		case left < soon:
			k.log.Warn("TLS certificate expires soon", append(about(leaf), "days", int(left/day))...)
		}
	}
	if k.clients != nil {
		k.clients.warn()
	}
}

// renewTickets has new session tickets made with another key, and forgets the oldest.
func (k *Keeper) renewTickets() {
	var key [32]byte
	_, _ = rand.Read(key[:]) // never fails
	k.tickets = slices.Insert(k.tickets, 0, key)
	k.tickets = k.tickets[:min(len(k.tickets), ticketKeys)]
	k.base.SetSessionTicketKeys(k.tickets)
}
