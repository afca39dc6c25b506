package channel

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestValidateName(t *testing.T) {
	good := []string{
		"a", "demo", "rooms/42", "with space", "*", ">", "방/하나", "שלום", "..", "a//b", "%2F",
		strings.Repeat("n", 255), "🙂", "аdmin", // the first letter is Cyrillic: names are bytes
	}
	for _, name := range good {
		if err := ValidateName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	bad := map[string]string{
		"":                       "empty",
		strings.Repeat("n", 256): "256 bytes",
		strings.Repeat("가", 86):  "258 bytes",
		"a\x00b":                 "U+0000 at byte 1",
		"a\r\nb":                 "U+000D",
		"a\tb":                   "U+0009",
		"\x7f":                   "U+007F",
		"a\u0085b":               "U+0085",
		"a\u2028b":               "U+2028",
		"a\u202eb":               "U+202E",
		"a\u2066b":               "U+2066",
		"a\xffb":                 "byte 1 is not valid UTF-8",
		"\xed\xa0\x80":           "byte 0 is not valid UTF-8", // a surrogate
		"\xc0\xaf":               "byte 0 is not valid UTF-8", // overlong
		"ab\xe2\x82":             "byte 2 is not valid UTF-8", // cut short
	}
	for name, why := range bad {
		err := ValidateName(name)
		if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), why) {
			t.Errorf("%q: %v; want %q", name, err, why)
		}
	}
	if err := ValidateName("a\ufffdb"); err != nil {
		t.Errorf("the replacement character itself: %v", err)
	}
}

func TestParsePosition(t *testing.T) {
	good := map[string]Position{
		"0":                          {"", 0},
		"17":                         {"", 17},
		"007":                        {"", 7},
		"ABC:17":                     {"ABC", 17},
		"a-b_9:18446744073709551615": {"a-b_9", math.MaxUint64},
	}
	for s, want := range good {
		if got, err := ParsePosition(s); err != nil || got != want {
			t.Errorf("%q: %v, %v; want %v", s, got, err, want)
		}
	}
	bad := []string{
		"", ":", "ABC", "ABC:", ":17", "-1", "+1", " 1", "1 ", "1.0", "0x10", "1_000", "1e3", "18446744073709551616",
		"ABC:1:2", "A C:1", "ABC\n:1", "ABC:1\n", "Ä:1", "ABC:١", strings.Repeat("A", 33) + ":1", strings.Repeat("0", 21),
		strings.Repeat("9", 1<<20), strings.Repeat("A", 1<<20),
	}
	for _, s := range bad {
		if got, err := ParsePosition(s); !errors.Is(err, ErrInvalid) {
			t.Errorf("%.40q: %v, %v; want an error", s, got, err)
		}
	}
}

func FuzzParsePosition(f *testing.F) {
	for _, s := range []string{"0", "ABC:17", "ABC:", ":1", "-1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePosition(s)
		if err != nil {
			return
		}
		if again, err := ParsePosition(p.String()); err != nil || again != p {
			t.Errorf("%q is %v, which reads as %v, %v", s, p, again, err)
		}
	})
}

func TestEnvelope(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.FixedZone("", 9*3600))
	tests := []struct {
		message Message
		want    string
	}{
		{
			Message{Offset: 17, Epoch: "ABC", ID: "a1", Event: "price", Time: at, Data: []byte("메세지 \"1\"\n<\x00\x1f\\>\u2028")},
			`{"offset":17,"epoch":"ABC","id":"a1","event":"price","time":"2026-01-01T18:04:05.678Z","data":"메세지 \"1\"\n<\u0000\u001f\\>\u2028"}`,
		},
		{
			Message{Offset: 1, Epoch: "ABC", ID: "ABC:1", Time: at, Data: []byte{0, 255}, Binary: true},
			`{"offset":1,"epoch":"ABC","id":"ABC:1","time":"2026-01-01T18:04:05.678Z","base64":"AP8="}`,
		},
		{
			Message{Offset: 1, Epoch: "ABC", ID: "x", Time: at},
			`{"offset":1,"epoch":"ABC","id":"x","time":"2026-01-01T18:04:05.678Z","data":""}`,
		},
	}
	for _, test := range tests {
		got, err := json.Marshal(&test.message)
		// encoding/json escapes what the envelope leaves as it is.
		plain := test.message.AppendJSON(nil)
		if err != nil || string(plain) != test.want {
			t.Errorf("envelope\n%s, %v; want\n%s", plain, err, test.want)
		}
		for _, envelope := range [][]byte{got, plain} {
			var back Message
			if err := json.Unmarshal(envelope, &back); err != nil {
				t.Fatal(err)
			}
			if back.Offset != test.message.Offset || back.Epoch != test.message.Epoch || back.ID != test.message.ID ||
				back.Event != test.message.Event || !back.Time.Equal(test.message.Time) ||
				!bytes.Equal(back.Data, test.message.Data) || back.Binary != test.message.Binary {
				t.Errorf("%s came back as %+v", envelope, back)
			}
		}
	}
}

func TestEnvelopeRefuses(t *testing.T) {
	tests := map[string]string{
		`{}`:                            "either",
		`{"data":"a","base64":"YQ=="}`:  "either",
		`{"data":null}`:                 "either",
		`{"base64":"%%"}`:               "not base64",
		`{"base64":"YQ"}`:               "not base64",
		`{"data":7}`:                    `"data" cannot be a number`,
		`{"data":"a","id":7}`:           `"id" cannot be a number`,
		`{"data":"a","offset":-1}`:      `"offset" cannot be a number`,
		`[]`:                            "cannot",
		`"a"`:                           "cannot",
		"{\"data\":\"\xff\"}":           "not valid UTF-8",
		`{"data":"\ud83d"}`:             "half of a surrogate pair",
		`{"data":{"a":1}}`:              `"data" cannot be a object`,
		strings.Repeat(`[`, 100_000):    "envelope",
		`{"data":"a","time":"morning"}`: "envelope",
	}
	for envelope, why := range tests {
		var m Message
		err := m.UnmarshalJSON([]byte(envelope))
		if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), why) {
			t.Errorf("%.60q: %v; want %q", envelope, err, why)
		}
	}
}

func FuzzEnvelope(f *testing.F) {
	f.Add("id", "event", []byte("text"), false)
	f.Add("", "", []byte("\x00\"\\\u2028\xff"), true)
	f.Add("", "", []byte("메세지\r\n"), false)
	f.Fuzz(func(t *testing.T, id, event string, data []byte, binary bool) {
		m := Message{Offset: 1, Epoch: "ABC", ID: id, Event: event, Data: data, Binary: binary}
		envelope := m.AppendJSON(nil)
		if bytes.ContainsAny(envelope, "\r\n") {
			t.Fatalf("a line break in %q", envelope)
		}
		if !json.Valid(envelope) || !utf8.Valid(envelope) {
			t.Fatalf("not JSON: %q", envelope)
		}
		if m.Validate() != nil {
			return
		}
		var back Message
		if err := back.UnmarshalJSON(envelope); err != nil {
			t.Fatal(err)
		}
		if back.ID != id || back.Event != event || !bytes.Equal(back.Data, data) || back.Binary != binary {
			t.Errorf("%q came back as %+v", envelope, back)
		}
	})
}

func FuzzUnmarshalEnvelope(f *testing.F) {
	f.Add([]byte(`{"data":"a","id":"b","event":"c"}`))
	f.Add([]byte(`{"base64":"YQ=="}`))
	f.Add([]byte(`{"data":"\ud800"}`))
	f.Fuzz(func(t *testing.T, envelope []byte) {
		var m Message
		if err := m.UnmarshalJSON(envelope); err == nil && !m.Binary && !utf8.Valid(m.Data) {
			t.Errorf("%q reads as text that is not UTF-8: %q", envelope, m.Data)
		}
	})
}
