package ws_test

import (
	"fmt"
	"strings"
)

// controlRows are RFC 6455 5.5, 5.5.2 and 5.5.3.
func controlRows() []row {
	x := func(n int) string { return strings.Repeat("x", n) }
	const (
		length    = "all control frames MUST have a payload length of 125 bytes or less: "
		identical = "a pong MUST have application data identical to that of the ping: "
	)
	return []row{
		{section: "5.5", says: length + "ping of 125", in: frames(pingFrame(x(125))), out: sights(sawPong(x(125)))},
		{section: "5.5", says: length + "pong of 125", in: frames(pongFrame(x(125)))},
		{section: "5.5", says: length + "ping of 126", in: frames(pingFrame(x(126))), fails: 1002},
		{section: "5.5", says: length + "pong of 126", in: frames(pongFrame(x(126))), fails: 1002},
		{section: "5.5", says: length + "close frame of 126", in: frames(closeFrame(1000, x(124))), fails: 1002},
		{section: "5.5", says: length + "ping of 65536", in: frames(pingFrame("").announcing(65536)), fails: 1002},
		{section: "5.5", says: length + "close frame of 2^63", in: frames(closeFrame(1000, "").announcing(1 << 63)), fails: 1002},
		{section: "5.5", says: length + "pong of 126 inside a message", in: frames(firstFrame(opText, ""), pongFrame(x(126))), fails: 1002},
		{section: "5.5", says: length + "refused at the second byte", only: "server", in: frames(rawBytes("\x89\xfe")), fails: 1002},
		{section: "5.5", says: length + "refused at the second byte", only: "client", in: frames(rawBytes("\x89\x7f")), fails: 1002},

		{section: "5.5.2", says: "upon receipt of a ping, an endpoint MUST send a pong", in: frames(pingFrame("")), out: sights(sawPong(""))},
		{section: "5.5.3", says: identical + "text", in: frames(pingFrame("Hello")), out: sights(sawPong("Hello"))},
		{section: "5.5.3", says: identical + "any bytes", in: frames(pingFrame("\x00\xff\xfe\x80")), out: sights(sawPong("\x00\xff\xfe\x80"))},
		{section: "5.5.3", says: identical + "one byte", in: frames(pingFrame("\x00")), out: sights(sawPong("\x00"))},
		{section: "5.5.2", says: "a pong for each of several pings, in order", in: frames(pingFrame("1"), pingFrame("2"), pingFrame("3")), out: sights(sawPong("1"), sawPong("2"), sawPong("3"))},
		{section: "5.5.2", says: "a pong between the answers to messages", in: frames(textFrame("a"), pingFrame("1"), textFrame("b"), pingFrame("2")), out: sights(sawText("a"), sawPong("1"), sawText("b"), sawPong("2"))},
		{section: "5.5.2", says: "unless it already received a close frame", in: frames(closeFrame(1000, ""), pingFrame("p")), closes: 1000},
		{section: "5.5.3", says: "a pong MAY be sent unsolicited; a response is not expected", in: frames(pongFrame("unsolicited"), pongFrame(""), textFrame("a")), out: sights(sawText("a"))},
		{section: "5.5.3", says: "pongs to no ping that was sent, of the size of our own", in: frames(pongFrame("\x00\x00\x00\x00\x00\x00\x00\x01"), pongFrame("\xff\xff\xff\xff\xff\xff\xff\xff"), textFrame("a")), out: sights(sawText("a"))},
	}
}

// closeRows are RFC 6455 5.5.1 and 7.1.
func closeRows() []row {
	x := func(n int) string { return strings.Repeat("x", n) }
	const (
		answer = "if an endpoint receives a close frame and did not send one, it MUST send one in response"
		after  = "an endpoint MUST NOT process further data after a close frame"
		failed = "an endpoint MUST NOT continue to attempt to process data after it failed the connection"
	)
	return []row{
		{section: "5.5.1", says: answer, in: frames(closeFrame(1000, "")), closes: 1000},
		{section: "5.5.1", says: answer + ", after everything that was before it", in: frames(textFrame("a"), pingFrame("p"), textFrame("b"), closeFrame(1000, "")), out: sights(sawText("a"), sawPong("p"), sawText("b")), closes: 1000},
		{section: "5.5.1", says: "a close frame MAY contain a body: none", in: frames(newFrame(fin|opClose, "")), closes: 1005},
		{section: "5.5.1", says: "if there is a body, the first two bytes MUST be an unsigned integer: one byte", in: frames(newFrame(fin|opClose, "\x03")), fails: 1002},
		{section: "5.5.1", says: "the body may contain UTF-8 encoded data", in: frames(closeFrame(1000, "안녕, bye \U0001f600")), closes: 1000},
		{section: "5.5.1", says: "a reason that is not human readable", in: frames(closeFrame(1000, "\x00\x1b\x7f")), closes: 1000},
		{section: "5.5.1", says: "a reason of 123 bytes", in: frames(closeFrame(1000, x(123))), closes: 1000},
		{section: "5.5.1", says: "the application MUST NOT send any more data frames after sending a close frame", in: frames(closeFrame(1000, ""), textFrame("a"), binaryFrame("b")), closes: 1000},
		{section: "7.1.6", says: after + ": another close frame", in: frames(closeFrame(1000, ""), closeFrame(1001, "")), closes: 1000},
		{section: "7.1.5", says: "the code is that of the first close frame", in: frames(closeFrame(3000, "first"), closeFrame(4000, "second")), closes: 3000},
		{section: "7.1.6", says: after + ": what is no frame", in: frames(closeFrame(1000, ""), rawBytes("\xff\xff\xff\xff\xff\xff")), closes: 1000},
		{section: "7.1.6", says: after + ": a great deal", in: frames(closeFrame(1000, ""), binaryFrame(x(100_000))), closes: 1000},
		{section: "7.1.7", says: failed + ": messages", in: frames(newFrame(fin|3, ""), textFrame("a"), binaryFrame("b")), fails: 1002},
		{section: "7.1.7", says: failed + ": a ping", in: frames(newFrame(fin|3, ""), pingFrame("p")), fails: 1002},
		{section: "7.1.7", says: failed + ": a close frame", in: frames(newFrame(fin|3, ""), closeFrame(1000, "")), fails: 1002},
		{section: "7.1.7", says: failed + ": another failure", in: frames(textFrame("\xff"), newFrame(fin|3, "")), fails: 1007},
		{section: "7.1.7", says: failed + ": a great deal", in: frames(newFrame(fin|3, ""), binaryFrame(x(200_000))), fails: 1002},
		{section: "7.1.7", says: "what was before the failure is answered", in: frames(textFrame("a"), pingFrame("p"), binaryFrame("b"), newFrame(fin|3, "")), out: sights(sawText("a"), sawPong("p"), sawBinary("b")), fails: 1002},
	}
}

// closeCodeRows are RFC 6455 7.4, and the codes registered since (1012 to 1014).
func closeCodeRows() []row {
	var all []row
	for _, code := range []uint16{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3001, 3999, 4000, 4001, 4999} {
		all = append(all,
			row{section: "7.4", says: fmt.Sprintf("code %d may be used, and is typically echoed (5.5.1)", code), in: frames(closeFrame(code, "")), closes: code},
			row{section: "7.4", says: fmt.Sprintf("code %d with a reason", code), in: frames(closeFrame(code, "reason")), closes: code})
	}
	for _, code := range []uint16{1005, 1006, 1015} {
		all = append(all, row{section: "7.4.1", says: fmt.Sprintf("%d is a reserved value and MUST NOT be set in a close frame", code), in: frames(closeFrame(code, "")), fails: 1002})
	}
	all = append(all, row{section: "7.4.1", says: "1004 is reserved", in: frames(closeFrame(1004, "")), fails: 1002})
	for _, code := range []uint16{0, 1, 999} {
		all = append(all, row{section: "7.4.2", says: fmt.Sprintf("codes in the range 0-999 are not used: %d", code), in: frames(closeFrame(code, "")), fails: 1002})
	}
	for _, code := range []uint16{1016, 1100, 2000, 2999} {
		all = append(all, row{section: "7.4.2", says: fmt.Sprintf("codes in the range 1000-2999 are for the protocol and its revisions: %d", code), in: frames(closeFrame(code, "reason")), fails: 1002})
	}
	for _, code := range []uint16{5000, 9999, 32768, 65535} {
		all = append(all, row{section: "7.4.2", says: fmt.Sprintf("there are no codes from 5000: %d", code), in: frames(closeFrame(code, "")), fails: 1002})
	}
	return all
}
