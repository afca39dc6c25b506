// Package target says where a command connects to, how, and as whom: flags that mean the same for each command that connects.
package target

import (
	"time"

	"github.com/spf13/pflag"
)

// Options are what the flags say. The zero value connects to whatever a URL says, as nobody.
type Options struct {
	Headers []string // "Name: value"
	Origin  string
	Cookies []string // "name=value"

	Basic     string // "name:password"
	Token     string
	TokenFile string

	CertificateFile string
	KeyFile         string
	CAFile          string
	Insecure        bool
	ServerName      string

	Proxy   string   // a URL, "none", or "" for that of the environment
	Resolve []string // "host:port:address"
	Unix    string

	Timeout time.Duration
}

// AddFlags has flags set the options.
func (o *Options) AddFlags(f *pflag.FlagSet) {
	f.StringArrayVarP(&o.Headers, "header", "H", nil, "`header` to send, as 'Name: value'; one with each flag")
	f.StringVar(&o.Origin, "origin", "", "the page's `origin` that a browser would send")
	f.StringArrayVar(&o.Cookies, "cookie", nil, "cookie to send, as `name=value`; one with each flag")
	f.StringVar(&o.Token, "token", "", "`token` to send as Authorization: Bearer; others on this machine can read a command line, so better BARO_TOKEN, or --token-file")
	f.StringVar(&o.TokenFile, "token-file", "", "`file` of the token; it is read again for each new connection")
	f.StringVar(&o.Basic, "basic", "", "`name:password` to send as Authorization: Basic; better BARO_BASIC")
	f.StringVar(&o.CertificateFile, "cert", "", "`file` of the client's certificate (PEM), for mutual TLS")
	f.StringVar(&o.KeyFile, "key", "", "`file` of its private key (PEM); if it is not in that of --cert")
	f.StringVar(&o.CAFile, "ca", "", "`file` of the authorities (PEM) to trust instead of the system's")
	f.BoolVarP(&o.Insecure, "insecure", "k", false, "take any certificate of the server: whoever is in between can read and change everything")
	f.StringVar(&o.ServerName, "server-name", "", "`name` that the certificate must have, and that TLS asks for, instead of the URL's")
	f.StringVar(&o.Proxy, "proxy", "", "`URL` of a proxy (http, https, socks5, socks5h), or none; otherwise HTTP_PROXY, HTTPS_PROXY and NO_PROXY decide")
	f.StringArrayVar(&o.Resolve, "resolve", nil, "connect to an address instead of what DNS says, as `host:port:address`")
	f.StringVar(&o.Unix, "unix", "", "connect to the socket at this `path`, whatever host the URL has")
	f.DurationVar(&o.Timeout, "connect-timeout", DefaultTimeout, "`how long` it may take to connect, to the end of the handshake")
}

// DefaultTimeout is how long connecting may take.
const DefaultTimeout = 20 * time.Second
