package realip_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"baro.dev/internal/realip"
)

func TestParse(t *testing.T) {
	trusted, err := realip.Parse([]string{"loopback", " private", "192.0.2.7", "2001:db8::/32", "::ffff:198.51.100.0/120", "203.0.113.77/24"})
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]bool{
		"127.0.0.1": true, "127.200.1.1": true, "::1": true, "::2": false,
		"10.1.2.3": true, "172.16.0.1": true, "172.32.0.1": false, "192.168.255.255": true, "fd00::1": true, "fe80::1": false,
		"192.0.2.7": true, "192.0.2.8": false, "2001:db8:ffff::1": true, "2001:db9::1": false,
		"198.51.100.9": true, "::ffff:198.51.100.9": true, "203.0.113.1": true, "::ffff:10.0.0.1": true, "2001:db8::1%eth0": true,
	} {
		if got := trusted.Contains(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
	if (realip.Trusted{}).Contains(netip.MustParseAddr("127.0.0.1")) || trusted.Empty() || !(realip.Trusted{}).Empty() {
		t.Error("nobody trusts somebody")
	}
	for _, bad := range []string{"", "all", "10.0.0.0/33", "10.0.0", "example.com", "fe80::1%eth0", "::ffff:0:0/90", "10.0.0.1:80", "*"} {
		if _, err := realip.Parse([]string{"loopback", bad}); err == nil || !strings.Contains(err.Error(), `"`+bad+`"`) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestSource(t *testing.T) {
	trusted, err := realip.Parse([]string{"10.0.0.0/8", "2001:db8:1::/48"})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		peer   string
		header []string
		want   string // "": the peer
		proto  string
		host   string
	}{
		{"nobody", "192.0.2.1:1", nil, "", "", ""},
		{"untrusted", "192.0.2.1:1", []string{"X-Forwarded-For", "198.51.100.1"}, "", "", ""},
		{"untrusted, Forwarded", "192.0.2.1:1", []string{"Forwarded", "for=198.51.100.1;proto=https;host=a"}, "", "", ""},
		{"untrusted, Proto and Host", "192.0.2.1:1", []string{"X-Forwarded-Proto", "https", "X-Forwarded-Host", "a"}, "", "", ""},
		{"trusted, silent", "10.0.0.1:1", nil, "", "", ""},
		{"one", "10.0.0.1:1", []string{"X-Forwarded-For", "198.51.100.1"}, "198.51.100.1:0", "", ""},
		{"a proxy over IPv6", "[2001:db8:1::7]:1", []string{"X-Forwarded-For", "2001:db8:2::1"}, "[2001:db8:2::1]:0", "", ""},
		{"a mapped proxy", "[::ffff:10.0.0.1]:1", []string{"X-Forwarded-For", "::ffff:198.51.100.1"}, "198.51.100.1:0", "", ""},
		{"with a port", "10.0.0.1:1", []string{"X-Forwarded-For", "198.51.100.1:4711"}, "198.51.100.1:4711", "", ""},
		{"IPv6 with a port", "10.0.0.1:1", []string{"X-Forwarded-For", "[2001:db8:2::1]:4711"}, "[2001:db8:2::1]:4711", "", ""},
		{"IPv6 in brackets", "10.0.0.1:1", []string{"X-Forwarded-For", "[2001:db8:2::1]"}, "[2001:db8:2::1]:0", "", ""},
		{"a zone", "10.0.0.1:1", []string{"X-Forwarded-For", "fe80::1%eth0"}, "[fe80::1]:0", "", ""},
		{"two proxies", "10.0.0.1:1", []string{"X-Forwarded-For", "198.51.100.1, 10.0.0.2"}, "198.51.100.1:0", "", ""},
		{"in two fields", "10.0.0.1:1", []string{"X-Forwarded-For", "198.51.100.1", "X-Forwarded-For", "10.0.0.2"}, "198.51.100.1:0", "", ""},
		{"forged before the truth", "10.0.0.1:1", []string{"X-Forwarded-For", "127.0.0.1, 10.9.9.9, 198.51.100.1, 10.0.0.2"}, "198.51.100.1:0", "", ""},
		{"forged in a field of its own", "10.0.0.1:1", []string{"X-Forwarded-For", "10.0.0.9", "X-Forwarded-For", "198.51.100.1"}, "198.51.100.1:0", "", ""},
		{"all trusted", "10.0.0.1:1", []string{"X-Forwarded-For", "10.0.0.3, 10.0.0.2"}, "10.0.0.3:0", "", ""},
		{"garbage from the client", "10.0.0.1:1", []string{"X-Forwarded-For", "<script>, 198.51.100.1"}, "198.51.100.1:0", "", ""},
		{"garbage before a proxy", "10.0.0.1:1", []string{"X-Forwarded-For", "unknown, 10.0.0.2"}, "10.0.0.2:0", "", ""},
		{"garbage alone", "10.0.0.1:1", []string{"X-Forwarded-For", "unknown"}, "", "", ""},
		{"empty", "10.0.0.1:1", []string{"X-Forwarded-For", ""}, "", "", ""},
		{"many commas", "10.0.0.1:1", []string{"X-Forwarded-For", strings.Repeat(",", 10_000) + "198.51.100.1"}, "198.51.100.1:0", "", ""},

		{"Forwarded", "10.0.0.1:1", []string{"Forwarded", `For="198.51.100.1:4711";proto=HTTPS;by=10.0.0.1;host="example.com"`}, "198.51.100.1:4711", "https", "example.com"},
		{"Forwarded, IPv6", "10.0.0.1:1", []string{"Forwarded", `for="[2001:db8:2::1]"`}, "[2001:db8:2::1]:0", "", ""},
		{"Forwarded, twice", "10.0.0.1:1", []string{"Forwarded", `for=198.51.100.1;host=a, for=10.0.0.2;host=b`}, "198.51.100.1:0", "", "a"},
		{"Forwarded, forged", "10.0.0.1:1", []string{"Forwarded", `for=10.0.0.7;host=evil, for=198.51.100.1;host=a`}, "198.51.100.1:0", "", "a"},
		{"Forwarded, hidden", "10.0.0.1:1", []string{"Forwarded", `for=_hidden, for=10.0.0.2`}, "10.0.0.2:0", "", ""},
		{"Forwarded, unknown", "10.0.0.1:1", []string{"Forwarded", `for=unknown`}, "", "", ""},
		{"Forwarded, a quote left open", "10.0.0.1:1", []string{"Forwarded", `for="198.51.100.7, for=198.51.100.1`}, "", "", ""},
		{"Forwarded, a quote left open in a field before", "10.0.0.1:1", []string{"Forwarded", `for="198.51.100.7`, "Forwarded", "for=198.51.100.1"}, "198.51.100.1:0", "", ""},
		{"Forwarded, escaped", "10.0.0.1:1", []string{"Forwarded", `for="198.51.100\.1";x="a\",b;"`}, "198.51.100.1:0", "", ""},
		{"Forwarded, empty elements", "10.0.0.1:1", []string{"Forwarded", `, ;,for=198.51.100.1;,`}, "198.51.100.1:0", "", ""},
		{"Forwarded, no value", "10.0.0.1:1", []string{"Forwarded", `for=198.51.100.1;host`}, "", "", ""},
		{"Forwarded, no parameter for", "10.0.0.1:1", []string{"Forwarded", `by=10.0.0.1`}, "", "", ""},

		{"both, the same", "10.0.0.1:1", []string{"Forwarded", "for=198.51.100.1", "X-Forwarded-For", "198.51.100.1"}, "198.51.100.1:0", "", ""},
		{"both, one forged", "10.0.0.1:1", []string{"Forwarded", "for=192.0.2.99", "X-Forwarded-For", "198.51.100.1"}, "", "", ""},
		{"both, one malformed", "10.0.0.1:1", []string{"Forwarded", "for=\"", "X-Forwarded-For", "198.51.100.1"}, "", "", ""},
		{"Proto and Host", "10.0.0.1:1", []string{"X-Forwarded-For", "198.51.100.1", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "example.com"}, "198.51.100.1:0", "https", "example.com"},
		{"Proto and Host, several", "10.0.0.1:1", []string{"X-Forwarded-Host", "evil, example.com", "X-Forwarded-Proto", "http,https"}, "10.0.0.1:1", "https", "example.com"},
		{"another Proto", "10.0.0.1:1", []string{"X-Forwarded-For", "198.51.100.1", "X-Forwarded-Proto", "gopher"}, "198.51.100.1:0", "", ""},
	} {
		h := http.Header{}
		for i := 0; i < len(test.header); i += 2 {
			h.Add(test.header[i], test.header[i+1])
		}
		s, ok := trusted.Source(netip.MustParseAddrPort(test.peer), h)
		switch {
		case test.want == "":
			if ok {
				t.Errorf("%s: %+v", test.name, s)
			}
		case !ok, s.Addr != netip.MustParseAddrPort(test.want), s.Proto != test.proto, s.Host != test.host:
			t.Errorf("%s: %+v, %v", test.name, s, ok)
		}
	}
}

// Whatever a client writes into its own fields: what the proxy adds decides.
func FuzzSource(f *testing.F) {
	f.Add("for=1.2.3.4", true)
	f.Add(`for="[::1]:4711";proto=https;by=_x, for=10.0.0.2`, true)
	f.Add("1.2.3.4, 10.0.0.3", false)
	f.Add("\"\\", true)
	trusted, err := realip.Parse([]string{"10.0.0.0/8"})
	if err != nil {
		f.Fatal(err)
	}
	client, peer := netip.MustParseAddr("198.51.100.1"), netip.MustParseAddrPort("10.0.0.1:1")
	f.Fuzz(func(t *testing.T, forged string, standard bool) {
		h := http.Header{"X-Forwarded-For": {forged + ", 198.51.100.1"}}
		if standard {
			h = http.Header{"Forwarded": {forged, "for=198.51.100.1"}}
		}
		if s, ok := trusted.Source(peer, h); !ok || s.Addr.Addr() != client {
			t.Errorf("%q: %v, %v", forged, s, ok)
		}
		if standard { // in one field, a client can at most hide behind the proxy
			h = http.Header{"Forwarded": {forged + ", for=198.51.100.1"}}
			if s, ok := trusted.Source(peer, h); ok && s.Addr.Addr() != client {
				t.Errorf("%q in one field: %v", forged, s)
			}
		}
	})
}
