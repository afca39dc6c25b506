package proxyproto_test

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"

	"baro.dev/internal/proxyproto"
)

const sig = "\r\n\r\n\x00\r\nQUIT\n"

// v2 is a header of version 2.
func v2(command, family byte, length int, rest string) string {
	return sig + string([]byte{0x20 | command, family, byte(length >> 8), byte(length)}) + rest
}

var (
	pair4 = "\xc6\x33\x64\x07\x0a\x00\x00\x01\x12\x34\x01\xbb"
	pair6 = "\x20\x01\x0d\xb8" + strings.Repeat("\x00", 11) + "\x01" + "\x20\x01\x0d\xb8" + strings.Repeat("\x00", 11) + "\x02" + "\x12\x34\x01\xbb"
)

func TestRead(t *testing.T) {
	for header, want := range map[string]string{
		"PROXY TCP4 198.51.100.7 10.0.0.1 4660 443\r\n":                                "198.51.100.7:4660",
		"PROXY TCP4 1.1.1.1 1.1.1.1 1 1\r\n":                                           "1.1.1.1:1",
		"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n":                   "255.255.255.255:65535",
		"PROXY TCP6 2001:db8::1 2001:db8::2 0 443\r\n":                                 "[2001:db8::1]:0",
		"PROXY TCP6 ::ffff:198.51.100.7 ::1 1 2\r\n":                                   "198.51.100.7:1",
		"PROXY UNKNOWN\r\n":                                                            "",
		"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n":                "",
		"PROXY UNKNOWN " + strings.Repeat("x", 107-len("PROXY UNKNOWN \r\n")) + "\r\n": "",
		v2(1, 0x11, 12, pair4):                                                         "198.51.100.7:4660",
		v2(1, 0x21, 36, pair6):                                                         "[2001:db8::1]:4660",
		v2(1, 0x11, 12+7, pair4+"\x04\x00\x04abcd"):                                    "198.51.100.7:4660",
		v2(1, 0x11, proxyproto.MaxV2, pair4+strings.Repeat("\x04", 4096-12)):           "198.51.100.7:4660",
		v2(0, 0x00, 0, ""):                                                             "",
		v2(0, 0x11, 12, pair4):                                                         "",
		v2(0, 0xff, 5, "12345"):                                                        "",
		v2(1, 0x00, 3, "abc"):                                                          "",
		v2(1, 0x31, 216, strings.Repeat("u", 216)):                                     "",
	} {
		for name, reader := range map[string]func(io.Reader) io.Reader{"whole": func(r io.Reader) io.Reader { return r }, "byte by byte": iotest.OneByteReader} {
			in := strings.NewReader(header + "GET / HTTP/1.1\r\n")
			a, err := proxyproto.Read(reader(in))
			rest, _ := io.ReadAll(in)
			if err != nil || a.IsValid() != (want != "") || a.IsValid() && a != netip.MustParseAddrPort(want) {
				t.Errorf("%.60q, %s: %v, %v; want %q", header, name, a, err, want)
			}
			if string(rest) != "GET / HTTP/1.1\r\n" {
				t.Errorf("%.60q, %s: %q is left", header, name, rest)
			}
		}
	}
}

func TestReadRefuses(t *testing.T) {
	for _, header := range []string{
		"P", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "PROXY ", "PROXY UNKNOWN", "PROXYUNKNOWN \r\n", "proxy tcp4 1.1.1.1 1.1.1.1 1 1\r\n",
		"PROXY TCP4 1.1.1.1 1.1.1.1 1 1\n", "PROXY TCP4 1.1.1.1 1.1.1.1 1 65536\r\n", "PROXY TCP4 1.1.1.1 1.1.1.1 01 1\r\n",
		"PROXY TCP4 1.1.1.1 1.1.1.1 -1 1\r\n", "PROXY TCP4 1.1.1.1  1.1.1.1 1 1\r\n", "PROXY TCP4 ::1 ::1 1 1\r\n", "PROXY TCP6 1.1.1.1 1.1.1.1 1 1\r\n",
		"PROXY TCP6 fe80::1%eth0 ::1 1 1\r\n", "PROXY UDP4 1.1.1.1 1.1.1.1 1 1\r\n", "PROXY TCP4 1.1.1.1 1.1.1.1 1\r\n", "PROXY TCP4 a b c d e f\r\n",
		"PROXY UNKNOWN " + strings.Repeat("x", 200) + "\r\n", "PROXY TCP4 1.1.1.1\r1.1.1.1 1 1\n",
		sig, sig + "\x11\x11\x00\x00", v2(2, 0x11, 12, pair4), v2(1, 0x11, 11, pair4), v2(1, 0x12, 12, pair4), v2(1, 0x41, 12, pair4),
		v2(1, 0x21, 12, pair4), v2(1, 0x11, 65535, pair4+strings.Repeat("\x04", 65535)), v2(1, 0x11, 100, pair4), v2(0, 0, 10, "123"),
	} {
		if a, err := proxyproto.Read(strings.NewReader(header)); !errors.Is(err, proxyproto.ErrHeader) || a.IsValid() {
			t.Errorf("%.60q: %v, %v", header, a, err)
		}
	}
	if _, err := proxyproto.Read(strings.NewReader("")); err != io.EOF {
		t.Error(err)
	}
	// What is the connection's trouble is not the header's.
	if _, err := proxyproto.Read(iotest.ErrReader(io.ErrClosedPipe)); errors.Is(err, proxyproto.ErrHeader) || !errors.Is(err, io.ErrClosedPipe) {
		t.Error(err)
	}
}

// Whatever comes, no more is read than the header is long, and a header that is whole is read to its end.
func FuzzRead(f *testing.F) {
	f.Add([]byte("PROXY TCP4 198.51.100.7 10.0.0.1 4660 443\r\nGET"))
	f.Add([]byte("PROXY UNKNOWN\r\n"))
	f.Add([]byte(v2(1, 0x21, 40, pair6+"1234rest")))
	f.Add([]byte(v2(0, 0, 0, "")))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		_, err := proxyproto.Read(r)
		read := len(b) - r.Len()
		if read > 16+proxyproto.MaxV2 {
			t.Fatalf("%d bytes were read", read)
		}
		if err == nil && bytes.HasPrefix(b, []byte("PROXY ")) && !bytes.HasSuffix(b[:read], []byte("\r\n")) {
			t.Errorf("%q: %d bytes were read", b, read)
		}
		if err == nil && bytes.HasPrefix(b, []byte(sig)) && read != 16+int(b[14])<<8+int(b[15]) {
			t.Errorf("%q: %d bytes were read", b, read)
		}
	})
}
