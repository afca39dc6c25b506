package payload

import "testing"

func TestFit(t *testing.T) {
	for _, test := range wires {
		total := len(test.wire)
		for limit := -1; limit <= total+1; limit++ {
			n, size := test.format.Fit(test.packets, limit)
			want := 0
			for k := 1; k <= len(test.packets); k++ {
				if test.format.PayloadSize(test.packets[:k]) > limit {
					break
				}
				want = k
			}
			if n != want || size != test.format.PayloadSize(test.packets[:n]) {
				t.Fatalf("%s, limit %d: %d packets of %d bytes, want %d", test.name, limit, n, size, want)
			}
			if got := len(payloadOf(test.format, test.packets[:n])); got != size {
				t.Fatalf("%s, limit %d: %d bytes, not %d", test.name, limit, got, size)
			}
		}
	}
}

func TestFormatOf(t *testing.T) {
	for _, test := range []struct {
		protocol int
		base64   bool
		format   Format
		name     string
	}{
		{4, false, V4, "protocol 4"},
		{4, true, V4Base64, "protocol 4 with base64"},
		{3, false, V3, "protocol 3"},
		{3, true, V3Base64, "protocol 3 with base64"},
	} {
		f := FormatOf(test.protocol, test.base64)
		if f != test.format || f.Protocol() != test.protocol || f.String() != test.name {
			t.Errorf("%d, %v: %v", test.protocol, test.base64, f)
		}
	}
	if s := Message.String() + ", " + Type(9).String() + ", " + Format(9).String(); s != "message, packet type 9, format 9" {
		t.Error(s)
	}
}
