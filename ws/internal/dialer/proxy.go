package dialer

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
)

// proxy is a proxy's URL, checked.
type proxy struct {
	scheme  string // http, https, socks5 or socks5h
	host    string
	address string // host:port
	user    *url.Userinfo
}

// String names the proxy in errors, without its credentials.
func (p *proxy) String() string { return p.scheme + "://" + p.address }

// proxyFor returns nil for a direct connection.
func (c *Config) proxyFor(t *Target) (*proxy, error) {
	find := c.Proxy
	if find == nil {
		find = ProxyFromEnvironment
	}
	u := *t.URL
	u.User = nil // the server's credentials are not the proxy function's business
	found, err := find(&u)
	if err != nil || found == nil {
		return nil, err
	}
	return newProxy(found)
}

func newProxy(u *url.URL) (*proxy, error) {
	var port string
	switch u.Scheme {
	case "http":
		port = "80"
	case "https":
		port = "443"
	case "socks5", "socks5h":
		port = "1080"
	default:
		return nil, fmt.Errorf("scheme %q of the proxy is not one of http, https, socks5, socks5h", u.Scheme)
	}
	h, err := parseHost(u, port)
	if err != nil {
		// Not the cause: a URL put together by hand may have the password within its Host.
		return nil, errors.New("the URL of the proxy has no valid host and port")
	}
	return &proxy{scheme: u.Scheme, host: h.name, address: h.address(), user: u.User}, nil
}

// ProxyFromEnvironment is the default of Config.Proxy: HTTP_PROXY, HTTPS_PROXY and NO_PROXY by the rules, and the cache for
// the life of the process, of net/http; where the one for the URL's scheme is not set, ALL_PROXY, with NO_PROXY read alike.
// Names in lower case count, too. A loopback host is always reached directly.
func ProxyFromEnvironment(u *url.URL) (*url.URL, error) {
	if getenv(strings.ToUpper(u.Scheme)+"_PROXY") != "" {
		return http.ProxyFromEnvironment(&http.Request{URL: u})
	}
	all := getenv("ALL_PROXY")
	if all == "" || exempt(u, getenv("NO_PROXY")) {
		return nil, nil
	}
	if !strings.Contains(all, "://") {
		all = "http://" + all
	}
	p, err := url.Parse(all)
	if err != nil {
		return nil, errors.New("ALL_PROXY is not a URL") // not the cause: it would show the password
	}
	return p, nil
}

// getenv looks a name up in upper case, then in lower case, in the order of net/http.
func getenv(name string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return os.Getenv(strings.ToLower(name))
}

// exempt is what net/http does with NO_PROXY, which it offers to nobody else: a list of addresses, CIDR ranges and
// domains, with or without a port; a domain covers its subdomains, ".domain" and "*.domain" only those; "*" is everything.
func exempt(u *url.URL, noProxy string) bool {
	name, port := u.Hostname(), u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	ip, _ := netip.ParseAddr(name)
	ip = ip.Unmap()
	if name == "localhost" || ip.IsLoopback() {
		return true
	}
	for entry := range strings.SplitSeq(strings.ToLower(noProxy), ",") {
		entry = strings.TrimSpace(entry)
		if entry == "*" {
			return true
		}
		if prefix, err := netip.ParsePrefix(entry); err == nil {
			if prefix.Contains(ip) {
				return true
			}
			continue
		}
		if h, p, err := net.SplitHostPort(entry); err == nil {
			if p != "" && p != port {
				continue
			}
			entry = h
		}
		if addr, err := netip.ParseAddr(entry); err == nil {
			if addr.Unmap() == ip {
				return true
			}
			continue
		}
		if strings.HasPrefix(entry, "*.") {
			entry = entry[1:]
		}
		if entry != "" && !ip.IsValid() && covers(entry, name) {
			return true
		}
	}
	return false
}

func covers(domain, name string) bool {
	if domain[0] == '.' {
		return strings.HasSuffix(name, domain)
	}
	return name == domain || strings.HasSuffix(name, "."+domain)
}
