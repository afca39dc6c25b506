package payload

import (
	"strings"
	"testing"
)

var (
	event  = `42["message",{"user":"kim","text":"hello, world","id":12345}]`
	korean = `42["message",{"user":"김철수","text":"안녕하세요, 반갑습니다! 😀"}]`
	blob   = strings.Repeat("\x00\x01\xfe\xff", 4096)
)

// loads are the payloads that are measured.
var loads = []struct {
	name    string
	format  Format
	packets []Packet
}{
	{"v4-event", V4, []Packet{message(event)}},
	{"v4-16-events", V4, slices16(message(event))},
	{"v4-korean", V4, slices16(message(korean))},
	{"v4-binary-16KB", V4, []Packet{message(hello), bin(blob)}},
	{"v3-16-events", V3, slices16(message(event))},
	{"v3-korean", V3, slices16(message(korean))},
	{"v3-base64-16KB", V3Base64, []Packet{message(hello), bin(blob)}},
	{"v3-binary-16KB", V3, []Packet{message(hello), bin(blob)}},
}

func slices16(p Packet) []Packet {
	packets := make([]Packet, 16)
	for i := range packets {
		packets[i] = p
	}
	return packets
}

func count(t testing.TB, f Format, body []byte, binary bool) (n int) {
	for _, err := range f.Packets(body, binary) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

// Nothing is allocated if the buffer is large enough: neither for text nor for binary.
func TestAllocations(t *testing.T) {
	for _, load := range loads {
		f := load.format
		size := f.PayloadSize(load.packets)
		dst, body := make([]byte, 0, size), make([]byte, size)
		wire, binary := f.AppendPayload(nil, load.packets)
		for name, run := range map[string]func(){
			"PayloadSize":   func() { f.PayloadSize(load.packets) },
			"Fit":           func() { f.Fit(load.packets, size) },
			"AppendPayload": func() { f.AppendPayload(dst, load.packets) },
			"Packets":       func() { count(t, f, body[:copy(body, wire)], binary) },
			"messages": func() {
				for _, p := range load.packets {
					m := f.AppendMessage(dst, p)
					if _, err := f.DecodeMessage(m, f.IsBinary(p)); err != nil {
						t.Fatal(err)
					}
				}
			},
		} {
			if n := testing.AllocsPerRun(100, run); n != 0 {
				t.Errorf("%s: %s: %v allocations", load.name, name, n)
			}
		}
	}
	script := make([]byte, 0, 1000)
	if n := testing.AllocsPerRun(100, func() { AppendJSONP(script, 5, []byte("4a\u2028<\n")) }); n != 0 {
		t.Errorf("AppendJSONP: %v allocations", n)
	}
	const form = "d=12%3A420%5B%22x%22%2C%22a%5Cnb%22%5D"
	body := make([]byte, len(form))
	if n := testing.AllocsPerRun(100, func() {
		if _, err := DecodeForm(body[:copy(body, form)]); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("DecodeForm: %v allocations", n)
	}
}

func BenchmarkAppendPayload(b *testing.B) {
	for _, load := range loads {
		b.Run(load.name, func(b *testing.B) {
			size := load.format.PayloadSize(load.packets)
			dst := make([]byte, 0, size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				load.format.AppendPayload(dst, load.packets)
			}
		})
	}
}

// The copy that restores the body is part of what is measured.
func BenchmarkPackets(b *testing.B) {
	for _, load := range loads {
		b.Run(load.name, func(b *testing.B) {
			wire, binary := load.format.AppendPayload(nil, load.packets)
			body := make([]byte, len(wire))
			b.SetBytes(int64(len(wire)))
			b.ReportAllocs()
			for b.Loop() {
				count(b, load.format, body[:copy(body, wire)], binary)
			}
		})
	}
}

func BenchmarkPayloadSize(b *testing.B) {
	for _, load := range loads {
		b.Run(load.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				load.format.PayloadSize(load.packets)
			}
		})
	}
}

func BenchmarkJSONP(b *testing.B) {
	wire, _ := V4.AppendPayload(nil, slices16(message(event)))
	dst := AppendJSONP(nil, 5, wire)
	b.SetBytes(int64(len(wire)))
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendJSONP(dst[:0], 5, wire)
	}
}
