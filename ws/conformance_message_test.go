package ws_test

import (
	"strings"

	"baro.dev/ws"
)

// fragmentRows are RFC 6455 5.4.
func fragmentRows() []row {
	const (
		injected   = "control frames MAY be injected in the middle of a fragmented message"
		interleave = "the fragments of one message MUST NOT be interleaved between the fragments of another"
		start      = "a continuation frame continues a message that a frame with an opcode other than 0 began"
	)
	var singles []wireFrame
	singles = append(singles, firstFrame(opText, ""))
	for c := range strings.SplitSeq(strings.Repeat("x", 300), "") {
		singles = append(singles, nextFrame(c))
	}
	return []row{
		{section: "5.4", says: "an unfragmented message is a single frame with FIN", in: frames(textFrame("Hello")), out: sights(sawText("Hello"))},
		{section: "5.4", says: "a fragmented message is a frame without FIN, any number of continuation frames, one with FIN", in: frames(firstFrame(opText, "Hel"), lastFrame("lo")), out: sights(sawText("Hello"))},
		{section: "5.4", says: "a fragmented message in three frames", in: frames(firstFrame(opBinary, "H"), nextFrame("el"), lastFrame("lo")), out: sights(sawBinary("Hello"))},
		{section: "5.4", says: "a fragmented message in 302 frames", in: append(singles, lastFrame("")), out: sights(sawText(strings.Repeat("x", 300)))},
		{section: "5.4", says: "an empty first fragment", in: frames(firstFrame(opText, ""), lastFrame("Hello")), out: sights(sawText("Hello"))},
		{section: "5.4", says: "an empty fragment in the middle", in: frames(firstFrame(opText, "Hel"), nextFrame(""), lastFrame("lo")), out: sights(sawText("Hello"))},
		{section: "5.4", says: "an empty last fragment", in: frames(firstFrame(opText, "Hello"), lastFrame("")), out: sights(sawText("Hello"))},
		{section: "5.4", says: "nothing but empty fragments", in: frames(firstFrame(opBinary, ""), nextFrame(""), nextFrame(""), lastFrame("")), out: sights(sawBinary(""))},
		{section: "5.4", says: "fragments of any size", in: frames(firstFrame(opBinary, strings.Repeat("a", 70_000)), nextFrame("b"), nextFrame(strings.Repeat("c", 20_000)), lastFrame(strings.Repeat("d", 126))),
			out: sights(sawBinary(strings.Repeat("a", 70_000) + "b" + strings.Repeat("c", 20_000) + strings.Repeat("d", 126)))},
		{section: "5.4", says: "as a consequence of these rules, all fragments are of the type of the first one's opcode", in: frames(firstFrame(opBinary, "\xff"), lastFrame("\xfe"), firstFrame(opText, "a"), lastFrame("b")), out: sights(sawBinary("\xff\xfe"), sawText("ab"))},
		{section: "5.4", says: "one fragmented message after another", in: frames(firstFrame(opText, "1"), lastFrame("2"), firstFrame(opText, "3"), lastFrame("4"), textFrame("5")), out: sights(sawText("12"), sawText("34"), sawText("5"))},

		{section: "5.4", says: injected + ": ping", in: frames(firstFrame(opText, "Hel"), pingFrame("p"), lastFrame("lo")), out: sights(sawPong("p"), sawText("Hello"))},
		{section: "5.4", says: injected + ": pong", in: frames(firstFrame(opText, "Hel"), pongFrame("p"), lastFrame("lo")), out: sights(sawText("Hello"))},
		{section: "5.4", says: injected + ": many", in: frames(firstFrame(opText, "H"), pingFrame("1"), pongFrame(""), pingFrame("2"), nextFrame("el"), pingFrame("3"), lastFrame("lo")), out: sights(sawPong("1"), sawPong("2"), sawPong("3"), sawText("Hello"))},
		{section: "5.4", says: injected + ": behind an empty fragment", in: frames(firstFrame(opText, ""), pingFrame(""), lastFrame("")), out: sights(sawPong(""), sawText(""))},
		{section: "5.4", says: injected + ", even within a character", in: frames(firstFrame(opText, "\xec\x8b"), pingFrame("\xff"), lastFrame("\xa4")), out: sights(sawPong("\xff"), sawText("실"))},
		{section: "5.4", says: injected + ": close", in: frames(firstFrame(opText, "Hel"), closeFrame(1000, "")), closes: 1000},
		{section: "5.4", says: "an endpoint MUST be capable of handling control frames in the middle: not wait for the message to end", in: frames(firstFrame(opText, "Hel"), pingFrame("p")), out: sights(sawPong("p"))},

		{section: "5.4", says: "control frames themselves MUST NOT be fragmented: ping", in: frames(newFrame(opPing, "p")), fails: 1002},
		{section: "5.4", says: "control frames themselves MUST NOT be fragmented: pong", in: frames(newFrame(opPong, "")), fails: 1002},
		{section: "5.4", says: "control frames themselves MUST NOT be fragmented: close", in: frames(newFrame(opClose, "\x03\xe8")), fails: 1002},
		{section: "5.4", says: "control frames themselves MUST NOT be fragmented: ping inside a message", in: frames(firstFrame(opText, "a"), newFrame(opPing, "p")), fails: 1002},
		{section: "5.4", says: "control frames themselves MUST NOT be fragmented: its continuation is not looked at", in: frames(newFrame(opPing, "p"), lastFrame("q")), fails: 1002},

		{section: "5.4", says: interleave + ": text in text", in: frames(firstFrame(opText, "a"), textFrame("b")), fails: 1002},
		{section: "5.4", says: interleave + ": text in binary", in: frames(firstFrame(opBinary, "a"), textFrame("b")), fails: 1002},
		{section: "5.4", says: interleave + ": binary in text", in: frames(firstFrame(opText, "a"), binaryFrame("b")), fails: 1002},
		{section: "5.4", says: interleave + ": the first fragment of another", in: frames(firstFrame(opText, "a"), firstFrame(opText, "b"), lastFrame("c")), fails: 1002},
		{section: "5.4", says: interleave + ": behind a continuation frame and a ping", in: frames(firstFrame(opText, "a"), nextFrame("b"), pingFrame("p"), textFrame("c")), out: sights(sawPong("p")), fails: 1002},

		{section: "5.4", says: start + ": at the start", in: frames(lastFrame("a")), fails: 1002},
		{section: "5.4", says: start + ": at the start, without FIN", in: frames(nextFrame("a")), fails: 1002},
		{section: "5.4", says: start + ": at the start, empty", in: frames(lastFrame("")), fails: 1002},
		{section: "5.4", says: start + ": after a whole message", in: frames(textFrame("a"), lastFrame("b")), out: sights(sawText("a")), fails: 1002},
		{section: "5.4", says: start + ": after a fragmented message", in: frames(firstFrame(opText, "a"), lastFrame("b"), nextFrame("c")), out: sights(sawText("ab")), fails: 1002},
		{section: "5.4", says: start + ": after a ping", in: frames(pingFrame("p"), lastFrame("b")), out: sights(sawPong("p")), fails: 1002},
	}
}

// textRows are RFC 6455 5.6 and 8.1.
func textRows() []row {
	const valid = "메세지 ünïcödé \U0001f600 \x00\x7f\u0080\u07ff\u0800\ud7ff\ue000\ufffd\uffff\U00010000\U0010ffff\ufeff"
	all := []row{
		{section: "5.6", says: "the payload data of a text message is text encoded as UTF-8", in: frames(textFrame(valid)), out: sights(sawText(valid))},
		{section: "5.6", says: "binary data is arbitrary", in: frames(binaryFrame("\xff\xfe\xc0\xaf\xed\xa0\x80")), out: sights(sawBinary("\xff\xfe\xc0\xaf\xed\xa0\x80"))},
		{section: "5.6", says: "a particular text frame might include a partial UTF-8 sequence; the whole message MUST contain valid UTF-8", in: frames(firstFrame(opText, "\xec"), nextFrame("\x8b"), nextFrame("\xa4"), lastFrame("\xec\x8b\xa4")), out: sights(sawText("실실"))},
		{section: "8.1", says: "a binary message in fragments is not text", in: frames(firstFrame(opBinary, "\xff"), lastFrame("\xff")), out: sights(sawBinary("\xff\xff"))},
		{section: "8.1", says: "the next message begins with a new character", in: frames(binaryFrame("\xec"), textFrame("\xec\x8b\xa4"), binaryFrame("\xf0\x9f"), firstFrame(opText, "\xf0\x9f"), lastFrame("\x98\x80")), out: sights(sawBinary("\xec"), sawText("실"), sawBinary("\xf0\x9f"), sawText("\U0001f600"))},
	}
	// Cut within a character, at every byte.
	var single []wireFrame
	single = append(single, firstFrame(opText, ""))
	for i := range len(valid) {
		single = append(single, nextFrame(valid[i:i+1]))
	}
	all = append(all, row{section: "5.6", says: "a fragment for each byte", in: append(single, lastFrame("")), out: sights(sawText(valid))})

	const mustFail = "when an endpoint finds that text is not UTF-8, it MUST fail the connection: "
	for _, bad := range []struct{ name, text string }{
		{"a tail alone", "\x80"},
		{"a tail too many", "\xc3\xa9\xa9"},
		{"0xff", "\xff"},
		{"0xfe", "\xfe"},
		{"0xf5, beyond U+10FFFF", "\xf5\x80\x80\x80"},
		{"U+110000", "\xf4\x90\x80\x80"},
		{"five bytes", "\xf8\x88\x80\x80\x80"},
		{"six bytes", "\xfc\x84\x80\x80\x80\x80"},
		{"overlong /", "\xc0\xaf"},
		{"overlong / in three", "\xe0\x80\xaf"},
		{"overlong / in four", "\xf0\x80\x80\xaf"},
		{"overlong U+0000", "\xc0\x80"},
		{"overlong U+007F", "\xc1\xbf"},
		{"overlong U+07FF", "\xe0\x9f\xbf"},
		{"overlong U+FFFF", "\xf0\x8f\xbf\xbf"},
		{"surrogate U+D800", "\xed\xa0\x80"},
		{"surrogate U+DFFF", "\xed\xbf\xbf"},
		{"surrogate pair", "\xed\xa0\xbd\xed\xb8\x80"},
		{"a head without its tail", "\xec\x8bx"},
		{"two heads", "\xec\xec\x8b\xa4"},
	} {
		all = append(all,
			row{section: "8.1", says: mustFail + bad.name, in: frames(textFrame(bad.text)), fails: 1007},
			row{section: "8.1", says: mustFail + bad.name + ", at the end of text", in: frames(textFrame("fine"), textFrame(valid+bad.text)), out: sights(sawText("fine")), fails: 1007},
			row{section: "8.1", says: mustFail + bad.name + ", split over fragments", in: frames(firstFrame(opText, "Hello "+bad.text[:1]), lastFrame(bad.text[1:]+" world")), fails: 1007},
			row{section: "8.1", says: mustFail + bad.name + ", in a close frame", in: frames(closeFrame(1000, "bye "+bad.text)), fails: 1007},
			row{section: "8.1", says: mustFail + bad.name + ", though the frame is not at its end", in: frames(textFrame("Hello " + bad.text).announcing(1000)), fails: 1007},
			row{section: "8.1", says: mustFail + bad.name + ", though the message is not at its end", in: frames(firstFrame(opText, "Hello "+bad.text)), fails: 1007})
	}
	for _, cut := range []string{"\xc3", "\xec", "\xec\x8b", "\xf0", "\xf0\x9f", "\xf0\x9f\x98"} {
		all = append(all,
			row{section: "8.1", says: mustFail + "cut within a character", in: frames(textFrame("Hello " + cut)), fails: 1007},
			row{section: "8.1", says: mustFail + "cut within a character at the end of the last fragment", in: frames(firstFrame(opText, "Hello"), lastFrame(cut)), fails: 1007},
			row{section: "8.1", says: mustFail + "cut within a character, and an empty last fragment", in: frames(firstFrame(opText, "Hello"+cut), lastFrame("")), fails: 1007},
			row{section: "8.1", says: mustFail + "a reason cut within a character", in: frames(closeFrame(1000, cut)), fails: 1007},
			row{section: "8.1", says: "a character that is not whole yet is no failure", in: frames(firstFrame(opText, cut), pingFrame("")), out: sights(sawPong(""))})
	}
	return all
}

// limitRows are RFC 6455 10.4: implementations MUST impose limits on frame sizes and on message sizes after reassembly.
func limitRows() []row {
	limits := ws.Limits{MaxMessageSize: 1000, MaxFragments: 5, MaxControlFrames: 10}
	x := func(n int) string { return strings.Repeat("x", n) }
	var pings, pongs []wireFrame
	var answers []sight
	for range 10 {
		pings, pongs, answers = append(pings, pingFrame("p")), append(pongs, pongFrame("")), append(answers, sawPong("p"))
	}
	all := []row{
		{section: "10.4", says: "a message of the largest size", in: frames(binaryFrame(x(1000))), out: sights(sawBinary(x(1000)))},
		{section: "10.4", says: "a message of the largest size, in fragments", in: frames(firstFrame(opText, x(500)), lastFrame(x(500)), textFrame("y")), out: sights(sawText(x(1000)), sawText("y"))},
		{section: "10.4", says: "limits on the frame size", in: frames(binaryFrame(x(1001))), fails: 1009},
		{section: "10.4", says: "limits on the frame size, when it is announced", in: frames(binaryFrame("").announcing(1001)), fails: 1009},
		{section: "10.4", says: "limits on the frame size: 4 GiB", in: frames(textFrame("x").announcing(1 << 32)), fails: 1009},
		{section: "10.4", says: "limits on the frame size: 2^63-1", in: frames(textFrame("x").announcing(1<<63 - 1)), fails: 1009},
		{section: "10.4", says: "limits on the total message size after reassembly", in: frames(firstFrame(opBinary, x(600)), nextFrame(x(400)), lastFrame("x")), fails: 1009},
		{section: "10.4", says: "limits on the total message size after reassembly, when it is announced", in: frames(firstFrame(opBinary, x(600)), nextFrame("").announcing(401)), fails: 1009},
		{section: "10.4", says: "limits on the total message size: 2^63-1 more", in: frames(firstFrame(opBinary, x(1000)), nextFrame("").announcing(1<<63-1)), fails: 1009},
		{section: "10.4", says: "the largest number of fragments", in: frames(firstFrame(opText, "1"), nextFrame("2"), nextFrame("3"), nextFrame("4"), lastFrame("5"), textFrame("6")), out: sights(sawText("12345"), sawText("6"))},
		{section: "10.4", says: "limits on the number of fragments", in: frames(firstFrame(opText, ""), nextFrame(""), nextFrame(""), nextFrame(""), nextFrame(""), nextFrame("")), fails: 1008},
		{section: "10.4", says: "control frames are no fragments", in: frames(firstFrame(opText, ""), pingFrame(x(125)), pingFrame(""), pongFrame(x(125)), nextFrame(""), pingFrame(""), nextFrame(x(999)), lastFrame("x")),
			out: sights(sawPong(x(125)), sawPong(""), sawPong(""), sawText(x(1000)))},
		{section: "10.4", says: "a flood of pings", in: append(pings, pings...), out: answers, fails: 1008},
		{section: "10.4", says: "a flood of pongs", in: append(pongs, pongs...), fails: 1008},
	}
	for i := range all {
		all[i].limits = limits
	}
	return append(all, row{section: "10.4", says: "a limit there is by default", in: frames(binaryFrame("").announcing(1<<20 + 1)), fails: 1009},
		row{section: "10.4", says: "a large message there may be by default", in: frames(binaryFrame(x(1 << 20))), out: sights(sawBinary(x(1 << 20)))})
}
