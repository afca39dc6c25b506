package server

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"go.opentelemetry.io/otel/trace"

	"baro.dev/channel"
	"baro.dev/internal/auth"
	"baro.dev/internal/certificates"
	"baro.dev/internal/cluster/backbone"
	"baro.dev/internal/realip"
)

// Config is how a server is set up. A zero field means the default, which is given with it.
type Config struct {
	// Listen is the TCP address to serve on. ":8000".
	Listen string
	// AdminListen is the TCP address of a second listener, without TLS: the API, metrics, health and profiles. None.
	AdminListen string
	// AdminOptional has the server do without the second listener where something else has its address. It has an effect only
	// where nothing else is lost than that.
	AdminOptional bool
	// NoPublicAPI leaves the API to the second listener, which there has to be.
	NoPublicAPI bool
	// Pprof has profiles on the second listener.
	Pprof bool
	// TLSCert and TLSKey are PEM files; with them the server speaks TLS, HTTP/2 and, over UDP, HTTP/3. They are read anew when they change.
	TLSCert, TLSKey string
	// ACME has certificates issued instead. Its storage is "acme" in Data if it is not said.
	ACME certificates.ACME
	// TLSClients says which certificates clients show, and who that says they are. None.
	TLSClients certificates.Clients
	// MaxHandshakes is how many TLS handshakes may be under way at a time. 256.
	MaxHandshakes int
	// HTTP3 insists on HTTP/3, which needs TLS: [Server.Listen] fails if UDP cannot be had on the same port. Without it the
	// server speaks HTTP/3 if it can, and says so in the log if it cannot.
	HTTP3 bool
	// NoHTTP3 leaves out HTTP/3, and with it WebTransport.
	NoHTTP3 bool

	// AllowOrigins are the origins, beside the server's own, whose pages may use the server: "https://example.com". With
	// Dev, "*" allows all.
	AllowOrigins []string
	// Dev allows what is convenient on one's own machine and nowhere else.
	Dev bool
	// Anonymous lets clients in of whom nothing says who they are. Dev does, too.
	Anonymous bool
	// Auth is which tokens are accepted. Nil: none.
	Auth *auth.Config
	// Keys are the API keys of backends. Nil: none.
	Keys *auth.Keys
	// Webhooks say whom the server tells what happens, and whom it asks. Nobody.
	Webhooks Webhooks
	// Rules say how channels are kept, and who may do what in them; of several that match the first holds. What they do not say
	// only a token permits. With Dev another one follows for all channels, by which everybody may everything.
	Rules []Rule
	// Data is the directory that messages are kept in. "": they are kept in memory alone.
	Data string
	// NoSync does not wait for the disk: see [diskstore.Options].
	NoSync bool
	// Cluster is by what the server is joined with others; by nothing. With a cluster messages are kept there.
	Cluster backbone.Config
	// Backbone joins servers instead, where there is one already; the server closes it.
	Backbone *backbone.Backbone
	// NoConsole leaves out the page at /.
	NoConsole bool

	// Channels bounds what is kept: see [channel.Options] for the defaults.
	Channels channel.Options
	// MaxConnections is how many connections there may be, of TCP and QUIC together, and how many streams, waiting polls and
	// WebSockets, of which one connection of HTTP/2 or HTTP/3 carries many. 65,536.
	MaxConnections int
	// MaxConnectionsPerAddress is how many of either one address may have, or one network of 64 bits of IPv6; the connections of
	// trusted proxies have no bound. 0: no bound.
	MaxConnectionsPerAddress int
	// MaxConnectionsPerUser is how many clients there may be of one user, over all transports but polls. 0: no bound.
	MaxConnectionsPerUser int
	// ConnectRate is how many clients may begin in a second, in all: WebSockets, streams and sessions of Socket.IO; and ConnectBurst
	// how many at a time after a pause. 0: no bound; and ConnectRate.
	ConnectRate, ConnectBurst int
	// MessageRate is how many messages a second one connection may send, of WebSocket or Socket.IO, and ByteRate how many bytes of them,
	// in bursts of twice as many; who sends more is read more slowly. 0: no bound.
	MessageRate, ByteRate int
	// MaxChannelsPerConnection is to how many channels one client of /ws or Socket.IO may subscribe. 1000.
	MaxChannelsPerConnection int
	// TrustedProxies are the addresses and networks of the proxies whose word is taken for where a request comes from; and the words
	// loopback and private. Nobody.
	TrustedProxies []string
	// ProxyProtocol expects the header of the PROXY protocol, version 1 or 2, from trusted proxies.
	ProxyProtocol bool
	// QueueBytes is how many bytes may wait for a client that reads slowly, until it is cut. 1 MiB.
	QueueBytes int
	// MaxFailures is how many wrong API keys, and as many wrong tokens, are looked at from one public address in a minute; see
	// [auth.Attempts]. 100; negative: any number.
	MaxFailures int
	// MaxWait is how long a long poll may wait, and a call for its answer. 60 s.
	MaxWait time.Duration
	// Heartbeat is after how long a silent stream gives a sign of life. 25 s.
	Heartbeat time.Duration

	// HeaderTimeout is how long a client may take for a TLS handshake, and for the head of a request. 10 s.
	HeaderTimeout time.Duration
	// MaxHeaderBytes is how long the head of a request may be. 16 KiB.
	MaxHeaderBytes int
	// BodyTimeout is how long a client may take for the body of a request. 30 s.
	BodyTimeout time.Duration
	// WriteTimeout is how long a client may take to accept an answer, or 64 KiB of a stream; and to acknowledge what was sent to
	// it, where the system can tell (Linux), or it has lost the network. 20 s.
	WriteTimeout time.Duration
	// IdleTimeout is how long a connection may wait for its next request. 2 min.
	IdleTimeout time.Duration
	// DrainDelay is how long a server that is to stop serves on as ever, while it says that it is not ready. None.
	DrainDelay time.Duration
	// DrainWindow is over what time its clients are then told to go, evenly; a hundred a second at least. 10 s; negative: at once.
	DrainWindow time.Duration
	// ReconnectWindow is over what time the clients of a server that stops are told to spread their return. 5 s.
	ReconnectWindow time.Duration

	// Version is what the server says of itself to backends. "(devel)".
	Version string
	// Traces are where the server tells what takes how long. Nil: nowhere.
	Traces trace.TracerProvider
	// Log is where the server reports. [slog.Default].
	Log *slog.Logger
}

const defaultMaxConnections = 65_536

func (c Config) withDefaults() Config {
	setDefault(&c.Listen, ":8000")
	setDefault(&c.MaxConnections, defaultMaxConnections)
	setDefault(&c.MaxHandshakes, 256)
	setDefault(&c.ConnectBurst, c.ConnectRate)
	setDefault(&c.MaxChannelsPerConnection, 1000)
	setDefault(&c.QueueBytes, 1<<20)
	setDefault(&c.MaxFailures, 100)
	setDefault(&c.MaxWait, time.Minute)
	setDefault(&c.Heartbeat, 25*time.Second)
	setDefault(&c.HeaderTimeout, 10*time.Second)
	setDefault(&c.MaxHeaderBytes, 16<<10)
	setDefault(&c.BodyTimeout, 30*time.Second)
	setDefault(&c.WriteTimeout, 20*time.Second)
	setDefault(&c.IdleTimeout, 2*time.Minute)
	setDefault(&c.DrainWindow, 10*time.Second)
	setDefault(&c.ReconnectWindow, 5*time.Second)
	setDefault(&c.Channels.MaxMessageBytes, 256<<10)
	setDefault(&c.Version, "(devel)")
	if c.Log == nil {
		c.Log = slog.Default()
	}
	c.Anonymous = c.Anonymous || c.Dev
	return c
}

// attempts bounds wrong credentials; nil: nothing does.
func (c *Config) attempts() *auth.Attempts {
	if c.MaxFailures < 0 {
		return nil
	}
	return auth.NewAttempts(c.MaxFailures)
}

// Check says what is wrong with the configuration, as [New] would, and opens nothing but files of keys and certificates.
func (c Config) Check() error {
	p, err := c.prepare()
	if err == nil {
		p.close()
	}
	return err
}

// parts are what is made of a configuration without opening anything.
type parts struct {
	Config
	origins      *origins
	trusted      realip.Trusted
	certificates *certificates.Keeper // nil for none
	verifier     *auth.Verifier       // nil for none
	backends     *backends
}

func (p *parts) close() {
	if p.verifier != nil {
		p.verifier.Close()
	}
	if p.backends != nil {
		p.backends.closeNow()
	}
	if p.certificates != nil {
		p.certificates.Close()
	}
}

func (c Config) prepare() (p parts, err error) {
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	p.Config = c.withDefaults()
	// All mistakes are told at once, but for those that follow from others.
	errs := []error{p.validate()}
	p.origins, err = newOrigins(p.AllowOrigins, p.Dev)
	errs = append(errs, err)
	if p.trusted, err = realip.Parse(p.TrustedProxies); err != nil {
		errs = append(errs, fmt.Errorf("trusted proxy: %w", err))
	} else if p.ProxyProtocol && p.trusted.Empty() {
		errs = append(errs, errNoProxy)
	}
	settings, _ := split(p.rules())
	errs = append(errs, channel.ValidateRules(settings), p.Cluster.Check(p.Data))
	if err := errors.Join(errs...); err != nil {
		return p, err
	}
	if p.certificates, err = p.newCertificates(); err != nil {
		return p, err
	}
	if p.Auth == nil && p.Webhooks.Connect == nil && !p.Anonymous && !p.knowsCertificates() {
		return p, errNobody
	}
	if p.Auth != nil {
		a := *p.Auth
		a.Log = p.Log
		if p.verifier, err = auth.New(a); err != nil {
			return p, err
		}
	}
	p.backends, err = newBackends(&p.Config)
	return p, err
}

var errNoProxy = errors.New("the PROXY protocol is expected of trusted proxies, and there are none: say which")

var errNobody = errors.New("nobody could use the server: say which tokens it accepts, or whom it asks (connect), let clients in without one (anonymous), or set dev on your own machine")

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func (c *Config) validate() error {
	var errs []error
	errs = append(errs, c.validateTLS(), c.validateHTTP3(), validateAddress("listen", c.Listen))
	if c.AdminListen != "" {
		errs = append(errs, validateAddress("admin_listen", c.AdminListen))
	}
	if c.NoPublicAPI && c.AdminListen == "" {
		errs = append(errs, errors.New("the API would be nowhere: no-public-api leaves it to the second listener, and admin-listen says that there is none"))
	}
	positive := []struct {
		name string
		ok   bool
	}{
		{"history.bytes", c.Channels.HistoryBytes >= 0},
		{"history.age", c.Channels.HistoryAge >= 0},
		{"max_channels", c.Channels.MaxChannels >= 0},
		{"max_bytes", c.Channels.MaxBytes >= 0},
		{"max_message_bytes", c.Channels.MaxMessageBytes > 0},
		{"max_connections", c.MaxConnections > 0},
		{"max_handshakes", c.MaxHandshakes > 0},
		{"max_connections_per_address", c.MaxConnectionsPerAddress >= 0},
		{"max_connections_per_user", c.MaxConnectionsPerUser >= 0},
		{"connect_rate", c.ConnectRate >= 0},
		{"connect_burst", c.ConnectBurst >= 0},
		{"message_rate", c.MessageRate >= 0},
		{"byte_rate", c.ByteRate >= 0},
		{"max_channels_per_connection", c.MaxChannelsPerConnection > 0},
		{"queue_bytes", c.QueueBytes > 0},
		{"max_wait", c.MaxWait > 0},
		{"heartbeat", c.Heartbeat > 0},
		{"the header timeout", c.HeaderTimeout > 0},
		{"the header bytes", c.MaxHeaderBytes > 0},
		{"the body timeout", c.BodyTimeout > 0},
		{"write_timeout", c.WriteTimeout > 0},
		{"the idle timeout", c.IdleTimeout > 0},
		{"drain_delay", c.DrainDelay >= 0},
		{"reconnect_window", c.ReconnectWindow > 0},
	}
	for _, p := range positive {
		if !p.ok {
			errs = append(errs, fmt.Errorf("%s must not be negative", p.name))
		}
	}
	return errors.Join(errs...)
}

// validateAddress looks at the form of an address, and not whether this machine has it.
func validateAddress(key, address string) error {
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	if err != nil {
		return fmt.Errorf("%s %q: it must be HOST:PORT, or :PORT for all addresses of this machine", key, address)
	}
	return nil
}
