package auth

import (
	"errors"
	"net/netip"
	"sync"
	"time"
)

// What attempts are counted in.
const (
	attemptsWindow = time.Minute
	maxAddresses   = 10_000
)

// Attempts bounds how many wrong keys, or tokens, are looked at from one address a minute: beyond it none is, right or wrong.
// Whoever is elsewhere is not concerned. Addresses that are not of the public Internet are not counted: there proxies
// are, behind which all clients are one. IPv6 is counted by networks of 64 bits, which one customer has. Its memory is bounded: when
// there are too many addresses it begins anew. It may be used from any goroutine; a nil *Attempts bounds nothing.
type Attempts struct {
	most int

	mu     sync.Mutex
	since  time.Time // when counting began
	counts map[netip.Addr]int
}

// NewAttempts makes one that takes so many wrong ones a minute.
func NewAttempts(most int) *Attempts { return &Attempts{most: most, counts: map[netip.Addr]int{}} }

// Try has credentials from an address, with or without a port, checked, unless too many from there were wrong. The error is
// that of check, or an [*Error] of the kind ErrTooMany.
func (a *Attempts) Try(remote string, check func() error) error {
	from, counted := origin(remote)
	if a == nil || !counted {
		return check()
	}
	if after := a.left(from); after > 0 {
		return &Error{Kind: ErrTooMany, Reason: "this address has shown too many wrong ones", After: after}
	}
	err := check()
	if isWrong(err) {
		a.count(from)
	}
	return err
}

// isWrong says whether an error is what guessing comes to. What was right once, or is for others, is no guess.
func isWrong(err error) bool {
	return errors.Is(err, ErrSignature) || errors.Is(err, ErrUnknownKey) || errors.Is(err, ErrMalformed) || errors.Is(err, ErrTooLong)
}

// left is how long nothing is looked at from an address; 0 if it is.
func (a *Attempts) left(from netip.Addr) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	age := time.Since(a.since)
	if a.counts[from] < a.most || age >= attemptsWindow {
		return 0
	}
	return attemptsWindow - age
}

func (a *Attempts) count(from netip.Addr) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if time.Since(a.since) >= attemptsWindow || len(a.counts) >= maxAddresses && a.counts[from] == 0 {
		clear(a.counts)
		a.since = time.Now()
	}
	a.counts[from]++
}

// origin is what an address is counted as, if it is.
func origin(remote string) (netip.Addr, bool) {
	port, err := netip.ParseAddrPort(remote)
	addr := port.Addr()
	if err != nil {
		if addr, err = netip.ParseAddr(remote); err != nil {
			return addr, false
		}
	}
	addr = addr.Unmap().WithZone("")
	if !addr.IsGlobalUnicast() || addr.IsPrivate() {
		return addr, false
	}
	if addr.Is6() {
		network, err := addr.Prefix(64)
		return network.Addr(), err == nil
	}
	return addr, true
}
