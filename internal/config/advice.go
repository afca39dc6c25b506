package config

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"baro.dev/internal/clients"
)

// Advice says what is right in a configuration that was loaded, but unwise, and where.
func (c *Config) Advice(flags *pflag.FlagSet) []string {
	a := advice{Config: c, settings: c.Settings(flags)}
	a.exposed()
	a.rules()
	a.tokens()
	a.webhooks()
	a.cluster()
	a.certificate()
	a.readable()
	return a.list
}

type advice struct {
	*Config
	settings []Setting
	list     []string
}

// say says something of a key.
func (a *advice) say(key, format string, args ...any) {
	at := key
	i := slices.IndexFunc(a.settings, func(s Setting) bool { return s.Key == key })
	if i >= 0 {
		switch s := a.settings[i]; s.From {
		case FromFile:
			at = s.At + ": " + key
		case FromFlag, FromEnvironment:
			at = s.Origin.String()
		}
	}
	a.list = append(a.list, at+": "+fmt.Sprintf(format, args...))
}

// exposed is about what others than those meant can reach.
func (a *advice) exposed() {
	s := &a.Server
	if s.Dev && !isLoopback(s.Listen) {
		a.say("dev", "whoever reaches %s may do everything, without a token; on one's own machine listen on 127.0.0.1", s.Listen)
	}
	if s.AdminListen != "" && s.Pprof && !isLoopback(s.AdminListen) {
		a.say("admin_listen", "whoever reaches %s sees metrics and profiles; listen on 127.0.0.1, or keep others out", s.AdminListen)
	}
	for _, proxy := range s.TrustedProxies {
		if network, err := netip.ParsePrefix(proxy); err == nil && network.Bits() == 0 {
			a.say("trusted_proxy", "%s is everybody: whoever comes may say which address they have", proxy)
		}
	}
	if s.Data != "" && s.NoSync {
		a.say("no_sync", "a power loss loses what was acknowledged last")
	}
}

func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

func (a *advice) rules() {
	for i, r := range a.file.Channels {
		key := fmt.Sprintf("channels[%d]", i)
		if a.Server.Anonymous && clients.Who(r.Access.Publish) == clients.Anyone {
			bound := ""
			if r.PublishRate == 0 {
				bound = ", as fast as they like (publish_rate)"
			}
			a.say(key+".access.publish", "anyone may publish to %s, without a token%s", r.Pattern, bound)
		}
		for j, before := range a.file.Channels[:i] {
			covers := before.Pattern.String() == "**" && !strings.HasPrefix(r.Pattern.String(), "@")
			if covers || before.Pattern.String() == r.Pattern.String() {
				a.say(key+".pattern", "the rule never holds: channels[%d] comes first, and matches all that it does", j)
				break
			}
		}
	}
}

// cluster is about what joins servers.
func (a *advice) cluster() {
	k := &a.Server.Cluster
	if k.Embedded && len(k.Peers) == 2 {
		a.say("cluster_peers", "a cluster of two stands still when either of them is gone; take three, or one")
	}
	if k.Embedded && len(k.Peers) > 1 && (k.Replicas == 1 || k.Replicas == 0 && len(k.Peers) < 3) {
		a.say("cluster_replicas", "each message is on one node, and cannot be had while that is gone")
	}
	local := !slices.ContainsFunc(k.Peers, func(peer string) bool {
		return !isLoopback(peer) && !isLoopback(net.JoinHostPort(peer, "0"))
	})
	if k.Embedded && !local && !k.TLS.Given() {
		a.say("cluster_peers", "whoever is between the nodes can read what they tell each other; cluster_cert has them encrypt it")
	}
	for _, s := range a.settings {
		if (s.Key == "nats" || s.Key == "redis") && s.From == FromFlag && strings.Contains(s.Value, "REDACTED") {
			a.say(s.Key, "others on this machine can read the password on the command line; %s_password_file names a file", s.Key)
		}
	}
}

func (a *advice) tokens() {
	if a.file.Auth != nil && a.file.Auth.AllowNoExpiry {
		a.say("auth.allow_no_expiry", "a token without exp that is stolen is good for ever")
	}
}

func (a *advice) webhooks() {
	plain := func(key, text string) {
		u, err := url.Parse(text)
		if err == nil && u.Scheme == "http" && !isLoopback(net.JoinHostPort(u.Hostname(), "80")) {
			a.say(key, "what is sent over http can be read on its way; take https")
		}
	}
	w := &a.file.Webhooks
	for i := range w.Endpoints {
		plain(fmt.Sprintf("webhooks.endpoints[%d].url", i), w.Endpoints[i].URL)
	}
	for name, q := range map[string]*Question{"connect": w.Questions.Connect, "rpc": w.Questions.RPC} {
		if q != nil {
			plain("webhooks.questions."+name+".url", q.URL)
		}
	}
}

// soon is how long before its end a certificate should have been replaced.
const soon = 14 * 24 * time.Hour

func (a *advice) certificate() {
	cert, err := tls.LoadX509KeyPair(a.Server.TLSCert, a.Server.TLSKey)
	if err != nil || cert.Leaf == nil {
		return // there is none, or [server.Config.Check] says what is wrong
	}
	switch end := cert.Leaf.NotAfter; {
	case time.Now().After(end):
		a.say("tls.cert", "the certificate has expired on %s", end.Format(time.DateOnly))
	case time.Until(end) < soon:
		a.say("tls.cert", "the certificate expires on %s", end.Format(time.DateOnly))
	}
}

// readable is about secrets in files that everybody on the machine can read. Each is told once.
func (a *advice) readable() {
	var told []string
	for _, s := range a.settings {
		file := s.File // that a variable names
		switch {
		case s.described == nil: // it is a variable
		case !s.described.Secret || s.Value == "" || s.described.Kind == KindMap:
			continue
		case s.described.Kind == KindFile:
			file, _ = s.JSON().(string)
		case s.From == FromFile:
			file = s.At[:strings.LastIndexByte(s.At, ':')]
		}
		info, err := os.Stat(file)
		if err != nil || runtime.GOOS == "windows" || info.Mode().Perm()&0o004 == 0 || slices.Contains(told, file) {
			continue
		}
		told = append(told, file)
		a.say(s.Key, "everybody on this machine can read %s: chmod 600", file)
	}
}
