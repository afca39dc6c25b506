package ws_test

import (
	"fmt"
	"strings"

	"baro.dev/ws"
)

// unlimited lifts the limits, so that what holds without them is seen.
var unlimited = ws.Limits{MaxMessageSize: -1, MaxFragments: -1, MaxControlFrames: -1}

// lengthAttacks are group 8.
func lengthAttacks() []attack {
	var all []attack
	for _, n := range []uint64{1 << 63, 1<<63 | 1, 1<<64 - 1, 1<<63 + 125, 0xffffffff_00000000} {
		all = append(all,
			attack{item: fmt.Sprintf("8 length %#x", n), in: frames(binaryFrame("x").announcing(n)), fails: 1002},
			attack{item: fmt.Sprintf("8 length %#x in a continuation frame", n), in: frames(firstFrame(opText, "x"), nextFrame("x").announcing(n)), fails: 1002})
	}
	for _, n := range []uint64{1<<63 - 1, 1 << 62, 1 << 32, 1<<32 - 1, 1 << 31, 1<<31 - 1, 1 << 30, 1<<20 + 1} {
		all = append(all,
			attack{item: fmt.Sprintf("8 length %#x", n), in: frames(binaryFrame("x").announcing(n)), fails: 1009},
			attack{item: fmt.Sprintf("8 length %#x in a continuation frame", n), in: frames(firstFrame(opText, "x"), nextFrame("x").announcing(n)), fails: 1009},
			attack{item: fmt.Sprintf("8 length %#x of a compressed message", n), deflate: takeover, in: frames(packedFrame(opBinary, "x").announcing(max(n, 1<<21))), fails: 1009})
	}
	all = append(all, attack{item: "8 lengths that overflow when added", limits: unlimited, in: frames(firstFrame(opBinary, "xxxx"), nextFrame("").announcing(1<<63-1)), fails: 1009})
	for _, f := range []wireFrame{textFrame("").in(2), textFrame("x").in(2), textFrame(strings.Repeat("x", 125)).in(2), textFrame("").in(8),
		textFrame(strings.Repeat("x", 126)).in(8), textFrame(strings.Repeat("x", 65535)).in(8), pingFrame("x").in(2), pingFrame("x").in(8)} {
		all = append(all, attack{item: fmt.Sprintf("8 length %d in %d bytes", len(f.payload), f.wide), in: frames(f), fails: 1002})
	}
	for _, n := range []int{125, 126, 127, 65535, 65536} {
		all = append(all, attack{item: fmt.Sprintf("8 length %d", n), in: frames(binaryFrame(strings.Repeat("x", n)), textFrame(strings.Repeat("y", n))), echoes: 2})
	}
	return all
}

// frameAttacks are groups 9 and 10.
func frameAttacks() []attack {
	all := []attack{
		{item: "9 10000 frames in one piece", in: frames(textFrame("x")), times: 10_000, echoes: 10_000, spends: 24 * megabyte},
		{item: "9 5000 messages and pings in one piece", limits: unlimited, in: frames(binaryFrame("xyz"), pingFrame("p")), times: 5000, echoes: 10_000, spends: 24 * megabyte},
		{item: "9 a header cut at every byte", act: func(p *peer) {
			for _, f := range []wireFrame{textFrame("x"), binaryFrame(strings.Repeat("y", 300)), binaryFrame(strings.Repeat("z", 66_000))} {
				b := wireBytes(!p.stand.client, f)
				for i := range 20 {
					p.sendBytes(b[min(i, len(b)):min(i+1, len(b))])
				}
				p.sendBytes(b[min(20, len(b)):])
			}
		}, echoes: 3},
		{item: "10 mask key of zeros", only: "server", in: frames(textFrame("abc").keyed([4]byte{}), pingFrame("p").keyed([4]byte{})), echoes: 2},
		{item: "10 no mask and a mask by turns", in: frames(textFrame("a"), textFrame("b").wronglyMasked(), textFrame("c")), fails: 1002},
		{item: "10 first byte alone, reserved", in: frames(rawBytes("\xbf")), fails: 1002},
	}
	for _, f := range []wireFrame{textFrame("x"), binaryFrame(""), firstFrame(opText, "x"), pingFrame("p"), pongFrame(""), closeFrame(1000, "")} {
		all = append(all,
			attack{item: fmt.Sprintf("10 unmasked from a client: %02x", f.first), only: "server", in: frames(f.wronglyMasked()), fails: 1002},
			attack{item: fmt.Sprintf("10 masked from a server: %02x", f.first), only: "client", in: frames(f.wronglyMasked()), fails: 1002})
	}
	for _, op := range []byte{3, 4, 5, 6, 7, 0xB, 0xC, 0xD, 0xE, 0xF} {
		all = append(all, attack{item: fmt.Sprintf("10 reserved opcode %X", op), in: frames(newFrame(fin|op, "x")), fails: 1002})
	}
	for _, rsv := range []byte{rsv1, rsv2, rsv3, rsv1 | rsv2 | rsv3} {
		all = append(all, attack{item: fmt.Sprintf("10 reserved bits %03b", rsv>>4), in: frames(textFrame("x").with(rsv)), fails: 1002})
	}
	for _, f := range []wireFrame{pingFrame("x"), pongFrame("x"), closeFrame(1000, "")} {
		all = append(all, attack{item: fmt.Sprintf("10 RSV1 on control frame %x", f.first&0xf), deflate: takeover, in: frames(f.with(rsv1)), fails: 1002})
	}
	return append(all,
		attack{item: "10 RSV1 on a continuation frame", deflate: takeover, in: frames(firstFrame(opText, "\xf2").with(rsv1), nextFrame("x").with(rsv1)), fails: 1002},
		attack{item: "10 RSV1 on a continuation frame of a plain message", deflate: takeover, in: frames(firstFrame(opText, "x"), lastFrame("x").with(rsv1)), fails: 1002},
		attack{item: "10 RSV2 beside compression", deflate: takeover, in: frames(packedFrame(opText, helloPacked).with(rsv2)), fails: 1002})
}

// controlAttacks are group 11.
func controlAttacks() []attack {
	x := func(n int) string { return strings.Repeat("x", n) }
	var all []attack
	for _, f := range []wireFrame{pingFrame(x(126)), pongFrame(x(126)), closeFrame(1000, x(124)), pingFrame(x(65536)), pingFrame("").announcing(1 << 62), newFrame(opPing, "p"), newFrame(opPong, ""), newFrame(opClose, "")} {
		all = append(all, attack{item: fmt.Sprintf("11 control frame %02x of %d", f.first, max(f.announce, uint64(len(f.payload)))), in: frames(f), fails: 1002})
	}
	return append(all,
		attack{item: "11 a control frame continued", in: frames(newFrame(opPing, "p"), lastFrame("q")), fails: 1002},
		attack{item: "11 a flood of pings", in: frames(pingFrame("p")), times: 100_000, fails: 1008, spends: 64 * megabyte},
		attack{item: "11 a flood of large pings", in: frames(pingFrame(x(125))), times: 20_000, fails: 1008, spends: 64 * megabyte},
		attack{item: "11 a flood of pings inside a message", first: frames(firstFrame(opText, "x")), in: frames(pingFrame("")), times: 20_000, fails: 1008, spends: 64 * megabyte},
		attack{item: "11 a flood of pings between messages", in: frames(pingFrame("p"), textFrame("x")), times: 20_000, fails: 1008, spends: 64 * megabyte},
		attack{item: "11 unsolicited pongs", in: frames(pongFrame("")), times: 100_000, fails: 1008, spends: 64 * megabyte},
		attack{item: "11 a few unsolicited pongs", in: frames(pongFrame("x"), pongFrame("\x00\x00\x00\x00\x00\x00\x00\x01")), times: 20},
		attack{item: "11 pings without a limit", limits: unlimited, in: frames(pingFrame("p")), times: 20_000, echoes: 20_000, spends: 64 * megabyte},
		attack{item: "11 pongs without a limit", limits: unlimited, in: frames(pongFrame("12345678")), times: 20_000, spends: 64 * megabyte})
}
