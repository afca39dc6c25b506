package cors

import (
	"strings"
	"testing"
)

func TestAllowed(t *testing.T) {
	var nobody *Options
	listed := &Options{Origins: []string{"https://first.example", "https://good.com", "https://*.below.example", "http://localhost:*"}}
	null := &Options{Origins: []string{"https://good.com", "null"}}
	all := &Options{Origins: []string{"https://good.com", "*"}}
	for _, test := range []struct {
		name    string
		options *Options
		origin  string
		want    bool
	}{
		{"no options, no origin", nobody, "", true}, // not a browser, or the same origin
		{"no options, same", nobody, "http://server.example", true},
		{"no options, same behind TLS", nobody, "https://SERVER.example:443", true},
		{"no options, other port", nobody, "http://server.example:8080", false},
		{"no options, other", nobody, "https://good.com", false},
		{"no options, null", nobody, "null", false},
		{"zero, same", &Options{}, "http://server.example", true},
		{"zero, other", &Options{}, "https://good.com", false},
		{"nobody listed", &Options{Credentials: true}, "https://good.com", false},

		{"listed, no origin", listed, "", true},
		{"the same is allowed besides", listed, "http://server.example", true},
		{"listed", listed, "https://good.com", true},
		{"listed, other spelling", listed, "HTTPS://GOOD.com:443", true},
		{"listed with another scheme", listed, "http://good.com", false},
		{"below", listed, "https://a.b.below.example", true},
		{"not below", listed, "https://below.example", false},
		{"any port", listed, "http://localhost:3000", true},
		{"the text of an entry", listed, "http://localhost:*", false},
		{"not listed", listed, "https://evil.com", false},
		{"null not listed", listed, "null", false},
		{"no origin at all", listed, "anything", false},

		{"null", null, "null", true},
		{"null in other case", null, "NULL", false},
		{"null as a host", null, "http://null", false},
		{"file is not null", null, "file://", false},
		{"all", all, "http://evil.com", true},
		{"all, null", all, "null", true},
		{"all, file", all, "file://", true},
		{"all, whatever it is", all, "anything", true},
	} {
		if err := test.options.Validate(); err != nil && !strings.Contains(err.Error(), "no origin is allowed") {
			t.Errorf("%s: %v", test.name, err)
		}
		if got := test.options.Allowed(test.origin, "server.example"); got != test.want {
			t.Errorf("%s: %q: %v", test.name, test.origin, got)
		}
	}
}

func TestAllowOrigin(t *testing.T) {
	var asked []string
	o := &Options{Origins: []string{"http://a.example"}, AllowOrigin: func(origin string) bool {
		asked = append(asked, origin)
		return origin == "null"
	}}
	for origin, want := range map[string]bool{"": true, "http://a.example": true, "http://server.example": true, "null": true, "http://b.example": false} {
		if got := o.Allowed(origin, "server.example"); got != want {
			t.Errorf("%q: %v", origin, got)
		}
	}
	if len(asked) != 2 {
		t.Errorf("asked about %q", asked)
	}
}

func TestValidate(t *testing.T) {
	for _, o := range []*Options{
		{Origins: []string{""}}, {Origins: []string{"good.com"}}, {Origins: []string{"https://good.com/"}}, {Origins: []string{"file://"}},
		{Origins: []string{"https://a.*.com"}}, {Origins: []string{"*.good.com"}}, {Origins: []string{"https://good.com:80:*"}}, {Origins: []string{"wss://good.com"}},
		{Origins: []string{"https://bücher.example"}}, {Origins: []string{"https://*.127.0.0.1"}}, {Origins: []string{"NULL"}},
		{Origins: []string{"*"}, Methods: []string{"GET, POST"}}, {Origins: []string{"*"}, AllowedHeaders: []string{"a\r\nb"}},
		{Origins: []string{"*"}, ExposedHeaders: []string{""}}, {Origins: []string{"*"}, OptionsSuccessStatus: 404},
		{Credentials: true},
	} {
		err := o.Validate()
		if err == nil || !strings.HasPrefix(err.Error(), "cors: ") {
			t.Errorf("%+v: %v", *o, err)
		}
		for _, entry := range o.Origins {
			if entry != "" && entry != "*" && (o.Allowed("https://good.com", "x") || o.Allowed(entry, "x")) {
				t.Errorf("%q allows something", entry)
			}
		}
	}
	for _, o := range []*Options{nil, {}} {
		if err := o.Validate(); err != nil {
			t.Error(err)
		}
	}
}

func TestAllowedAllocates(t *testing.T) {
	o := &Options{Origins: []string{"https://first.example", "https://*.example.com"}}
	if n := testing.AllocsPerRun(100, func() {
		if !o.Allowed("https://www.example.com", "server.example") || !o.Allowed("http://server.example:80", "server.example") {
			t.Fatal("refused")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAllowed(b *testing.B) {
	o := &Options{Origins: []string{"https://first.example", "https://second.example", "https://*.example.com"}}
	b.ReportAllocs()
	for b.Loop() {
		if !o.Allowed("https://www.example.com", "server.example") {
			b.Fatal("refused")
		}
	}
}
