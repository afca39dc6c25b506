package ws_test

import (
	"fmt"
	"strings"

	"baro.dev/ws"
)

// fragmentAttacks are group 12.
func fragmentAttacks() []attack {
	kilobyte := strings.Repeat("x", 1024)
	return []attack{
		{item: "12 nothing to continue", in: frames(nextFrame("x")), fails: 1002},
		{item: "12 nothing to continue, after a message", in: frames(textFrame("x"), lastFrame("")), fails: 1002},
		{item: "12 a message inside another", in: frames(firstFrame(opText, "x"), textFrame("y")), fails: 1002},
		{item: "12 the beginning of a message inside another", in: frames(firstFrame(opText, "x"), firstFrame(opBinary, "y")), fails: 1002},
		{item: "12 fragments without end", first: frames(firstFrame(opBinary, "")), in: frames(nextFrame(kilobyte)), times: 10_000, fails: 1009, spends: 48 * megabyte},
		{item: "12 fragments without end, with pings", first: frames(firstFrame(opText, "")), in: frames(nextFrame(kilobyte)), times: 3000, fails: 1009, spends: 48 * megabyte},
		{item: "12 a million fragments of one byte", first: frames(firstFrame(opText, "")), in: frames(nextFrame("x")), times: 1_000_000, fails: 1008, spends: 16 * megabyte},
		{item: "12 a million empty fragments", first: frames(firstFrame(opBinary, "")), in: frames(nextFrame("")), times: 1_000_000, fails: 1008, spends: 16 * megabyte},
		{item: "12 many fragments of one byte without a limit", limits: unlimited, first: frames(firstFrame(opText, "")), in: frames(nextFrame("x")), times: 100_000, then: frames(lastFrame("")), echoes: 1, spends: 16 * megabyte},
		{item: "12 many empty fragments without a limit", limits: unlimited, first: frames(firstFrame(opText, "")), in: frames(nextFrame("")), times: 100_000, then: frames(lastFrame("")), echoes: 1},
		{item: "12 fragments of a compressed message without end", deflate: takeover, first: frames(firstFrame(opBinary, "").with(rsv1)), in: frames(nextFrame("\x00\x00\x04\xff\xfb" + randomBytes(1024))), times: 10_000, fails: 1009, spends: 48 * megabyte},
		{item: "12 a flood of empty messages", in: frames(textFrame("")), times: 20_000, echoes: 20_000, spends: 64 * megabyte},
		{item: "12 a flood of empty messages in fragments", in: frames(firstFrame(opBinary, ""), lastFrame("")), times: 10_000, echoes: 10_000, spends: 64 * megabyte},
	}
}

// textAttacks are group 13.
func textAttacks() []attack {
	long := strings.Repeat("실시간 realtime ", 40_000) // 840 kB
	bad := map[string]string{
		"overlong": "\xc0\xaf", "overlong in three": "\xe0\x9f\xbf", "overlong in four": "\xf0\x8f\xbf\xbf", "a surrogate": "\xed\xa0\x80",
		"a pair of surrogates": "\xed\xa0\xbd\xed\xb8\x80", "a tail": "\x80", "0xff": "\xff", "beyond U+10FFFF": "\xf4\x90\x80\x80", "five bytes": "\xf8\x88\x80\x80\x80",
	}
	all := []attack{
		{item: "13 the first byte of a long message", in: frames(textFrame("\xff" + long)), fails: 1007},
		{item: "13 the last byte of a long message", in: frames(textFrame(long + "\xff")), fails: 1007},
		{item: "13 a long message cut within its last character", in: frames(textFrame(long + "\xec\x8b")), fails: 1007},
		{item: "13 a valid beginning, then not, and no more comes", in: frames(textFrame(long[:10_000] + "\xff").announcing(900_000)), fails: 1007},
		{item: "13 the first byte of a message that never ends", in: frames(firstFrame(opText, "\xff")), fails: 1007},
		{item: "13 a character cut by a frame that is not its own", in: frames(firstFrame(opText, "\xec"), pingFrame("\x8b\xa4"), nextFrame("x")), fails: 1007},
		{item: "13 characters cut by fragments", in: frames(firstFrame(opText, "\xec"), nextFrame(""), nextFrame("\x8b"), pingFrame("\xff"), lastFrame("\xa4")), echoes: 2},
		{item: "13 a long message", in: frames(textFrame(long)), echoes: 1},
		{item: "13 what is not text", in: frames(binaryFrame("\xff\xfe" + randomBytes(10_000))), echoes: 1},
	}
	for name, s := range bad {
		all = append(all,
			attack{item: "13 " + name, in: frames(textFrame(s)), fails: 1007},
			attack{item: "13 " + name + " split over fragments", in: frames(firstFrame(opText, "ok "+s[:1]), lastFrame(s[1:]+" x")), fails: 1007},
			attack{item: "13 " + name + " compressed", deflate: takeover, in: frames(packedFrame(opText, deflated("ok "+s))), fails: 1007},
			attack{item: "13 " + name + " in a reason", in: frames(closeFrame(1000, s)), fails: 1007})
	}
	return all
}

// closeAttacks are group 14.
func closeAttacks() []attack {
	all := []attack{
		{item: "14 a payload of one byte", in: frames(newFrame(fin|opClose, "\x03")), fails: 1002},
		{item: "14 a reason of 124 bytes", in: frames(closeFrame(1000, strings.Repeat("x", 124))), fails: 1002},
		{item: "14 a reason of 123 bytes", in: frames(closeFrame(1000, strings.Repeat("x", 123))), closes: 1000},
		{item: "14 a reason that is not UTF-8", in: frames(closeFrame(1000, "\xff\xfe")), fails: 1007},
		{item: "14 twice", in: frames(closeFrame(1000, ""), closeFrame(1001, "")), closes: 1000},
		{item: "14 a hundred thousand times", in: frames(closeFrame(1000, "")), times: 100_000, closes: 1000},
		{item: "14 data after it", first: frames(closeFrame(1000, "")), in: frames(binaryFrame(strings.Repeat("x", 1000))), times: 1000, closes: 1000},
		{item: "14 nonsense after it", in: frames(closeFrame(1000, ""), rawBytes("\xff\xff\xff")), closes: 1000},
		{item: "14 inside a message", in: frames(firstFrame(opText, "x"), closeFrame(1000, "")), closes: 1000},
		{item: "14 inside a compressed message", deflate: takeover, in: frames(firstFrame(opText, "\xf2").with(rsv1), closeFrame(1001, "")), closes: 1001},
		{item: "14 without a code", in: frames(newFrame(fin|opClose, "")), closes: 1005},
		{item: "14 data without end after a failure", first: frames(textFrame("\xff")), in: frames(binaryFrame(strings.Repeat("x", 1000))), times: 10_000, fails: 1007},
	}
	for _, code := range []uint16{0, 1, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535} {
		all = append(all, attack{item: fmt.Sprintf("14 code %d", code), in: frames(closeFrame(code, "")), fails: 1002})
	}
	for _, code := range []uint16{1012, 1013, 1014, 3000, 4999} { // registered since, and of libraries and applications
		all = append(all, attack{item: fmt.Sprintf("14 code %d", code), in: frames(closeFrame(code, "")), closes: code})
	}
	return all
}

// deflateAttacks are group 15.
func deflateAttacks() []attack {
	bomb := deflated(strings.Repeat("\x00", 8*megabyte)) // 1000:1
	small := deflated(strings.Repeat("\x00", 2*megabyte))
	stored := func(n, size int) string {
		block := "\x00" + string([]byte{byte(size), byte(size >> 8), ^byte(size), ^byte(size >> 8)}) + strings.Repeat("x", size)
		return strings.Repeat(block, n) + "\x00"
	}
	d := newPeerDeflater()
	first, _, third := d.deflate("Hello"), d.deflate("lost lost lost"), d.deflate("lost lost lost")
	var pieces []wireFrame
	for i := 0; i < len(bomb); i += 500 {
		pieces = append(pieces, nextFrame(bomb[i:min(i+500, len(bomb))]))
	}
	pieces[0].first |= opBinary | rsv1
	pieces[len(pieces)-1].first |= fin
	var all []attack
	for _, agreed := range []string{takeover, noTakeover} {
		for _, a := range []attack{
			{item: "a bomb", in: frames(packedFrame(opBinary, bomb)), fails: 1009, spends: 16 * megabyte},
			{item: "a bomb of text", in: frames(packedFrame(opText, bomb)), fails: 1009, spends: 16 * megabyte},
			{item: "a small bomb", in: frames(packedFrame(opBinary, small)), fails: 1009, spends: 16 * megabyte},
			{item: "a bomb split over fragments", in: pieces, fails: 1009, spends: 16 * megabyte},
			{item: "ten bombs below the limit", in: frames(packedFrame(opBinary, deflated(strings.Repeat("\x00", 400_000)))), times: 10, echoes: 10, spends: 64 * megabyte},
			{item: "no final block", in: frames(packedFrame(opText, "\xf2\x48\xcd")), fails: 1007},
			{item: "an empty payload", in: frames(packedFrame(opText, "")), fails: 1007},
			{item: "an empty message", in: frames(packedFrame(opText, "\x00"), packedFrame(opBinary, "\x00")), echoes: 2},
			{item: "garbage", in: frames(packedFrame(opBinary, randomBytes(5000))), fails: 1007},
			{item: "the reserved block type", in: frames(packedFrame(opBinary, "\x07")), fails: 1007},
			{item: "a code that is none", in: frames(packedFrame(opBinary, "\x04\xff\xff\xff\xff\xff\xff\xff\xff")), fails: 1007},
			{item: "a reference to before the beginning", in: frames(packedFrame(opBinary, helloAgain)), fails: 1007},
			{item: "a stored block cut short", in: frames(packedFrame(opBinary, "\x00\xff\xff\x00\x00xyz")), fails: 1007},
			{item: "stored blocks up to the limit", in: frames(packedFrame(opBinary, stored(20, 50_000))), echoes: 1, spends: 24 * megabyte},
			{item: "stored blocks beyond the limit", in: frames(packedFrame(opBinary, stored(21, 49_950))), fails: 1009, spends: 24 * megabyte},
			{item: "nothing but empty blocks", in: frames(packedFrame(opBinary, stored(200_000, 0))), echoes: 1, spends: 24 * megabyte},
			{item: "a compressed control frame", in: frames(pingFrame(helloPacked).with(rsv1)), fails: 1002},
			{item: "final blocks in the middle", in: frames(packedFrame(opText, strings.Repeat("\x01\x01\x00\xfe\xffx", 10_000)+"\x00")), echoes: 1},
		} {
			a.item = "15 " + a.item + ", " + agreed
			a.deflate = agreed
			all = append(all, a)
		}
	}
	return append(all,
		attack{item: "15 a window that the two do not share", deflate: takeover, in: frames(packedFrame(opText, first), textFrame("lost lost lost"), packedFrame(opText, third)), fails: 1007},
		attack{item: "15 a window that was not to be kept", deflate: noTakeover, in: frames(packedFrame(opText, helloPacked), packedFrame(opText, helloAgain)), fails: 1007},
		attack{item: "15 a reference beyond the window", deflate: smallWindows, in: frames(packedFrame(opBinary, deflated(randomBytes(2000)+randomBytes(2000)))), fails: 1007},
		attack{item: "15 a bomb in the first bytes of a connection", deflate: takeover, limits: ws.Limits{MaxMessageSize: 1000}, in: frames(packedFrame(opBinary, bomb[:900])), fails: 1009},
	)
}
