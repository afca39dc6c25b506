package msgpack_test

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	"baro.dev/socketio/parser"
	"baro.dev/socketio/parser/msgpack"
)

func TestRefused(t *testing.T) {
	const typ, nsp = "a474797065 02", "a36e7370 a12f"
	for wire, part := range map[string]parser.Part{
		"":                                 parser.PartMessage,
		"c0":                               parser.PartMessage,
		"90":                               parser.PartMessage,
		"c1":                               parser.PartMessage,
		"81 01 02":                         parser.PartMessage, // the name of a member is a number
		"81 a474797065":                    parser.PartMessage,
		"80":                               parser.PartType,
		"81" + nsp:                         parser.PartType,
		"82 a474797065 05":                 parser.PartMessage,
		"81 a474797065 05":                 parser.PartType,
		"81 a474797065 ff":                 parser.PartType,
		"81 a474797065 a132":               parser.PartType,
		"81 a474797065 cb4000000000000000": parser.PartType,
		"81" + typ:                         parser.PartNamespace,
		"82" + typ + "a36e7370 07":         parser.PartNamespace,
		"82" + typ + "a36e7370 a0":         parser.PartNamespace,
		"82" + typ + "a36e7370 a161":       parser.PartNamespace,
		"82" + typ + "a36e7370 a32f612c":   parser.PartNamespace,
		"82" + typ + "a36e7370 a22fff":     parser.PartNamespace,
		"83" + typ + nsp + "a26964 ff":     parser.PartID,
		"83" + typ + nsp + "a26964 a131":   parser.PartID,
		"83" + typ + nsp + "a26964 cf0020000000000000":     parser.PartID,
		"82 a474797065 03" + nsp:                           parser.PartID,
		"83 a474797065 01" + nsp + "a26964 01":             parser.PartID,
		"82" + typ + nsp:                                   parser.PartPayload,
		"83" + typ + nsp + "a464617461 80":                 parser.PartPayload,
		"83" + typ + nsp + "a464617461 c0":                 parser.PartPayload,
		"83 a474797065 00" + nsp + "a464617461 90":         parser.PartPayload,
		"83 a474797065 00" + nsp + "a464617461 a161":       parser.PartPayload,
		"83 a474797065 01" + nsp + "a464617461 80":         parser.PartPayload,
		"83 a474797065 04" + nsp + "a464617461 90":         parser.PartPayload,
		"83" + typ + nsp + "a464617461 90":                 parser.PartEventName,
		"83" + typ + nsp + "a464617461 9180":               parser.PartEventName,
		"83" + typ + nsp + "a464617461 91c0":               parser.PartEventName,
		"83" + typ + nsp + "a464617461 91c40161":           parser.PartEventName,
		"83" + typ + nsp + "a464617461 91a7636f6e6e656374": parser.PartEventName,
		"83" + typ + nsp + "a464617461 91a161 c0":          parser.PartMessage, // something behind
	} {
		p, err := add(msgpack.Codec.NewDecoder(nil), true, unhex(wire))
		wrong, ok := errors.AsType[*parser.Error](err)
		if !ok || p != nil || wrong.Part != part || !errors.Is(err, parser.ErrProtocol) {
			t.Errorf("%s: %v, %v, want a wrong %s", wire, p, err, part)
		}
	}
	if _, err := add(msgpack.Codec.NewDecoder(nil), false, []byte(`2["a"]`)); !errors.Is(err, parser.ErrProtocol) {
		t.Errorf("text: %v", err)
	}
	if _, err := add(msgpack.Codec.NewDecoder(&parser.Limits{MaxBytes: 10}), true, packet("c0")); !errors.Is(err, parser.ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
	long := event("e")
	long.Namespace = "/" + strings.Repeat("a", parser.MaxNamespace-1)
	wire := encode(t, msgpack.Codec, &long)
	decode(t, wire)
	wire = []byte(strings.Replace(string(wire), "\xda\x40\x00/", "\xda\x40\x01/a", 1))
	if _, err := add(msgpack.Codec.NewDecoder(nil), true, wire); !errors.Is(err, parser.ErrTooLarge) {
		t.Errorf("long namespace: %v", err)
	}
}

// Every beginning of a packet is refused.
func TestCut(t *testing.T) {
	p := event("e", map[string]any{"k": []any{1, -1000, 1.5, nil, true, []byte("bin"), strings.Repeat("s", 300)}})
	p.ID, p.HasID = 1<<40, true
	wire := encode(t, msgpack.Codec, &p)
	for i := range wire {
		if p, err := add(msgpack.Codec.NewDecoder(nil), true, wire[:i]); err == nil {
			t.Errorf("%d bytes: %+v", i, p)
		}
		msgpack.Codec.Peek(true, wire[:i])
	}
}

// MessagePack bombs: a few bytes that declare much. Nothing is allocated for them.
func TestBombs(t *testing.T) {
	for _, argument := range []string{
		"dd ffffffff", "df ffffffff", "dc ffff", "de ffff", "db ffffffff 61", "c6 ffffffff", "c9 ffffffff 00", "c9 ffffffff",
		"dd 7fffffff c0", "df 80000000 c0", strings.Repeat("ddffffffff", 100), strings.Repeat("dfffffffff", 100),
	} {
		for _, wire := range [][]byte{packet(argument), unhex(argument), append(unhex("df ffffffff"), packet("c0")[1:]...)} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			p, err := add(msgpack.Codec.NewDecoder(nil), true, wire)
			runtime.ReadMemStats(&after)
			if err == nil {
				t.Errorf("%s: %v", argument, p)
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > 64<<10 {
				t.Errorf("%s: %d bytes were allocated", argument, n)
			}
		}
	}
	nested := func(depth int) []byte { return packet(strings.Repeat("91", depth-1) + "90") }
	deep := decode(t, nested(msgpack.MaxDepth-1)) // and the array of the event
	if err := deep.Data.Bind(new(any)); err != nil {
		t.Errorf("what was accepted cannot be decoded: %v", err)
	}
	relayed := encode(t, parser.JSON, deep)
	if _, err := add(parser.JSON.NewDecoder(nil), false, relayed); err != nil {
		t.Errorf("nor relayed: %v", err)
	}
	maps := packet(strings.Repeat("81a0", msgpack.MaxDepth-2) + "80")
	if err := decode(t, maps).Data.Bind(new(any)); err != nil {
		t.Errorf("nor maps: %v", err)
	}
	if _, err := add(msgpack.Codec.NewDecoder(nil), true, nested(msgpack.MaxDepth+1)); !errors.Is(err, parser.ErrProtocol) {
		t.Errorf("nested too deep: %v", err)
	}
	binaries := func(n int) []byte {
		return packet("dd0000" + string("0123456789abcdef"[n>>12&15]) + string("0123456789abcdef"[n>>8&15]) +
			string("0123456789abcdef"[n>>4&15]) + string("0123456789abcdef"[n&15]) + strings.Repeat("c400", n))
	}
	decode(t, binaries(msgpack.MaxBinaries))
	if _, err := add(msgpack.Codec.NewDecoder(nil), true, binaries(msgpack.MaxBinaries+1)); !errors.Is(err, parser.ErrTooLarge) {
		t.Errorf("many binaries: %v", err)
	}
}

func TestPeek(t *testing.T) {
	for _, wire := range []string{"", "c0", "80", "81a36e7370a12f", "81a47479706505", "81a474797065ff", "81a4747970"} {
		if typ, _, ok := msgpack.Codec.Peek(true, unhex(wire)); ok {
			t.Errorf("%s: %v", wire, typ)
		}
	}
	wire := packet("c0")
	if n := testing.AllocsPerRun(100, func() { msgpack.Codec.Peek(true, wire) }); n != 0 {
		t.Errorf("Peek allocates %v times", n)
	}
	if _, _, ok := msgpack.Codec.Peek(false, wire); ok {
		t.Error("text")
	}
}
