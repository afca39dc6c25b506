package requesthead

import (
	"context"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

func TestClients(t *testing.T) {
	server := newNetHTTP(t)
	for name, head := range wellFormed {
		t.Run(name, func(t *testing.T) {
			for _, input := range []string{head, head + "\x81\x82\x00\x00\x00\x00hi", head + head} {
				if !checkSame(t, server, input) {
					t.Fatalf("%q is left to net/http", input)
				}
				if _, _, n := parse(input); n != len(head) {
					t.Errorf("%q: a head of %d bytes, want %d", input, n, len(head))
				}
			}
		})
	}
}

func TestUnusual(t *testing.T) {
	server := newNetHTTP(t)
	for name, head := range map[string]string{
		"escaped path":             target("/a%2Fb%20c/%E2%82%AC") + "Host: a\r\n" + essential,
		"path with raw bytes":      target("/\xe2\x82\xac\xff[]\"<>|") + "Host: a\r\n" + essential,
		"path with a fragment":     target("/a#b?c#d") + "Host: a\r\n" + essential,
		"path of two slashes":      target("//evil.example.com/x") + "Host: a\r\n" + essential,
		"path with a colon":        target("/a:b/c@d;e,f!$&'()*+=~") + "Host: a\r\n" + essential,
		"dots":                     target("/a/../b/./c") + "Host: a\r\n" + essential,
		"empty query":              target("/?") + "Host: a\r\n" + essential,
		"two question marks":       target("/??") + "Host: a\r\n" + essential,
		"query with anything":      target("/?a=%zz&b=\xff;c[]=1?#") + "Host: a\r\n" + essential,
		"absolute, another Host":   target("http://a.example:80/x") + "Host: b\r\n" + essential,
		"absolute, user":           target("http://u:p@a.example/") + "Host: b\r\n" + essential,
		"absolute, no path":        target("WS://a") + "Host: b\r\n" + essential,
		"Host of IPv6":             target("/") + "Host: [2001:db8::1%25eth0]:80\r\n" + essential,
		"Host with odd characters": target("/") + "Host: a_~!$&'()*+,;=%\r\n" + essential,
		"no space after colon":     target("/") + "Host:a\r\nUpgrade:WebSocket\r\nConnection:UPGRADE\r\n\r\n",
		"many spaces":              target("/") + "Host:   a  \r\nUpgrade:  websocket  \r\nConnection:   ,, keep-alive ,  upgrade  ,\r\n\r\n",
		"empty value":              with("X-Empty:\r\nX-Spaces:    \r\n"),
		"value of odd characters":  with("X: \"\\,;:\xff\x80\xc3\xa9<>@?={}[]\r\n"),
		"name of odd characters":   with("!#$%&'*+-.^_`|~09azAZ: x\r\n"),
		"names in any case":        with("X-lOWER-uPPER--x: 1\r\nACCEPT: 2\r\n-x-: 3\r\n"),
		"long name":                with(strings.Repeat("x", 300) + ": y\r\n"),
		"several values":           with("X-Forwarded-For: 1\r\nCookie: a\r\nx-forwarded-for: 2\r\nX-FORWARDED-FOR: 3\r\nCookie:\r\n"),
		"Connection twice":         with("Connection: keep-alive\r\n"),
		"Connection: closed":       with("Connection: closed, clos, xclose\r\n"),
		"version of 8":             with("Sec-WebSocket-Version: 8\r\n"),
		"no key":                   target("/") + "Host: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
		"two keys":                 with("Sec-WebSocket-Key: x\r\n"),
		"Pragma and Cache-Control": with("Pragma: no-cache\r\nCache-Control: max-age=0\r\n"),
		"60 lines":                 with(strings.Repeat("X: y\r\n", maxLines-7)),
		"as long as may be":        with("X: " + strings.Repeat("y", MaxLen-len(with("X: \r\n"))) + "\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			if !checkSame(t, server, head+"rest") {
				t.Errorf("%q is left to net/http", head)
			}
		})
	}
}

func TestNames(t *testing.T) {
	for _, head := range wellFormed {
		for line := range strings.SplitSeq(head, "\r\n") {
			name, _, _ := strings.Cut(line, ":")
			for _, name := range []string{name, strings.ToLower(name), strings.ToUpper(name)} {
				if got, ok := canonical(name); ok && got != http.CanonicalHeaderKey(name) {
					t.Errorf("%s for %s", got, name)
				}
			}
		}
	}
	for _, name := range []string{"", " ", "a b", "a\x00", "\xff", "a:", "(a)", "Host "} {
		if got, ok := canonical(name); ok {
			t.Errorf("%q is valid, %q", name, got)
		}
	}
}

func TestEveryByte(t *testing.T) {
	server := newNetHTTP(t)
	for c := range 256 {
		s := string([]byte{byte(c)})
		for _, head := range []string{
			with("X" + s + "y: z\r\n"),
			with("X: y" + s + "z\r\n"),
			with("X:" + s + "\r\n"),
			with(s + ": y\r\n"),
			target("/a"+s+"b") + "Host: a\r\n" + essential,
			target(s) + "Host: a\r\n" + essential,
			target("/") + "Host: a" + s + "b\r\n" + essential,
			target("/") + "Host: a\r\nUpgrade: " + s + "websocket\r\nConnection: upgrade" + s + "\r\n\r\n",
			target("/") + "Host: a\r\nUpgrade: websocket\r\nConnection: upgrade" + s + "close\r\n\r\n",
		} {
			checkSame(t, server, head)
		}
		p := []byte(strings.Repeat("x", 19))
		want := 0
		if s < " " || s == "\x7f" {
			want = 1
		}
		for i := range p {
			p[i] = byte(c)
			if got := countControls(p); got != want {
				t.Fatalf("%d control characters in %q, want %d", got, p, want)
			}
			p[i] = 'x'
		}
	}
}

// Every byte of a head is changed, left out and doubled.
func TestOneByteAmiss(t *testing.T) {
	server := newNetHTTP(t)
	head := wellFormed["RFC 6455 1.2"]
	for i := range head {
		for _, s := range []string{"", " ", "\t", "\r", "\n", "\r\n", ":", ",", "\x00", "\x80", "x", head[i:i+1] + head[i:i+1]} {
			checkSame(t, server, head[:i]+s+head[i+1:])
		}
	}
}

func TestContext(t *testing.T) {
	type key struct{}
	ctx := context.WithValue(context.Background(), key{}, 1)
	r := Parse(ctx, []byte(chrome))
	if r.Context() != ctx {
		t.Error(r.Context())
	}
}

// A value that is added to leaves the others alone.
func TestValuesApart(t *testing.T) {
	r := Parse(context.Background(), []byte(chrome))
	want := r.Header.Clone()
	for name := range r.Header {
		r.Header.Add(name, "more")
		want[name] = append(want[name], "more")
	}
	if !reflect.DeepEqual(r.Header, want) {
		t.Errorf("%v, want %v", r.Header, want)
	}
}
