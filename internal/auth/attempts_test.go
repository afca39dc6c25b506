package auth_test

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"baro.dev/internal/auth"
)

// Whoever guesses is not looked at any more for a minute, whatever comes from there; others are.
func TestAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys, text := oneKey(t)
		a := auth.NewAttempts(5)
		try := func(remote, key string) error {
			return a.Try(remote, func() error { _, err := keys.Find(key); return err })
		}
		wrong := text[:len(text)-1] + "-"
		for i := range 5 {
			if err := try(fmt.Sprintf("192.0.2.1:%d", i+1), wrong); !errors.Is(err, auth.ErrUnknownKey) {
				t.Fatal(err)
			}
			if err := try("192.0.2.1:9", text); err != nil && i < 4 {
				t.Fatal(err)
			}
		}
		for _, key := range []string{wrong, text, "x"} {
			err := try("192.0.2.1:7", key)
			refused, ok := errors.AsType[*auth.Error](err)
			if !errors.Is(err, auth.ErrTooMany) || errors.Is(err, auth.ErrInvalid) || !ok || refused.After <= 0 || refused.After > time.Minute {
				t.Errorf("%v, after %v", err, refused.After)
			}
		}
		for _, elsewhere := range []string{"192.0.2.2:1", "[2001:db8::1]:1", "10.0.0.1:1", ""} {
			if err := try(elsewhere, text); err != nil {
				t.Errorf("%s: %v", elsewhere, err)
			}
		}
		time.Sleep(time.Minute)
		if err := try("192.0.2.1:1", text); err != nil {
			t.Error("a minute later:", err)
		}

		// One customer of a provider has a network of IPv6.
		for i := range 5 {
			_ = try(fmt.Sprintf("[2001:db8::%d]:1", i), wrong)
		}
		if err := try("[2001:db8::ffff:1]:1", text); !errors.Is(err, auth.ErrTooMany) {
			t.Error("another address of the network:", err)
		}
		if err := try("[2001:db8:0:1::1]:1", text); err != nil {
			t.Error("another network:", err)
		}
		// An IPv4 address is the same however it is written; those of proxies are not counted.
		for range 5 {
			_ = try("[::ffff:192.0.2.9]:1", wrong)
		}
		if err := try("192.0.2.9:1", text); !errors.Is(err, auth.ErrTooMany) {
			t.Error("an IPv4 address in IPv6:", err)
		}
		for _, near := range []string{"127.0.0.1:1", "[::1]:1", "10.1.2.3:4", "192.168.0.1:1", "[fe80::1%eth0]:1", "[fd00::1]:1", "@", "pipe"} {
			for range 10 {
				_ = try(near, wrong)
			}
			if err := try(near, text); err != nil {
				t.Errorf("%s: %v", near, err)
			}
		}
		// What is not a guess does not count.
		for range 10 {
			_ = a.Try("192.0.2.3:1", func() error { return &auth.Error{Kind: auth.ErrExpired} })
		}
		if err := try("192.0.2.3:1", text); err != nil {
			t.Error("after tokens that have expired:", err)
		}
		var none *auth.Attempts
		if err := none.Try("192.0.2.1:1", func() error { return nil }); err != nil {
			t.Error(err)
		}
	})
}

// Ever new addresses take no more memory.
func TestAttemptsFlood(t *testing.T) {
	a := auth.NewAttempts(1)
	wrong := func() error { return &auth.Error{Kind: auth.ErrSignature} }
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	addr := netip.MustParseAddr("20.0.0.0")
	for range 300_000 {
		_ = a.Try(addr.String(), wrong)
		addr = addr.Next()
	}
	if grown := heap() - before; grown > 4<<20 {
		t.Errorf("it has grown by %d bytes", grown)
	}
	runtime.KeepAlive(a)
}

func oneKey(t *testing.T) (*auth.Keys, string) {
	t.Helper()
	text, key, err := auth.NewKey("shop", auth.Scopes(), nil)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := auth.NewKeys([]auth.APIKey{key})
	if err != nil {
		t.Fatal(err)
	}
	return keys, text
}

// How long a key is looked at tells neither which ids there are nor how much of it is right: all of it is hashed, whatever the id,
// and hashes are compared. An early end would take less than half the time.
func TestKeyTiming(t *testing.T) {
	keys, text := oneKey(t)
	secret := text[strings.LastIndexByte(text, '_')+1:]
	kinds := []string{
		"baro_shop_" + strings.Repeat("A", len(secret)),                // all of the secret is wrong
		text[:len(text)-1] + "-",                                       // its last character
		"baro_zzzz_" + secret,                                          // nobody's id
		"baro_shop_" + secret[:len(secret)/2] + secret[:len(secret)/2], // half of it
	}
	var ratio float64
	for range 20 { // the machine may do other things
		fastest := make([]time.Duration, len(kinds))
		for range 50 {
			for i, kind := range kinds {
				began := time.Now()
				for range 200 {
					if _, err := keys.Find(kind); err == nil {
						t.Fatal("it is found")
					}
				}
				if d := time.Since(began); fastest[i] == 0 || d < fastest[i] {
					fastest[i] = d
				}
			}
		}
		least, most := fastest[0], fastest[0]
		for _, d := range fastest {
			least, most = min(least, d), max(most, d)
		}
		if ratio = float64(most) / float64(least); ratio < 1.3 {
			return
		}
	}
	t.Errorf("one kind of wrong key takes %.2f times as long as another", ratio)
}
