package payload

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

const (
	connected = `0{"sid":"FVgS4YlLF1PU9ifHAAAA"}`
	hello     = `51-["hello","€",{"_placeholder":true,"num":0}]`
)

// What the official server and clients send.
var wires = []struct {
	name    string
	format  Format
	binary  bool
	wire    string
	packets []Packet
}{
	{"v4 one", V4, false, "4hello", []Packet{message("hello")}},
	{"v4 several", V4, false, "4test1\x1e4test2\x1e4test3", []Packet{message("test1"), message("test2"), message("test3")}},
	{"v4 captured", V4, false, "4" + connected + "\x1e4" + hello + "\x1ebAQI=", []Packet{message(connected), message(hello), bin("\x01\x02")}},
	{"v4 text and binary", V4, false, "4hello\x1ebAQIDBA==", []Packet{message("hello"), bin("\x01\x02\x03\x04")}},
	{"v4 base64", V4Base64, false, "bAQIDBA==", []Packet{bin("\x01\x02\x03\x04")}},
	{"v4 empty messages", V4, false, "4\x1eb\x1e4", []Packet{message(""), bin(""), message("")}},
	{"v4 every type", V4, false, "0{}\x1e1\x1e2\x1e3\x1e4\x1e5\x1e6", []Packet{
		text(Open, "{}"), text(Close, ""), text(Ping, ""), text(Pong, ""), message(""), text(Upgrade, ""), text(Noop, "")}},
	{"v4 close", V4, false, "6\x1e1", []Packet{text(Noop, ""), text(Close, "")}},
	{"v4 astral", V4, false, "4😀\x1e4é", []Packet{message("😀"), message("é")}},

	{"v3 one", V3, false, "6:4hello", []Packet{message("hello")}},
	{"v3 several", V3, false, "6:4test16:4test26:4test3", []Packet{message("test1"), message("test2"), message("test3")}},
	{"v3 the length of € is 1", V3, false, "2:4€10:4Hello € !", []Packet{message("€"), message("Hello € !")}},
	{"v3 the length of an emoji is 2", V3, false, "3:4😀5:4😀😀1:6", []Packet{message("😀"), message("😀😀"), text(Noop, "")}},
	{"v3 captured", V3Base64, false, "2:4047:4" + hello + "6:b4AQI=", []Packet{message("0"), message(hello), bin("\x01\x02")}},
	{"v3 captured, the end", V3Base64, false, "1:61:1", []Packet{text(Noop, ""), text(Close, "")}},
	{"v3 base64", V3Base64, false, "6:4hello10:b4AQIDBA==", []Packet{message("hello"), bin("\x01\x02\x03\x04")}},
	{"v3 text with a separator", V3, false, "4:4a\x1eb", []Packet{message("a\x1eb")}},

	{"v3 binary", V3, true, "\x00\x06\xff4hello\x01\x05\xff\x04\x01\x02\x03\x04", []Packet{message("hello"), bin("\x01\x02\x03\x04")}},
	{"v3 binary captured", V3, true, "\x00\x02\xff40\x00\x04\x09\xff4" + hello + "\x01\x03\xff\x04\x01\x02",
		[]Packet{message("0"), message(hello), bin("\x01\x02")}},
	{"v3 binary, two and three digits", V3, true, "\x00\x02\x06\xff4" + strings.Repeat("a", 25) + "\x01\x01\x00\x00\xff\x04" + strings.Repeat("\xff", 99),
		[]Packet{message(strings.Repeat("a", 25)), bin(strings.Repeat("\xff", 99))}},
	{"v3 binary, the length of an emoji is 4", V3, true, "\x00\x05\xff4😀\x01\x01\xff\x04", []Packet{message("😀"), bin("")}},
}

func TestPayload(t *testing.T) {
	for _, test := range wires {
		got, binary := test.format.AppendPayload([]byte("before"), test.packets)
		if string(got) != "before"+test.wire || binary != test.binary {
			t.Errorf("%s: encoded as %q, binary %v", test.name, got, binary)
		}
		if size := test.format.PayloadSize(test.packets); size != len(test.wire) {
			t.Errorf("%s: size %d, not %d", test.name, size, len(test.wire))
		}
		packets, err := decode(t, test.format, test.wire, test.binary)
		if err != nil || !equalAll(packets, test.packets) {
			t.Errorf("%s: decoded as %v, %v", test.name, packets, err)
		}
	}
}

// What nobody encodes so but may send.
func TestDecodeMore(t *testing.T) {
	for _, test := range []struct {
		name    string
		format  Format
		binary  bool
		wire    string
		packets []Packet
	}{
		{"base64 with line breaks", V4, false, "bAQID\r\nBA=\r\n=\r\n", []Packet{bin("\x01\x02\x03\x04")}},
		{"line break within four", V4, false, "bAQ\nIDBA\n==", []Packet{bin("\x01\x02\x03\x04")}},
		{"nothing but a line break", V4, false, "b\n", []Packet{bin("")}},
		{"binary although the client takes none", V3Base64, true, "\x01\x02\xff\x04a", []Packet{bin("a")}},
		{"base64 although the client takes binary", V3, false, "6:b4AQI=", []Packet{bin("\x01\x02")}},
		{"base64 in a binary payload", V3, true, "\x00\x06\xffb4AQI=", []Packet{bin("\x01\x02")}},
		{"a binary payload of text", V3, true, "\x00\x01\xff2", []Packet{text(Ping, "")}},
	} {
		packets, err := decode(t, test.format, test.wire, test.binary)
		if err != nil || !equalAll(packets, test.packets) {
			t.Errorf("%s: decoded as %v, %v", test.name, packets, err)
		}
	}
}

func TestMalformed(t *testing.T) {
	for _, test := range []struct {
		name           string
		format         Format
		binary         bool
		wire           string
		err            error
		packet, offset int
	}{
		{"v4 nothing", V4, false, "", ErrEmpty, 0, 0},
		{"v4 a separator", V4, false, "\x1e", ErrEmpty, 0, 0},
		{"v4 separators", V4, false, strings.Repeat("\x1e", 1000), ErrEmpty, 0, 0},
		{"v4 a separator at the end", V4, false, "4a\x1e", ErrEmpty, 1, 3},
		{"v4 two separators", V4, false, "4a\x1e\x1e4b", ErrEmpty, 1, 3},
		{"v4 type 7", V4, false, "4a\x1e7", ErrType, 1, 3},
		{"v4 type 9", V4, false, "9", ErrType, 0, 0},
		{"v4 type -", V4, false, "-1", ErrType, 0, 0},
		{"v4 no type", V4, false, "abc", ErrType, 0, 0},
		{"v4 type €", V4, false, "€", ErrType, 0, 0},
		{"v4 newlines", V4, false, "\n\n\n", ErrType, 0, 0},
		{"v4 the other protocol", V4, false, "b4AQI=", ErrBase64, 0, 5},
		{"v4 binary", V4, true, "4a", ErrBinary, 0, 0},
		{"v4 base64 characters", V4, false, "bAQ*=", ErrBase64, 0, 3},
		{"v4 base64 of the other alphabet", V4, false, "b_-__", ErrBase64, 0, 1},
		{"v4 base64 with a space", V4, false, "bAQ ID", ErrBase64, 0, 3},
		{"v4 base64 too short", V4, false, "bAQI", ErrBase64, 0, 4},
		{"v4 base64 of one character", V4, false, "4a\x1ebA", ErrBase64, 1, 5},
		{"v4 base64 without all its padding", V4, false, "bAQ=", ErrBase64, 0, 4},
		{"v4 base64 with padding alone", V4, false, "b====", ErrBase64, 0, 1},
		{"v4 base64 with one character and padding", V4, false, "bA===", ErrBase64, 0, 2},
		{"v4 base64 with too much padding", V4, false, "bAQI==", ErrBase64, 0, 5},
		{"v4 base64 after the padding", V4, false, "bAQ==AQ==", ErrBase64, 0, 5},
		{"v4 base64 within the padding", V4, false, "bAQ=A", ErrBase64, 0, 4},
		{"v4 base64 with bits left over, 4", V4, false, "bAR==", ErrBase64, 0, 2},
		{"v4 base64 with bits left over, 2", V4, false, "bAQJ=", ErrBase64, 0, 3},
		{"v4 not UTF-8", V4, false, "4a\x1e4ab\xff", ErrUTF8, 1, 6},
		{"v4 overlong", V4, false, "4\xc0\xaf", ErrUTF8, 0, 1},
		{"v4 a surrogate in UTF-8", V4, false, "4a\xed\xa0\x80", ErrUTF8, 0, 2},
		{"v4 half a character", V4, false, "4a\xe2\x82\x1e4b", ErrUTF8, 0, 2},
		{"v4 not UTF-8 in a noop", V4, false, "6\xff", ErrUTF8, 0, 1},

		{"v3 nothing", V3, false, "", ErrEmpty, 0, 0},
		{"v3 an empty packet", V3, false, "0:", ErrEmpty, 0, 0},
		{"v3 an empty packet after another", V3, false, "2:4a0:2:4a", ErrEmpty, 1, 4},
		{"v3 the other protocol", V3, false, "4hello", ErrLength, 0, 1},
		{"v3 no length", V3, false, ":4a", ErrLength, 0, 0},
		{"v3 a length alone", V3, false, "1", ErrTruncated, 0, 1},
		{"v3 a length of zero without end", V3, false, "0", ErrTruncated, 0, 1},
		{"v3 a length and no packet", V3, false, "1:", ErrTruncated, 0, 2},
		{"v3 a negative length", V3, false, "-1:4", ErrLength, 0, 0},
		{"v3 a length with a sign", V3, false, "+2:4a", ErrLength, 0, 0},
		{"v3 a length with a point", V3, false, "2.0:4a", ErrLength, 0, 1},
		{"v3 a length with a space", V3, false, " 2:4a", ErrLength, 0, 0},
		{"v3 a length with an exponent", V3, false, "2e0:4a", ErrLength, 0, 1},
		{"v3 a length in base 16", V3, false, "0x2:4a", ErrLength, 0, 0},
		{"v3 a length with a leading zero", V3, false, "02:4a", ErrLength, 0, 0},
		{"v3 a length too large by one", V3, false, "2:4a4:4ab", ErrTruncated, 1, 9},
		{"v3 a length too large", V3, false, "9223372036854775807:4a", ErrTruncated, 0, 22},
		{"v3 a length beyond all integers", V3, false, strings.Repeat("9", 400) + ":4a", ErrTruncated, 0, 403},
		{"v3 a length that is NaN", V3, false, "NaN:4a", ErrLength, 0, 0},
		{"v3 the length in bytes", V3, false, "4:4€", ErrTruncated, 0, 6},
		{"v3 the length in bytes, and more", V3, false, "4:4€1:6", ErrTruncated, 1, 9},
		{"v3 the length in characters", V3, false, "2:4😀", ErrLength, 0, 0},
		{"v3 the length in characters, two packets", V3, false, "3:4ab2:4😀1:6", ErrLength, 1, 5},
		{"v3 captured, a length too small", V3, false, `12:420["x","a` + "\n" + `b"]`, ErrLength, 1, 15},
		{"v3 type 7", V3, false, "1:61:7", ErrType, 1, 5},
		{"v3 base64 without type", V3, false, "1:b", ErrType, 0, 3},
		{"v3 base64 of type 9", V3, false, "2:b9", ErrType, 0, 3},
		{"v3 base64 of a ping", V3, false, "6:b2AQI=", ErrBinary, 0, 3},
		{"v3 bad base64", V3, false, "1:66:b4A*I=", ErrBase64, 1, 8},
		{"v3 not UTF-8", V3, false, "3:4\xff\xfe", ErrUTF8, 0, 3},
		{"v3 not UTF-8, the length fits", V3, false, "2:4\xc3(", ErrUTF8, 0, 3},
		{"v3 stray continuation", V3, false, "2:4a\x80", ErrUTF8, 0, 4},

		{"v3 binary nothing", V3, true, "", ErrEmpty, 0, 0},
		{"v3 binary but text", V3, true, "6:4hello", ErrType, 0, 0},
		{"v3 binary 02", V3, true, "\x02\x01\xff4", ErrType, 0, 0},
		{"v3 binary an empty packet", V3, true, "\x00\x00\xff", ErrEmpty, 0, 1},
		{"v3 binary an empty binary packet", V3, true, "\x01\x00\xff", ErrEmpty, 0, 1},
		{"v3 binary no length", V3, true, "\x01\xff\x04", ErrLength, 0, 1},
		{"v3 binary no end of the length", V3, true, "\x00\x01", ErrTruncated, 0, 2},
		{"v3 binary digits of text", V3, true, "\x001\xff4", ErrLength, 0, 1},
		{"v3 binary digit 254", V3, true, "\x00\xfe\xff4", ErrLength, 0, 1},
		{"v3 binary leading zero", V3, true, "\x00\x00\x01\xff4", ErrLength, 0, 1},
		{"v3 binary too long by one", V3, true, "\x00\x02\xff4", ErrTruncated, 0, 4},
		{"v3 binary 310 digits", V3, true, "\x00" + strings.Repeat("\x09", 310) + "\xff4", ErrTruncated, 0, 313},
		{"v3 binary no type", V3, true, "\x00\x01\xff4\x00\x02\xff7a", ErrType, 1, 7},
		{"v3 binary of type 7", V3, true, "\x01\x02\xff\x07a", ErrType, 0, 3},
		{"v3 binary of type '4'", V3, true, "\x01\x02\xff4a", ErrType, 0, 3},
		{"v3 binary of a ping", V3, true, "\x01\x01\xff\x02", ErrBinary, 0, 3},
		{"v3 binary not UTF-8", V3, true, "\x00\x03\xff4a\xff", ErrUTF8, 0, 5},
	} {
		packets, err := decode(t, test.format, test.wire, test.binary)
		var e *Error
		if !errors.As(err, &e) || e.Err != test.err || e.Packet != test.packet || e.Offset != test.offset {
			t.Errorf("%s: %v, want packet %d, byte %d: %v", test.name, err, test.packet, test.offset, test.err)
		}
		if len(packets) != test.packet {
			t.Errorf("%s: %d packets before the error", test.name, len(packets))
		}
	}
}

// Cut anywhere, what is left gives the packets before the cut and nothing that was not there.
func TestCut(t *testing.T) {
	for _, test := range wires {
		for size := range len(test.wire) {
			packets, err := decode(t, test.format, test.wire[:size], test.binary)
			n := len(packets)
			if n > len(test.packets) || n == len(test.packets) && err == nil && test.format.Protocol() == 3 {
				t.Fatalf("%s, cut at %d: %v, %v", test.name, size, packets, err)
			}
			// In protocol 4 nothing says how long the last one is.
			if test.format.Protocol() == 4 && n > 0 {
				n--
				last, want := packets[n], test.packets[n]
				if last.Type != want.Type || !bytes.HasPrefix(want.Data, last.Data) {
					t.Fatalf("%s, cut at %d: %v", test.name, size, packets)
				}
			}
			if !equalAll(packets[:n], test.packets[:n]) {
				t.Fatalf("%s, cut at %d: %v", test.name, size, packets)
			}
		}
	}
}

// One byte that is another gives packets or an error, and never more data than there are bytes.
func TestGarbled(t *testing.T) {
	for _, test := range wires {
		for at := range len(test.wire) {
			body := []byte(test.wire)
			for c := range 256 {
				body[at] = byte(c)
				packets, _ := decode(t, test.format, string(body), test.binary)
				total := 0
				for _, p := range packets {
					total += 1 + len(p.Data)
				}
				if total > len(body) {
					t.Fatalf("%s, byte %d is %#x: %d bytes in packets", test.name, at, c, total)
				}
			}
		}
	}
}

// Whoever stops is given no more.
func TestStop(t *testing.T) {
	n := 0
	for range V4.Packets([]byte("4a\x1e4b\x1e4c"), false) {
		if n++; n == 2 {
			break
		}
	}
	if n != 2 {
		t.Fatal(n)
	}
}

// An append to the data of a packet must not be able to change the next packet.
func TestDataOfItsOwn(t *testing.T) {
	for _, test := range wires {
		var packets []Packet
		for p := range test.format.Packets([]byte(test.wire), test.binary) {
			packets = append(packets, p)
		}
		for _, p := range packets {
			_ = append(p.Data, "overwritten"...)
		}
		if !equalAll(packets, test.packets) {
			t.Errorf("%s: %v", test.name, packets)
		}
	}
}
