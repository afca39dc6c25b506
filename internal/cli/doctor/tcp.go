package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"baro.dev/internal/cli/target"
	"baro.dev/internal/neterr"
)

// Connections is the data of the check tcp.
type Connections struct {
	Addresses  []Address   `json:"addresses"`
	RoundTrips *RoundTrips `json:"round_trips,omitempty"` // of connecting to the fastest
}

// Address is a place that was connected to.
type Address struct {
	Address string   `json:"address"`
	Took    Duration `json:"took_ms"`
	Error   string   `json:"error,omitempty"` // why not

	err error
}

const (
	maxAddresses = 16 // that are connected to
	samples      = 5  // of a round trip
)

// checkTCP connects to each address there is, at once, and to the fastest a few times more.
func checkTCP(ctx context.Context, e *examination) Result {
	if e.unix || e.via != nil {
		return checkWay(ctx, e)
	}
	places, err := e.places(ctx)
	if err != nil {
		return unreachable(nil, "", "%v", err)
	}
	data := &Connections{Addresses: make([]Address, len(places))}
	var all sync.WaitGroup
	for i, place := range places {
		all.Go(func() { data.Addresses[i] = e.dial(ctx, place) })
	}
	all.Wait()
	works := slices.Clone(data.Addresses)
	works = slices.DeleteFunc(works, func(a Address) bool { return a.err != nil })
	if len(works) == 0 {
		err := data.Addresses[0].err
		return unreachable(data, connectAdvice(err), "%s: %s", strings.Join(shorten(places, 4), ", "), connectError(ctx, err))
	}
	best := slices.MinFunc(works, func(a, b Address) int { return cmp.Compare(a.Took, b.Took) })
	times := []time.Duration{time.Duration(best.Took)}
	for len(times) < samples {
		again := e.dial(ctx, best.Address)
		if again.err != nil {
			break
		}
		times = append(times, time.Duration(again.Took))
	}
	data.RoundTrips = roundTrips(times)
	return judgeTCP(ctx, data, len(works))
}

// judgeTCP says what it means that some addresses work and others may not.
func judgeTCP(ctx context.Context, data *Connections, works int) Result {
	var lines, missing []string
	for _, a := range data.Addresses {
		switch {
		case a.err == nil:
			lines = append(lines, fmt.Sprintf("%s in %s", a.Address, a.Took))
		case errors.Is(a.err, syscall.ENETUNREACH) || errors.Is(a.err, neterr.ErrNotAvailable):
			lines = append(lines, a.Address+" not tried: this machine has no way to it")
		default:
			missing = append(missing, a.Address)
			lines = append(lines, a.Address+": "+connectError(ctx, a.err))
		}
	}
	detail := strings.Join(shorten(lines, 6), "; ")
	if len(missing) == 0 {
		if works > 1 || data.RoundTrips.Samples < 2 {
			return ok(data, "%s", detail)
		}
		return ok(data, "%s; min/median/max %s", data.Addresses[0].Address, data.RoundTrips)
	}
	return warn(data, "Browsers try the next address after 250 ms (happy eyeballs, RFC 8305); other clients wait for each to time out. Let "+
		strings.Join(missing, " and ")+" be reached, or take it out of the DNS.", "%s", detail)
}

// checkWay connects where no address of the server's is known: to a Unix socket, or through a proxy.
func checkWay(ctx context.Context, e *examination) Result {
	data := new(Connections)
	name := "the Unix socket"
	if e.via != nil {
		name = "through the proxy " + e.via.Host
	}
	start := time.Now()
	conn, err := e.connect(ctx)
	a := Address{Address: name, Took: Duration(time.Since(start)), err: err}
	if err != nil {
		a.Error = connectError(ctx, err)
		data.Addresses = []Address{a}
		advice := connectAdvice(err)
		if target.WantsCredentials(err) {
			return refused(data, "Say them: --proxy http://NAME:PASSWORD@HOST:PORT, or HTTP_PROXY and HTTPS_PROXY.", "%s, which wants a name and password: %s", name, a.Error)
		}
		if e.via != nil {
			advice = "The proxy comes from --proxy or the environment (HTTPS_PROXY, HTTP_PROXY); --proxy none goes without."
		}
		return unreachable(data, advice, "%s: %s", name, a.Error)
	}
	conn.Close()
	data.Addresses = []Address{a}
	return ok(data, "%s in %s", name, a.Took)
}

// places are the addresses to connect to, with ports.
func (e *examination) places(ctx context.Context) ([]string, error) {
	at, _ := e.t.Address(e.hostPort())
	host, port, err := net.SplitHostPort(at)
	if err != nil {
		return nil, err
	}
	if isAddress(host) {
		return []string{at}, nil
	}
	var places []string
	for _, network := range []string{"ip4", "ip6"} {
		found, _ := e.o.Lookup(ctx, network, host)
		for _, ip := range found {
			places = append(places, netip.AddrPortFrom(ip.Unmap(), parsePort(port)).String())
		}
	}
	if len(places) == 0 {
		return nil, fmt.Errorf("%s has no address any more", host)
	}
	return places[:min(len(places), maxAddresses)], nil
}

func parsePort(s string) uint16 {
	n, _ := strconv.ParseUint(s, 10, 16)
	return uint16(n)
}

// itoa is strconv's, which is told often here.
func itoa(n int) string { return strconv.Itoa(n) }

func (e *examination) dial(ctx context.Context, place string) Address {
	start := time.Now()
	conn, err := e.t.DialContext(ctx, "tcp", place)
	a := Address{Address: place, Took: Duration(time.Since(start)), err: err}
	if err != nil {
		a.Error = connectError(ctx, err)
		return a
	}
	conn.Close()
	return a
}

// connectError says in short why there is no connection.
func connectError(ctx context.Context, err error) string {
	if n, isNet := errors.AsType[net.Error](err); isNet && n.Timeout() || ctx.Err() != nil {
		return "no answer"
	}
	if errors.Is(err, neterr.ErrRefused) {
		return "connection refused"
	}
	if op, isOp := errors.AsType[*net.OpError](err); isOp {
		return op.Err.Error()
	}
	return err.Error()
}

// connectAdvice says what can be done so that there is one.
func connectAdvice(err error) string {
	n, isNet := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, neterr.ErrRefused):
		return "Nothing listens there: is the server running, on this port, and on more than loopback (--listen)?"
	case isNet && n.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return "Packets vanish: a firewall, a security group, or the wrong address."
	case errors.Is(err, syscall.ENOENT):
		return "There is no such socket: is the server running, and the path right?"
	}
	return "The network between here and there has no way: routes, VPN, firewall."
}
