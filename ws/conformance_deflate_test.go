package ws_test

import (
	"strings"

	"baro.dev/ws"
)

const (
	smallWindows = "permessage-deflate; server_max_window_bits=9; client_max_window_bits=9"
	tinyWindows  = "permessage-deflate; server_max_window_bits=8; client_max_window_bits=8"
	serverFresh  = "permessage-deflate; server_no_context_takeover"
	clientFresh  = "permessage-deflate; client_no_context_takeover"
)

// The examples of RFC 7692 7.2.3, without the header of the frame.
const (
	helloPacked = "\xf2\x48\xcd\xc9\xc9\x07\x00"
	helloAgain  = "\xf2\x00\x11\x00\x00" // refers to the five bytes before it
	helloStored = "\x00\x05\x00\xfa\xffHello\x00"
	helloFinal  = "\xf3\x48\xcd\xc9\xc9\x07\x00\x00"
	helloBlocks = "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"
)

// deflateRows are RFC 7692 6 and 7, with each way of context takeover.
func deflateRows() []row {
	all := windowRows()
	for _, agreed := range []string{takeover, noTakeover, serverFresh, clientFresh, smallWindows} {
		for _, r := range packedRows() {
			r.deflate = agreed
			all = append(all, r)
		}
	}
	for _, r := range reservedRows() {
		r.deflate = takeover
		all = append(all, r)
	}
	return all
}

// packedRows are compressed messages that stand for themselves.
func packedRows() []row {
	hello := sights(sawText("Hello"))
	long := strings.Repeat("compressible 압축 ", 500)
	noise := randomBytes(5000)
	limits := ws.Limits{MaxMessageSize: 1000}
	one := firstFrame(opText, helloPacked[:1]).with(rsv1)
	var bytewise []wireFrame
	for c := range strings.SplitSeq(helloPacked[1:], "") {
		bytewise = append(bytewise, nextFrame(c))
	}
	return []row{
		{section: "7692 7.2.3.1", says: "a message compressed using one compressed DEFLATE block", in: frames(packedFrame(opText, helloPacked)), out: hello},
		{section: "7692 7.2.3.1", says: "the same in fragments: RSV1 is set on the first alone", in: frames(firstFrame(opText, "\xf2\x48\xcd").with(rsv1), lastFrame("\xc9\xc9\x07\x00")), out: hello},
		{section: "7692 7.2.3.3", says: "using a DEFLATE block with no compression", in: frames(packedFrame(opText, helloStored)), out: hello},
		{section: "7692 7.2.3.4", says: "using a DEFLATE block with BFINAL set to 1", in: frames(packedFrame(opText, helloFinal)), out: hello},
		{section: "7692 7.2.3.5", says: "two DEFLATE blocks in one message", in: frames(packedFrame(opText, helloBlocks)), out: hello},
		{section: "7692 7.2.3.6", says: "an empty message is 0x00", in: frames(packedFrame(opText, "\x00"), packedFrame(opBinary, "\x00")), out: sights(sawText(""), sawBinary(""))},
		{section: "7692 6.2", says: "compressed data may be cut into frames anywhere", in: append(append(frames(one), bytewise...), lastFrame("")), out: hello},
		{section: "7692 6.2", says: "an empty first fragment has the bit that counts", in: frames(firstFrame(opText, "").with(rsv1), lastFrame(helloPacked)), out: hello},
		{section: "7692 6.2", says: "control frames between the fragments of a compressed message", in: frames(one, pingFrame("p"), pongFrame("q"), lastFrame(helloPacked[1:])), out: sights(sawPong("p"), sawText("Hello"))},
		{section: "7692 6", says: "a message with RSV1 unset is not compressed", in: frames(textFrame("plain"), packedFrame(opText, helloPacked), textFrame("plain"), binaryFrame(helloPacked)), out: sights(sawText("plain"), sawText("Hello"), sawText("plain"), sawBinary(helloPacked))},
		{section: "7692 6.1", says: "a long message", in: frames(packedFrame(opText, deflated(long))), out: sights(sawText(long))},
		{section: "7692 6.1", says: "long messages, one like the other", in: frames(packedFrame(opText, deflated(long)), packedFrame(opText, deflated(long)), textFrame(long)), out: sights(sawText(long), sawText(long), sawText(long))},
		{section: "7692 6.1", says: "a message that does not get shorter", in: frames(packedFrame(opBinary, deflated(noise)), binaryFrame(noise), binaryFrame(noise)), out: sights(sawBinary(noise), sawBinary(noise), sawBinary(noise))},
		{section: "7692 7.2.2", says: "bytes of all values", in: frames(packedFrame(opBinary, deflated("\x00\xff\x80\x7f\xfe\x01"))), out: sights(sawBinary("\x00\xff\x80\x7f\xfe\x01"))},

		{section: "8.1", says: "the text is what was compressed: not UTF-8", in: frames(packedFrame(opText, deflated("\xff"))), fails: 1007},
		{section: "8.1", says: "the text is what was compressed: cut within a character", in: frames(packedFrame(opText, deflated("실\xec\x8b"))), fails: 1007},
		{section: "8.1", says: "the text is what was compressed: not what is on the wire", in: frames(packedFrame(opText, deflated("실시간")), packedFrame(opBinary, deflated("\xff"))), out: sights(sawText("실시간"), sawBinary("\xff"))},

		{section: "10.4", says: "a limit on the message size, after inflation", limits: limits, in: frames(packedFrame(opBinary, deflated(strings.Repeat("x", 1001)))), fails: 1009},
		{section: "10.4", says: "a message of the largest size, after inflation", limits: limits, in: frames(packedFrame(opBinary, deflated(strings.Repeat("x", 1000)))), out: sights(sawBinary(strings.Repeat("x", 1000)))},
		{section: "10.4", says: "a message of the largest size that does not get shorter", limits: limits, in: frames(packedFrame(opBinary, "\x00\xe8\x03\x17\xfc"+noise[:1000]+"\x00")), out: sights(sawBinary(noise[:1000]))},
		{section: "10.4", says: "a limit on the message size, in fragments", limits: limits, in: frames(firstFrame(opBinary, deflated(strings.Repeat("x", 5000))[:5]).with(rsv1), lastFrame(deflated(strings.Repeat("x", 5000))[5:])), fails: 1009},
		{section: "10.4", says: "a limit on the message size, when it is announced", limits: limits, in: frames(packedFrame(opBinary, "").announcing(10_000)), fails: 1009},

		{section: "7692 7.2.2", says: "what is no DEFLATE data cannot be decompressed: the reserved block type", in: frames(packedFrame(opText, "\x06\x00")), fails: 1007},
		{section: "7692 7.2.2", says: "what is no DEFLATE data cannot be decompressed: a stored block whose length is not its complement", in: frames(packedFrame(opText, "\x00\x05\x00\xfb\xffHello\x00")), fails: 1007},
		{section: "7692 7.2.2", says: "what is no DEFLATE data cannot be decompressed: cut within a block", in: frames(packedFrame(opText, helloPacked[:3])), fails: 1007},
		{section: "7692 7.2.2", says: "what is no DEFLATE data cannot be decompressed: cut within a stored block", in: frames(packedFrame(opText, helloStored[:7])), fails: 1007},
		{section: "7692 7.2.2", says: "what is no DEFLATE data cannot be decompressed: garbage", in: frames(packedFrame(opBinary, "\xff\xff\xff\xff\xff\xff")), fails: 1007},
		{section: "7692 7.2.2", says: "what is no DEFLATE data cannot be decompressed: something behind the final block", in: frames(packedFrame(opText, helloFinal+"garbage")), fails: 1007},
		{section: "7692 7.2.2", says: "what is no DEFLATE data cannot be decompressed: a reference to before the first byte", in: frames(packedFrame(opText, helloAgain)), fails: 1007},
	}
}

// reservedRows are RFC 7692 6: RSV1 is for the first frame of a message alone.
func reservedRows() []row {
	return []row{
		{section: "7692 6.1", says: "an endpoint MUST NOT set the bit on control frames: ping", in: frames(pingFrame("p").with(rsv1)), fails: 1002},
		{section: "7692 6.1", says: "an endpoint MUST NOT set the bit on control frames: pong", in: frames(pongFrame(helloPacked).with(rsv1)), fails: 1002},
		{section: "7692 6.1", says: "an endpoint MUST NOT set the bit on control frames: close", in: frames(closeFrame(1000, "").with(rsv1)), fails: 1002},
		{section: "7692 6.1", says: "an endpoint MUST NOT set the bit on control frames: ping inside a compressed message", in: frames(firstFrame(opText, "\xf2").with(rsv1), pingFrame("p").with(rsv1)), fails: 1002},
		{section: "7692 6.1", says: "an endpoint MUST NOT set the bit on non-first fragments", in: frames(firstFrame(opText, "\xf2\x48\xcd").with(rsv1), lastFrame("\xc9\xc9\x07\x00").with(rsv1)), fails: 1002},
		{section: "7692 6.1", says: "an endpoint MUST NOT set the bit on non-first fragments of what is not compressed", in: frames(firstFrame(opText, "Hel"), lastFrame("lo").with(rsv1)), fails: 1002},
		{section: "5.2", says: "RSV2 has no meaning by this extension", in: frames(textFrame("x").with(rsv2)), fails: 1002},
		{section: "5.2", says: "RSV3 has no meaning by this extension", in: frames(packedFrame(opText, helloPacked).with(rsv3)), fails: 1002},
		{section: "5.2", says: "RSV2 in a continuation frame has no meaning by this extension", in: frames(firstFrame(opText, "x"), lastFrame("x").with(rsv2)), fails: 1002},
		{section: "5.2", says: "an unknown opcode has no meaning by this extension", in: frames(newFrame(fin|rsv1|3, "x")), fails: 1002},
	}
}

// windowRows are RFC 7692 7.1: which bytes may be referred to.
func windowRows() []row {
	const (
		with    = "with context takeover a message may refer to what was compressed before it"
		without = "without context takeover a message MUST NOT refer to what was compressed before it"
		beyond  = "a message MUST NOT refer further back than the window that was agreed"
	)
	twice := sights(sawText("Hello"), sawText("Hello"))
	noise := randomText(600)
	d := newPeerDeflater()
	first, second, third := d.deflate(noise), d.deflate("between"), d.deflate(noise)
	all := []row{
		{section: "7692 7.2.3.2", says: with, deflate: takeover, in: frames(packedFrame(opText, helloPacked), packedFrame(opText, helloAgain)), out: twice},
		{section: "7692 7.2.3.2", says: with + ", in fragments", deflate: takeover, in: frames(packedFrame(opText, helloPacked), firstFrame(opText, helloAgain[:2]).with(rsv1), lastFrame(helloAgain[2:])), out: twice},
		{section: "7692 7.2.3.2", says: with + ", not to what was not compressed", deflate: takeover, in: frames(packedFrame(opText, helloPacked), textFrame("World"), packedFrame(opText, helloAgain)), out: sights(sawText("Hello"), sawText("World"), sawText("Hello"))},
		{section: "7692 7.2.3.2", says: with + ", not to control frames", deflate: takeover, in: frames(packedFrame(opText, helloPacked), pingFrame("World"), pongFrame("World"), packedFrame(opText, helloAgain)), out: sights(sawText("Hello"), sawPong("World"), sawText("Hello"))},
		{section: "7692 7.2.3.2", says: with + ", behind a final block", deflate: takeover, in: frames(packedFrame(opText, helloFinal), packedFrame(opText, helloAgain)), out: twice},
		{section: "7692 7.2.3.2", says: with + ", behind a stored block", deflate: takeover, in: frames(packedFrame(opText, helloStored), packedFrame(opText, helloAgain)), out: twice},
		{section: "7692 7.2.3.2", says: with + ", behind an empty message", deflate: takeover, in: frames(packedFrame(opText, helloPacked), packedFrame(opBinary, "\x00"), packedFrame(opText, helloAgain)), out: sights(sawText("Hello"), sawBinary(""), sawText("Hello"))},
		{section: "7692 7.2.3.2", says: with + ", far back", deflate: takeover, in: frames(packedFrame(opText, first), packedFrame(opText, second), packedFrame(opText, third)), out: sights(sawText(noise), sawText("between"), sawText(noise))},
		{section: "7692 7.1.1.2", says: without + ": client", only: "server", deflate: clientFresh, in: frames(packedFrame(opText, helloPacked), packedFrame(opText, helloAgain)), out: sights(sawText("Hello")), fails: 1007},
		{section: "7692 7.1.1.1", says: without + ": server", only: "client", deflate: serverFresh, in: frames(packedFrame(opText, helloPacked), packedFrame(opText, helloAgain)), out: sights(sawText("Hello")), fails: 1007},
		{section: "7692 7.1.1.1", says: "server_no_context_takeover does not bind the client", only: "server", deflate: serverFresh, in: frames(packedFrame(opText, helloPacked), packedFrame(opText, helloAgain)), out: twice},
		{section: "7692 7.1.1.2", says: "client_no_context_takeover does not bind the server", only: "client", deflate: clientFresh, in: frames(packedFrame(opText, helloPacked), packedFrame(opText, helloAgain)), out: twice},
		{section: "7692 7.1.2", says: beyond + ": 600 of 512 bytes", deflate: smallWindows, in: frames(packedFrame(opText, first), packedFrame(opText, second), packedFrame(opText, third)), out: sights(sawText(noise), sawText("between")), fails: 1007},
		{section: "7692 7.1.2", says: "a message may refer as far back as the window", deflate: smallWindows, in: frames(packedFrame(opText, helloPacked), packedFrame(opText, helloAgain)), out: twice},
		{section: "7692 7.1.2", says: "the smallest window", deflate: tinyWindows, in: frames(packedFrame(opText, helloPacked), packedFrame(opText, helloAgain)), out: twice},
	}
	// That what comes back keeps to the agreement is what the test's inflater finds out.
	long := randomText(2000)
	for _, agreed := range []string{takeover, noTakeover, serverFresh, clientFresh, smallWindows, tinyWindows} {
		all = append(all, row{section: "7692 7.1", says: "an endpoint MUST compress as was agreed: " + agreed, deflate: agreed,
			in:  frames(textFrame(long), textFrame(long), binaryFrame(long[:300]), textFrame(long[1700:]), textFrame("x"), textFrame(long)),
			out: sights(sawText(long), sawText(long), sawBinary(long[:300]), sawText(long[1700:]), sawText("x"), sawText(long))})
	}
	return all
}
