package ws_test

import (
	"fmt"
	"strings"
)

// What the side under test sends back.
func sawText(s string) sight   { return sight{opText, s} }
func sawBinary(s string) sight { return sight{opBinary, s} }
func sawPong(s string) sight   { return sight{opPong, s} }

func frames(f ...wireFrame) []wireFrame { return f }
func sights(s ...sight) []sight         { return s }

// framingRows are RFC 6455 5.2, but for lengths and masking.
func framingRows() []row {
	all := []row{
		{section: "5.2", says: "%x1 denotes a text frame", in: frames(textFrame("Hello")), out: sights(sawText("Hello"))},
		{section: "5.2", says: "%x2 denotes a binary frame", in: frames(binaryFrame("\x00\xff\x80")), out: sights(sawBinary("\x00\xff\x80"))},
		{section: "5.2", says: "%x9 denotes a ping", in: frames(pingFrame("p")), out: sights(sawPong("p"))},
		{section: "5.2", says: "%xA denotes a pong", in: frames(pongFrame("p"))},
		{section: "5.2", says: "%x8 denotes a connection close", in: frames(closeFrame(1000, "")), closes: 1000},
		{section: "5.7", says: "a single-frame unmasked text message contains \"Hello\"", only: "client", in: frames(rawBytes("\x81\x05\x48\x65\x6c\x6c\x6f")), out: sights(sawText("Hello"))},
		{section: "5.7", says: "a single-frame masked text message contains \"Hello\"", only: "server", in: frames(rawBytes("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58")), out: sights(sawText("Hello"))},
		{section: "5.7", says: "a fragmented unmasked text message contains \"Hel\" and \"lo\"", only: "client", in: frames(rawBytes("\x01\x03\x48\x65\x6c"), rawBytes("\x80\x02\x6c\x6f")), out: sights(sawText("Hello"))},
		{section: "5.7", says: "an unmasked ping request contains a body of \"Hello\"", only: "client", in: frames(rawBytes("\x89\x05\x48\x65\x6c\x6c\x6f")), out: sights(sawPong("Hello"))},
		{section: "6.2", says: "an endpoint listens to data on the underlying connection: frames that come together are all seen, in order", in: frames(
			textFrame("1"), binaryFrame("2"), pingFrame("3"), textFrame("4"), pongFrame(""), binaryFrame("")),
			out: sights(sawText("1"), sawBinary("2"), sawPong("3"), sawText("4"), sawBinary(""))},
	}
	// RFC 6455 5.2: if a nonzero reserved bit is received and no extension defines it, the endpoint MUST fail.
	for rsv := byte(rsv3); rsv <= rsv1|rsv2|rsv3; rsv += rsv3 {
		for _, f := range []struct {
			name   string
			frames []wireFrame
		}{
			{"text frame", frames(textFrame("x").with(rsv))},
			{"binary frame", frames(binaryFrame("x").with(rsv))},
			{"first fragment", frames(firstFrame(opText, "x").with(rsv))},
			{"continuation frame", frames(firstFrame(opText, "x"), lastFrame("y").with(rsv))},
			{"ping", frames(pingFrame("x").with(rsv))},
			{"pong", frames(pongFrame("x").with(rsv))},
			{"close frame", frames(closeFrame(1000, "").with(rsv))},
		} {
			all = append(all, row{section: "5.2", says: fmt.Sprintf("RSV %03b MUST be 0 unless an extension is negotiated: in a %s", rsv>>4, f.name), in: f.frames, fails: 1002})
		}
	}
	// RFC 6455 5.2: if an unknown opcode is received, the receiving endpoint MUST fail the connection.
	for _, op := range []byte{3, 4, 5, 6, 7, 0xB, 0xC, 0xD, 0xE, 0xF} {
		all = append(all,
			row{section: "5.2", says: fmt.Sprintf("unknown opcode %x MUST fail", op), in: frames(newFrame(fin|op, "x")), fails: 1002},
			row{section: "5.2", says: fmt.Sprintf("unknown opcode %x MUST fail, without FIN and payload", op), in: frames(newFrame(op, "")), fails: 1002},
			row{section: "5.2", says: fmt.Sprintf("unknown opcode %x MUST fail, inside a message", op), in: frames(textFrame("a"), firstFrame(opText, "b"), newFrame(fin|op, "")), out: sights(sawText("a")), fails: 1002})
	}
	return append(all,
		row{section: "5.2", says: "an unknown opcode is refused at its first byte", in: frames(rawBytes("\x83")), fails: 1002},
		row{section: "5.2", says: "a reserved bit is refused at its byte", in: frames(rawBytes("\xf1")), fails: 1002})
}

// lengthRows are the lengths of RFC 6455 5.2.
func lengthRows() []row {
	all := []row{
		{section: "5.2", says: "the most significant bit of a 64-bit length MUST be 0", in: frames(binaryFrame("").announcing(1 << 63)), fails: 1002},
		{section: "5.2", says: "the most significant bit MUST be 0, the others whatever", in: frames(binaryFrame("").announcing(1<<64 - 1)), fails: 1002},
		{section: "5.2", says: "the most significant bit MUST be 0: 2^63+5", in: frames(binaryFrame("").announcing(1<<63 + 5)), fails: 1002},
		{section: "5.2", says: "the most significant bit MUST be 0, in a continuation frame", in: frames(firstFrame(opBinary, "x"), lastFrame("").announcing(1<<63)), fails: 1002},
	}
	// RFC 6455 5.2: the payload length is that of the encoding, at the edges between the encodings too.
	for _, size := range []int{0, 1, 2, 124, 125, 126, 127, 128, 255, 256, 65534, 65535, 65536, 65537, 200_000} {
		data := strings.Repeat("0123456789abcdef", size/16+1)[:size]
		all = append(all,
			row{section: "5.2", says: fmt.Sprintf("a payload of %d bytes", size), in: frames(binaryFrame(data)), out: sights(sawBinary(data))},
			row{section: "5.2", says: fmt.Sprintf("a payload of %d bytes, and what follows", size), in: frames(textFrame(data), pingFrame("x")), out: sights(sawText(data), sawPong("x"))})
	}
	// RFC 6455 5.2: in all cases, the minimal number of bytes MUST be used to encode the length.
	for _, size := range []int{1, 125} {
		data := strings.Repeat("x", size)
		all = append(all,
			row{section: "5.2", says: fmt.Sprintf("the minimal number of bytes MUST be used: %d in 16 bits", size), in: frames(binaryFrame(data).in(2)), fails: 1002},
			row{section: "5.2", says: fmt.Sprintf("the minimal number of bytes MUST be used: %d in a control frame in 16 bits", size), in: frames(pingFrame(data).in(2)), fails: 1002})
	}
	for _, size := range []int{1, 125, 126, 65535} {
		all = append(all, row{section: "5.2", says: fmt.Sprintf("the minimal number of bytes MUST be used: %d in 64 bits", size),
			in: frames(binaryFrame(strings.Repeat("x", size)).in(8)), fails: 1002})
	}
	return append(all,
		row{section: "5.2", says: "the minimal number of bytes MUST be used: 0 in 16 bits", in: frames(binaryFrame("").in(2)), fails: 1002},
		row{section: "5.2", says: "the minimal number of bytes MUST be used: 0 in 64 bits", in: frames(textFrame("").in(8)), fails: 1002},
		row{section: "5.2", says: "the minimal number of bytes MUST be used: in a continuation frame", in: frames(firstFrame(opText, "x"), lastFrame("y").in(2)), fails: 1002})
}

// maskingRows are RFC 6455 5.1 and 5.3. That what is sent is masked by a client, and not by a server, is held of every
// frame in every row.
func maskingRows() []row {
	all := []row{
		{section: "5.1", says: "what a client sends is masked, what a server sends is not", in: frames(textFrame("Hello"), pingFrame("p"), binaryFrame("")), out: sights(sawText("Hello"), sawPong("p"), sawBinary(""))},
	}
	for _, wrong := range []struct {
		name   string
		frames []wireFrame
	}{
		{"text frame", frames(textFrame("Hello").wronglyMasked())},
		{"empty text frame", frames(textFrame("").wronglyMasked())},
		{"binary frame", frames(binaryFrame("Hello").wronglyMasked())},
		{"first fragment", frames(firstFrame(opText, "Hel").wronglyMasked())},
		{"continuation frame", frames(firstFrame(opText, "Hel"), lastFrame("lo").wronglyMasked())},
		{"ping", frames(pingFrame("p").wronglyMasked())},
		{"pong", frames(pongFrame("").wronglyMasked())},
		{"close frame", frames(closeFrame(1000, "").wronglyMasked())},
		{"large frame", frames(binaryFrame("").announcing(1 << 40).wronglyMasked())},
	} {
		all = append(all,
			row{section: "5.1", says: "the server MUST close the connection upon receiving a frame that is not masked: " + wrong.name, only: "server", in: wrong.frames, fails: 1002},
			row{section: "5.1", says: "a client MUST close a connection if it detects a masked frame: " + wrong.name, only: "client", in: wrong.frames, fails: 1002})
	}
	for _, key := range [][4]byte{{}, {0xff, 0xff, 0xff, 0xff}, {1, 2, 3, 4}, {0x80, 0, 0, 0}, {0, 0, 0, 0x80}} {
		all = append(all, row{section: "5.3", says: fmt.Sprintf("transformed octet i is the XOR of octet i with octet i modulo 4 of the key %x", key), only: "server",
			in: frames(textFrame("").keyed(key), textFrame("a").keyed(key), textFrame("ab").keyed(key), textFrame("abc").keyed(key), textFrame("abcd").keyed(key),
				textFrame("abcde").keyed(key), binaryFrame(strings.Repeat("0123456", 31)).keyed(key), pingFrame("ping").keyed(key)),
			out: sights(sawText(""), sawText("a"), sawText("ab"), sawText("abc"), sawText("abcd"), sawText("abcde"), sawBinary(strings.Repeat("0123456", 31)), sawPong("ping"))})
	}
	return append(all,
		row{section: "5.3", says: "the masking does not go on from one frame to the next", only: "server",
			in:  frames(firstFrame(opText, "abc").keyed([4]byte{1, 2, 3, 4}), nextFrame("d").keyed([4]byte{5, 6, 7, 8}), lastFrame("efg").keyed([4]byte{9, 10, 11, 12})),
			out: sights(sawText("abcdefg"))})
}
