package frame

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"baro.dev/internal/mask"
)

// The examples of RFC 6455 5.7, and the lengths around which the encoding of the length changes.
func TestAppend(t *testing.T) {
	const key = 0x3d21fa37 // 37 fa 21 3d on the wire
	for _, test := range []struct {
		header Header
		want   string
	}{
		{Header{Opcode: Text, Fin: true, Length: 5}, "\x81\x05"},
		{Header{Opcode: Text, Fin: true, Length: 5, Masked: true, Key: key}, "\x81\x85\x37\xfa\x21\x3d"},
		{Header{Opcode: Text, Length: 3}, "\x01\x03"},
		{Header{Opcode: Continuation, Fin: true, Length: 2}, "\x80\x02"},
		{Header{Opcode: Ping, Fin: true, Length: 5}, "\x89\x05"},
		{Header{Opcode: Pong, Fin: true, Length: 5, Masked: true, Key: key}, "\x8a\x85\x37\xfa\x21\x3d"},
		{Header{Opcode: Binary, Fin: true, Length: 256}, "\x82\x7e\x01\x00"},
		{Header{Opcode: Binary, Fin: true, Length: 65536}, "\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"},
		// RFC 7692 7.2.3.1.
		{Header{Opcode: Text, Fin: true, Compressed: true, Length: 7}, "\xc1\x07"},
		{Header{Opcode: Text, Compressed: true, Length: 3}, "\x41\x03"},
		{Header{Opcode: Close, Fin: true}, "\x88\x00"},
		{Header{Opcode: Close, Fin: true, Masked: true}, "\x88\x80\x00\x00\x00\x00"},
		// RFC 6455 5.2: the minimal number of bytes MUST be used.
		{Header{Opcode: Binary, Fin: true, Length: 0}, "\x82\x00"},
		{Header{Opcode: Binary, Fin: true, Length: 125}, "\x82\x7d"},
		{Header{Opcode: Binary, Fin: true, Length: 126}, "\x82\x7e\x00\x7e"},
		{Header{Opcode: Binary, Fin: true, Length: 127}, "\x82\x7e\x00\x7f"},
		{Header{Opcode: Binary, Fin: true, Length: 65535}, "\x82\x7e\xff\xff"},
		{Header{Opcode: Binary, Fin: true, Length: 1<<31 - 1}, "\x82\x7f\x00\x00\x00\x00\x7f\xff\xff\xff"},
		{Header{Opcode: Binary, Fin: true, Length: 65536, Masked: true, Key: key}, "\x82\xff\x00\x00\x00\x00\x00\x01\x00\x00\x37\xfa\x21\x3d"},
	} {
		got := test.header.Append([]byte("before"))
		if string(got) != "before"+test.want {
			t.Errorf("%+v: % x, want % x", test.header, got[len("before"):], test.want)
		}
		if n := len(got) - len("before"); n > MaxHeaderSize {
			t.Errorf("%+v: %d bytes, MaxHeaderSize is %d", test.header, n, MaxHeaderSize)
		}
	}
}

func TestOpcode(t *testing.T) {
	names := map[Opcode]string{
		Continuation: "continuation", Text: "text", Binary: "binary", Close: "close", Ping: "ping", Pong: "pong",
		3: "reserved opcode 0x3", 7: "reserved opcode 0x7", 0xB: "reserved opcode 0xB", 0xF: "reserved opcode 0xF",
	}
	for o, name := range names {
		if o.String() != name {
			t.Errorf("opcode %d is called %q, want %q", o, o, name)
		}
	}
	// RFC 6455 5.5: control frames are those whose opcode has the most significant bit set.
	for o := range Opcode(16) {
		if o.IsControl() != (o >= 8) {
			t.Errorf("opcode %d: control %v", o, o.IsControl())
		}
	}
}

func TestAppendAllocates(t *testing.T) {
	buf := make([]byte, 0, MaxHeaderSize)
	headers := []Header{
		{Opcode: Text, Fin: true, Length: 5, Masked: true, Key: 1},
		{Opcode: Binary, Fin: true, Length: 500},
		{Opcode: Binary, Fin: true, Length: 1 << 20},
	}
	if n := testing.AllocsPerRun(100, func() {
		for _, h := range headers {
			buf = h.Append(buf[:0])
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// testFrame is a whole frame as bytes, put together without Header.Append.
type testFrame struct {
	opcode  Opcode
	more    bool // FIN is 0
	rsv     byte // as in the first byte: 0x40, 0x20, 0x10
	payload string
	key     uint32
	size    int    // bytes that the length takes behind the second byte: 0, 2 or 8; -1: the fewest
	length  uint64 // announced, where it is not len(payload)
}

// data returns a frame with the fewest bytes of length.
func data(opcode Opcode, payload string) testFrame {
	return testFrame{opcode: opcode, payload: payload, key: 0x12345678, size: -1}
}

func fragment(opcode Opcode, payload string) testFrame {
	f := data(opcode, payload)
	f.more = true
	return f
}

func (f testFrame) append(dst []byte, masked bool) []byte {
	first := byte(f.opcode) | f.rsv
	if !f.more {
		first |= 0x80
	}
	var second byte
	if masked {
		second = 0x80
	}
	length := f.length
	if length == 0 {
		length = uint64(len(f.payload))
	}
	size := f.size
	if size < 0 {
		switch {
		case length < 126:
			size = 0
		case length < 65536:
			size = 2
		default:
			size = 8
		}
	}
	switch size {
	case 0:
		dst = append(dst, first, second|byte(length))
	case 2:
		dst = binary.BigEndian.AppendUint16(append(dst, first, second|126), uint16(length))
	case 8:
		dst = binary.BigEndian.AppendUint64(append(dst, first, second|127), length)
	}
	if !masked {
		return append(dst, f.payload...)
	}
	dst = binary.LittleEndian.AppendUint32(dst, f.key)
	for i := range len(f.payload) {
		dst = append(dst, f.payload[i]^byte(f.key>>(8*(i%4))))
	}
	return dst
}

func encode(masked bool, frames ...testFrame) (b []byte) {
	for _, f := range frames {
		b = f.append(b, masked)
	}
	return b
}

// What Header.Append and mask.XOR make is what the tests take for a frame.
func TestEncodersAgree(t *testing.T) {
	for _, masked := range []bool{false, true} {
		for _, size := range []int{0, 1, 2, 3, 4, 5, 63, 125, 126, 127, 1000, 65535, 65536, 100_000} {
			payload := bytes.Repeat([]byte("0123456789"), size/10+1)[:size]
			h := Header{Opcode: Binary, Fin: true, Masked: masked, Key: 0xdeadbeef, Length: size}
			got := append(h.Append(nil), payload...)
			if masked {
				mask.XOR(got[len(got)-size:], h.Key)
			}
			f := data(Binary, string(payload))
			f.key = h.Key
			if want := encode(masked, f); !bytes.Equal(got, want) {
				t.Errorf("masked %v, %d bytes: % x..., want % x...", masked, size, got[:min(20, len(got))], want[:min(20, len(want))])
			}
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, length := range []int{100, 1000, 100_000} {
		b.Run(fmt.Sprint(length), func(b *testing.B) {
			h := Header{Opcode: Binary, Fin: true, Masked: true, Key: 0xdeadbeef, Length: length}
			buf := make([]byte, 0, MaxHeaderSize)
			b.ReportAllocs()
			for b.Loop() {
				buf = h.Append(buf[:0])
			}
		})
	}
}
