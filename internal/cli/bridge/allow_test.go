package bridge_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"baro.dev/internal/cli/bridge"
	"baro.dev/internal/testkit"
)

func rules(t testing.TB, texts ...string) []bridge.Rule {
	t.Helper()
	var all []bridge.Rule
	for _, text := range texts {
		r, err := bridge.ParseRule(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

// What clients may ask for, and what it comes to.
func TestAllow(t *testing.T) {
	names := map[string][]string{
		"db.internal":   {"10.0.0.5", "169.254.169.254"},
		"evil.example":  {"169.254.169.254"},
		"mixed.example": {"169.254.169.254", "192.168.1.7", "::1"},
		"127.1":         {"127.0.0.1"}, // as some systems read it
		"2130706433":    {"127.0.0.1"},
		"here.example":  {"0.0.0.0", "::"},
	}
	asked := 0
	resolve := func(_ context.Context, _, host string) ([]netip.Addr, error) {
		asked++
		var all []netip.Addr
		for _, text := range names[strings.ToLower(host)] {
			all = append(all, netip.MustParseAddr(text))
		}
		if all == nil {
			return nil, errors.New("no such host")
		}
		return all, nil
	}
	some := rules(t, "db.internal:5432", "192.168.0.0/16:5900-5999", "[2001:db8::]/32:*", "10.1.2.3:22", "[fd00::1]:22")
	for target, want := range map[string]string{
		"db.internal:5432":              "10.0.0.5:5432 169.254.169.254:5432", // a name that is trusted, wherever it points to
		"DB.Internal:5432":              "10.0.0.5:5432 169.254.169.254:5432",
		"db.internal:5433":              "",
		"db.internal.:5432":             "",
		"db.internal.evil.example:5432": "",
		"192.168.1.7:5900":              "192.168.1.7:5900",
		"192.168.1.7:5999":              "192.168.1.7:5999",
		"192.168.1.7:6000":              "",
		"192.168.1.7:05900":             "",
		"192.168.1.7:+5900":             "",
		"192.168.1.7:0":                 "",
		"192.168.1.7:71436":             "", // 5900 and 65536
		"192.168.1.7":                   "",
		"192.169.1.7:5900":              "",
		"[::ffff:192.168.1.7]:5900":     "192.168.1.7:5900",
		"[::ffff:127.0.0.1]:5900":       "",
		"[2001:db8::1]:1":               "[2001:db8::1]:1",
		"[2001:db8::1%eth0]:1":          "",
		"10.1.2.3:22":                   "10.1.2.3:22",
		"[fd00::1]:22":                  "[fd00::1]:22",
		"[fd00::2]:22":                  "",
		"0.0.0.0:5900":                  "",
		"[::]:5900":                     "",
		"evil.example:5900":             "",
		"mixed.example:5900":            "192.168.1.7:5900",
		"127.1:5900":                    "",
		"2130706433:5900":               "",
		"0x7f000001:5900":               "",
		"here.example:5900":             "",
		"nowhere.example:5900":          "",
		"":                              "",
		":5900":                         "",
		"user@192.168.1.7:5900":         "",
		"192.168.1.7:5900/":             "",
		"192.168.1.7:5900\r\n":          "",
		"192.168.1.7\x00.example:5900":  "",
		"-oProxyCommand=x:5900":         "",
		"ａ.example:5900":                "",
		"a..b:5900":                     "",
	} {
		got, err := bridge.Choose(t.Context(), some, target, resolve)
		if text := strings.Trim(fmt.Sprint(got), "[]"); len(got) > 1 && text != want || len(got) == 1 && got[0].String() != want || len(got) == 0 && want != "" {
			t.Errorf("%q: %v, %v; want %s", target, got, err, want)
		}
		if (err == nil) != (want != "") {
			t.Errorf("%q: %v", target, err)
		}
	}
	asked = 0
	if _, err := bridge.Choose(t.Context(), rules(t, "db.internal:*"), "other.example:1", resolve); err == nil || asked > 0 {
		t.Errorf("%v, and DNS was asked %d times for a name that cannot be allowed", err, asked)
	}
	for _, text := range []string{"", "a", ":1", "a:", "a:0", "a:65536", "a:2-1", "a:1-", "a b:1", "10.0.0.0/33:1", "::ffff:10.0.0.0/100:1", "-a:1", "a:-1", "fe80::1%eth0:1", "http://a:1"} {
		if r, err := bridge.ParseRule(text); err == nil {
			t.Errorf("%q is the rule %v", text, r)
		}
	}
}

// The address that was checked is the one that is connected to, whatever the name points to a moment later.
func TestRebinding(t *testing.T) {
	testkit.NoLeaks(t)
	good := says(t, "good")
	_, port, _ := net.SplitHostPort(good)
	b := opened(t, bridge.Config{From: endpoint(t, "ws://127.0.0.1:0"), Allow: rules(t, "127.0.0.1:"+port)})
	var lookups atomic.Int64
	b.Resolve(func(context.Context, string, string) ([]netip.Addr, error) {
		if lookups.Add(1) == 1 {
			return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
		}
		return []netip.Addr{netip.MustParseAddr("127.0.0.2")}, nil
	})
	run(t, b)
	url := "ws://" + b.Addr().String() + "/?target=moving.example:" + port
	if got := first(t, url, nil); got != "good" || lookups.Load() != 1 {
		t.Errorf("%q after %d lookups", got, lookups.Load())
	}
	if got := refused(t, url, nil); got != 403 {
		t.Errorf("where it points to now: status %d", got)
	}
	for _, query := range []string{"", "?target=", "?target=127.0.0.1:1", "?target=127.0.0.1:" + port + "&target=127.0.0.1:" + port, "?token=" + good} {
		if got := refused(t, "ws://"+b.Addr().String()+"/"+query, nil); got != 403 {
			t.Errorf("%q: status %d", query, got)
		}
	}
}

func FuzzAllow(f *testing.F) {
	for _, s := range []string{"10.0.0.1:80", "[::ffff:10.0.0.1]:80", "a.example:5900", "[fe80::1%a]:1", "a:b:c"} {
		f.Add(s)
	}
	allowed := []bridge.Rule{}
	for _, text := range []string{"10.0.0.0/8:80", "a.example:*"} {
		r, err := bridge.ParseRule(text)
		if err != nil {
			f.Fatal(err)
		}
		allowed = append(allowed, r)
	}
	f.Fuzz(func(t *testing.T, target string) {
		got, err := bridge.Choose(t.Context(), allowed, target, func(context.Context, string, string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("192.0.2.1")}, nil
		})
		host, _, _ := strings.Cut(strings.ToLower(target), ":")
		for _, a := range got {
			inside := netip.MustParsePrefix("10.0.0.0/8").Contains(a.Addr()) && a.Port() == 80
			if err != nil || !inside && (host != "a.example" || a.Addr() != netip.MustParseAddr("192.0.2.1")) {
				t.Errorf("%q: %v, %v", target, got, err)
			}
		}
	})
}
