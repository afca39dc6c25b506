package payload

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// Whatever comes gives packets or a typed error, the same as the reference; and what was decoded is encoded and decoded
// again as it is.
func FuzzPackets(f *testing.F) {
	for _, test := range wires {
		f.Add([]byte(test.wire), byte(test.format), test.binary)
	}
	f.Fuzz(func(t *testing.T, body []byte, kind byte, binary bool) {
		format := Format(kind % 4)
		packets, err := decode(t, format, string(body), binary)
		total := 0
		for _, p := range packets {
			if total += 1 + len(p.Data); p.Type >= types || p.Binary && p.Type != Message || !p.Binary && !utf8.Valid(p.Data) {
				t.Fatalf("%v", p)
			}
		}
		if total > len(body) {
			t.Fatalf("%d bytes of packets from %d of input", total, len(body))
		}
		if !binary && utf8.Valid(body) {
			if want, ok := reference(format, string(body)); ok != (err == nil) || !equalAll(packets, want) {
				t.Fatalf("%v, %v; the reference: %v, %v", packets, err, want, ok)
			}
		}
		for _, format := range formats() {
			if len(packets) > 0 {
				roundTrip(t, format, packets)
			}
		}
	})
}

func roundTrip(t *testing.T, format Format, packets []Packet) {
	// A separator in text cannot be told from one between packets in protocol 4.
	separated := func(p Packet) bool { return !p.Binary && slices.Contains(p.Data, separator) }
	if format.Protocol() == 4 && slices.ContainsFunc(packets, separated) {
		return
	}
	wire, binary := format.AppendPayload(nil, packets)
	if size := format.PayloadSize(packets); size != len(wire) {
		t.Fatalf("%v: %v: size %d, not %d", format, packets, size, len(wire))
	}
	again, err := decode(t, format, string(wire), binary)
	if err != nil || !equalAll(again, packets) {
		t.Fatalf("%v: %v became %q became %v, %v", format, packets, wire, again, err)
	}
	if n, size := format.Fit(packets, len(wire)); n != len(packets) || size != len(wire) {
		t.Fatalf("%v: %v: %d of them fit %d bytes", format, packets, n, len(wire))
	}
	for _, p := range packets {
		m := format.AppendMessage(nil, p)
		if size := format.MessageSize(p); size != len(m) {
			t.Fatalf("%v: %v: size %d, not %d", format, p, size, len(m))
		}
		if again, err := format.DecodeMessage(m, format.IsBinary(p)); err != nil || !equal(again, p) {
			t.Fatalf("%v: %v became %v, %v", format, p, again, err)
		}
	}
}

// A WebSocket message gives a packet or a typed error.
func FuzzDecodeMessage(f *testing.F) {
	f.Add([]byte("2probe"), byte(0), false)
	f.Add([]byte("b4AQIDBA=="), byte(2), false)
	f.Add([]byte("\x04\x01\x02"), byte(3), true)
	f.Fuzz(func(t *testing.T, data []byte, kind byte, binary bool) {
		size := len(data)
		p, err := Format(kind%4).DecodeMessage(data, binary)
		if err != nil {
			wellFormed(t, err, size, 0)
		} else if p.Type >= types || len(p.Data) > size {
			t.Fatalf("%v", p)
		}
	})
}

// The script is a string that JSON reads back, with nothing in it that HTML or an old JavaScript stumbles over; a form
// gives a typed error or what its escapes say.
func FuzzJSONP(f *testing.F) {
	f.Add("118:0{\"sid\":\"XE34\"}")
	f.Add("4a\u2028b\u2029</script>\x1e4\\n\\\\n")
	f.Add("\xff\xe2\x80\xa8")
	f.Add("d=12%3A420%5B%22x%22%2C%22a%5Cnb%22%5D")
	f.Fuzz(func(t *testing.T, payload string) {
		script := string(AppendJSONP(nil, 7, []byte(payload)))
		quoted, found := strings.CutPrefix(script, "___eio[7](")
		quoted, ends := strings.CutSuffix(quoted, ");")
		if !found || !ends || strings.ContainsAny(quoted, "<>\u2028\u2029\n\r") || !utf8.ValidString(quoted) {
			t.Fatalf("%q", script)
		}
		var back string
		if err := json.Unmarshal([]byte(quoted), &back); err != nil || back != string([]rune(payload)) {
			t.Fatalf("%q: %q, %v", script, back, err)
		}
		data, err := DecodeForm([]byte(payload))
		if err != nil {
			wellFormed(t, err, len(payload), 0)
		} else if len(data) > len(payload) {
			t.Fatalf("%q: %q", payload, data)
		}
	})
}
