package httpcompress

import "testing"

func TestString(t *testing.T) {
	for e, want := range map[Encoding]string{Identity: "identity", Deflate: "deflate", Gzip: "gzip"} {
		if e.String() != want {
			t.Errorf("%v, not %s", e, want)
		}
	}
}

func TestNegotiate(t *testing.T) {
	for _, test := range []struct {
		accept []string
		want   Encoding
	}{
		{nil, Identity},
		{[]string{""}, Identity},
		{[]string{"gzip, deflate, br, zstd"}, Gzip}, // browsers
		{[]string{"gzip,deflate"}, Gzip},
		{[]string{"deflate, gzip"}, Gzip},
		{[]string{"deflate"}, Deflate},
		{[]string{"br, deflate;q=0.1"}, Deflate},
		{[]string{"br"}, Identity},
		{[]string{"br", "gzip"}, Gzip},
		{[]string{"GZIP"}, Gzip},
		{[]string{"x-gzip"}, Gzip},
		{[]string{"gzip;q=0.5, deflate;q=0.8"}, Deflate},
		{[]string{"gzip ; Q=0.5\t,\tdeflate ;q=0.499"}, Gzip},
		{[]string{"gzip;q=0, deflate"}, Deflate},
		{[]string{"gzip;q=0"}, Identity},
		{[]string{"gzip;q=0.000, *;q=0"}, Identity},
		{[]string{"*"}, Gzip},
		{[]string{"*;q=0"}, Identity},
		{[]string{"gzip;q=0, *"}, Deflate},
		{[]string{"*;q=0.5, gzip;q=0.1"}, Deflate},
		{[]string{"identity"}, Identity},
		{[]string{"identity, gzip"}, Gzip},
		{[]string{"identity;q=0.5, gzip;q=0.4"}, Identity},
		{[]string{"identity;q=0.5, gzip;q=0.5"}, Gzip},
		{[]string{"identity;q=0"}, Identity}, // nothing else is known to be acceptable
		{[]string{"identity;q=0, *;q=0"}, Identity},
		{[]string{"identity;q=0, gzip;q=0.001"}, Gzip},
		{[]string{"gzip;q=1.000"}, Gzip},
		{[]string{"gzip;level=9;q=0, deflate"}, Deflate},
		{[]string{",, gzip ,,"}, Gzip},

		// RFC 9110 12.4.2: a weight is 0 to 1, with up to three decimal places. Anything else is no wish for gzip.
		{[]string{"gzip;q=1.001"}, Identity},
		{[]string{"gzip;q=2"}, Identity},
		{[]string{"gzip;q=-1"}, Identity},
		{[]string{"gzip;q=0.0001"}, Identity},
		{[]string{"gzip;q=1e0"}, Identity},
		{[]string{"gzip;q="}, Identity},
		{[]string{"gzip;q=nan"}, Identity},
		{[]string{"gzip;q=0,5"}, Identity},
		{[]string{"gzipped, gzi, \"gzip\""}, Identity},
	} {
		if got := Negotiate(test.accept); got != test.want {
			t.Errorf("%q: %v, want %v", test.accept, got, test.want)
		}
	}
}

func BenchmarkNegotiate(b *testing.B) {
	accept := []string{"gzip, deflate, br, zstd"}
	b.ReportAllocs()
	for b.Loop() {
		if Negotiate(accept) != Gzip {
			b.Fatal("not gzip")
		}
	}
}
