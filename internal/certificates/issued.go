package certificates

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"
	"go.uber.org/zap"
)

const (
	// unreachable and refused are the longest pauses after a directory could not be reached, and after it has refused. What it
	// refuses it counts: Let's Encrypt takes five failures an hour for a name.
	unreachable = 5 * time.Minute
	refused     = time.Hour
	// firstRefused is the shortest pause after it has refused.
	firstRefused = 2 * time.Minute
)

// issued are certificates that an authority issues, one for each domain.
type issued struct {
	config ACME
	log    *slog.Logger
	roots  *x509.CertPool

	ctx     context.Context // done when closed
	cancel  context.CancelFunc
	running sync.WaitGroup
	cache   *certmagic.Cache // these four are nil until it starts
	manager *certmagic.Config
	issuer  *certmagic.ACMEIssuer
	http    *http.Server
	stop    func()

	mu   sync.Mutex
	told map[string][]byte // the certificates that the log has, by domain
}

func newIssued(config ACME, log *slog.Logger) (*issued, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	roots, err := config.directoryRoots()
	if err != nil {
		return nil, err
	}
	if config.Retry == 0 {
		config.Retry = 5 * time.Second
	}
	config.Domains = slices.Clone(config.Domains)
	for i, name := range config.Domains {
		config.Domains[i] = strings.ToLower(name)
	}
	i := &issued{config: config, log: log, roots: roots, told: map[string][]byte{}, stop: func() {}}
	i.ctx, i.cancel = context.WithCancel(context.Background())
	return i, nil
}

// start has certificates issued that are to be shown at address.
func (i *issued) start(address net.Addr) error {
	logger := zap.New(zapCore{i.log})
	var manager *certmagic.Config
	i.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert:   func(certmagic.Certificate) (*certmagic.Config, error) { return manager, nil },
		RenewCheckInterval: i.config.Check,
		Logger:             logger,
	})
	i.stop = sync.OnceFunc(i.cache.Stop)
	manager = certmagic.New(i.cache, certmagic.Config{
		Storage:           &certmagic.FileStorage{Path: i.config.Storage},
		DefaultServerName: i.config.Domains[0], // for clients that name none
		OnEvent:           i.event,
		Logger:            logger,
	})
	plain, err := i.listenHTTP()
	if err != nil {
		i.stop()
		return err
	}
	i.issuer = certmagic.NewACMEIssuer(manager, i.template(address, plain, logger))
	manager.Issuers = []certmagic.Issuer{i.issuer}
	i.manager = manager
	i.serveHTTP(plain, address)
	for _, name := range i.config.Domains {
		i.running.Go(func() { i.manage(name) })
	}
	return nil
}

// template says how challenges are answered: by the listeners that there are.
func (i *issued) template(address net.Addr, plain net.Listener, logger *zap.Logger) certmagic.ACMEIssuer {
	a := certmagic.ACMEIssuer{
		CA:                   i.config.Directory,
		Email:                i.config.Email + " ", // trimmed; if it is empty, a terminal is asked
		Agreed:               true,
		TrustedRoots:         i.roots,
		DisableHTTPChallenge: plain == nil,
		Logger:               logger,
	}
	if tcp, ok := address.(*net.TCPAddr); ok {
		a.AltTLSALPNPort = tcp.Port
		if !tcp.IP.IsUnspecified() {
			a.ListenHost = tcp.IP.String()
		}
	}
	if plain != nil {
		if tcp, ok := plain.Addr().(*net.TCPAddr); ok {
			a.AltHTTPPort = tcp.Port
		}
	}
	return a
}

// manage sees to it that there is a certificate for a name; once there is one, certmagic renews it.
func (i *issued) manage(name string) {
	for tries := 0; ; tries++ {
		err := i.manager.ManageSync(i.ctx, []string{name})
		if err == nil {
			_ = i.look(false)
			return
		}
		if i.ctx.Err() != nil {
			return
		}
		pause := i.pause(err, tries)
		i.log.Error(i.without(name), "domain", name, "error", plain(err), "again_in", pause.String())
		select {
		case <-time.After(pause):
		case <-i.ctx.Done():
			return
		}
	}
}

func (i *issued) without(name string) string {
	if len(i.of(name)) > 0 {
		return "TLS certificate not renewed"
	}
	return "no TLS certificate yet: clients of this domain are refused"
}

func (i *issued) pause(err error, tries int) time.Duration {
	first, longest := i.config.Retry, unreachable
	if _, ok := errors.AsType[acme.Problem](err); ok {
		first, longest = max(first, firstRefused), refused
	}
	return min(first<<min(tries, 20), longest)
}

// plain is what is wrong, on one line and without what the libraries put before it.
func plain(err error) string {
	if p, ok := errors.AsType[acme.Problem](err); ok {
		return clip(strings.Join(strings.Fields("the directory refuses: "+p.Error()), " "))
	}
	if away, ok := errors.AsType[*url.Error](err); ok {
		return clip("the directory cannot be reached: " + away.Error())
	}
	return clip(strings.Join(strings.Fields(err.Error()), " "))
}

// event hears of renewals that fail: everything else is told elsewhere.
func (i *issued) event(_ context.Context, event string, data map[string]any) error {
	err, _ := data["error"].(error)
	if renewal, _ := data["renewal"].(bool); event == "cert_failed" && renewal && err != nil && i.ctx.Err() == nil {
		i.log.Error("TLS certificate not renewed", "domain", data["identifier"], "error", plain(err))
	}
	return nil
}

// certificate is that of the name that the client wants, or the answer to a challenge.
func (i *issued) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if i.manager == nil {
		return nil, errors.New("there is no certificate yet")
	}
	return i.manager.GetCertificate(hello)
}

// look tells of new certificates. What is in storage certmagic looks at.
func (i *issued) look(bool) error {
	if i.cache == nil {
		return nil
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, name := range i.config.Domains {
		for _, leaf := range i.of(name) {
			if was := i.told[name]; was == nil {
				i.log.Info("TLS certificate", about(leaf)...)
			} else if !bytes.Equal(was, leaf.Raw) {
				i.log.Info("TLS certificate replaced", about(leaf)...)
			}
			i.told[name] = leaf.Raw
		}
	}
	return nil
}

func (i *issued) leaves() []*x509.Certificate {
	var list []*x509.Certificate
	for _, name := range i.config.Domains {
		list = append(list, i.of(name)...)
	}
	return list
}

// of gives the certificate of a name, if there is one.
func (i *issued) of(name string) []*x509.Certificate {
	if i.cache == nil {
		return nil
	}
	var newest *x509.Certificate
	for _, c := range i.cache.AllMatchingCertificates(name) {
		if newest == nil || c.Leaf.NotAfter.After(newest.NotAfter) {
			newest = c.Leaf
		}
	}
	if newest == nil {
		return nil
	}
	return []*x509.Certificate{newest}
}

func (i *issued) close() {
	i.cancel()
	i.closeHTTP()
	i.running.Wait()
	i.stop()
}

// isChallenge says whether an authority looks whether the domain is ours (RFC 8737 section 3).
func isChallenge(hello *tls.ClientHelloInfo) bool {
	return len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == acmez.ACMETLS1Protocol
}
