package doctor

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Names is the data of the check dns.
type Names struct {
	IPv4 []netip.Addr `json:"ipv4"` // of A
	IPv6 []netip.Addr `json:"ipv6"` // of AAAA
}

// notNamed says why there is no name to look up.
func notNamed(e *examination) string {
	host := e.url.Hostname()
	switch {
	case e.unix:
		return "everything is at the end of a Unix socket"
	case e.via != nil:
		return "the proxy " + e.via.Host + " is asked to connect"
	case isAddress(host):
		return "the URL has an address, no name"
	}
	if at, _ := e.t.Address(e.hostPort()); at != e.hostPort() {
		return "--resolve says " + at
	}
	return ""
}

func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

const slowLookup = time.Second

// checkDNS looks up both kinds of addresses, as clients do.
func checkDNS(ctx context.Context, e *examination) Result {
	type answer struct {
		addresses []netip.Addr
		err       error
		took      time.Duration
	}
	host := e.url.Hostname()
	ask := func(network string) chan answer {
		c := make(chan answer, 1)
		go func() {
			start := time.Now()
			addresses, err := e.o.Lookup(ctx, network, host)
			for i := range addresses {
				addresses[i] = addresses[i].Unmap()
			}
			c <- answer{addresses, err, time.Since(start)}
		}()
		return c
	}
	a, aaaa := ask("ip4"), ask("ip6")
	v4, v6 := <-a, <-aaaa
	names := &Names{append([]netip.Addr{}, v4.addresses...), append([]netip.Addr{}, v6.addresses...)}
	if len(v4.addresses)+len(v6.addresses) == 0 {
		err := v4.err
		if err == nil {
			err = v6.err
		}
		if d, isDNS := errors.AsType[*net.DNSError](err); isDNS && d.IsNotFound {
			return unreachable(names, "Check the spelling, and whether the name has an A or AAAA record yet.", "there is no name %s", host)
		}
		return unreachable(names, "The resolver of this machine does not answer as it should: see /etc/resolv.conf, or try with --resolve.",
			"%s cannot be looked up: %v", host, err)
	}
	took := max(v4.took, v6.took)
	var all []string
	for _, ip := range slices.Concat(v4.addresses, v6.addresses) {
		all = append(all, ip.String())
	}
	found := strings.Join(shorten(all, 8), ", ")
	if took >= slowLookup {
		return warn(names, "Clients wait for that before they connect: look at the name servers of the domain, and at the resolver of this machine.",
			"%s, after %s", found, Duration(took))
	}
	return ok(names, "%s, in %s", found, Duration(took))
}

// shorten keeps the first n of a list, and says how many there are more.
func shorten(list []string, n int) []string {
	if len(list) <= n {
		return list
	}
	more := slices.Clone(list[:n])
	return append(more, "and "+itoa(len(list)-n)+" more")
}
