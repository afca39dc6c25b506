package load

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// messagesOf takes b apart, as it is cut, and tells of each message and control frame.
func messagesOf(f *frames, parts ...[]byte) (list []string, err error) {
	var message, control []byte
	for _, b := range parts {
		for len(b) > 0 {
			piece, rest, ok, err := f.next(b)
			if err != nil {
				return list, err
			}
			if len(rest) >= len(b) {
				return list, fmt.Errorf("nothing was taken of %d bytes", len(b))
			}
			b = rest
			if !ok {
				continue
			}
			into := &message
			if f.opcode >= opClose {
				into = &control
			}
			if f.begins {
				*into = (*into)[:0]
			}
			*into = append(*into, piece...)
			if f.ends {
				list = append(list, fmt.Sprintf("%d:%s", f.opcode, *into))
			}
		}
	}
	return list, nil
}

// Messages are the same however what comes is cut.
func TestFrames(t *testing.T) {
	long := bytes.Repeat([]byte("long "), 30)
	var b []byte
	b = append(b, serverFrame(0x80|opText, []byte("hello"))...)
	b = append(b, serverFrame(opBinary, []byte("in "))...)
	b = append(b, serverFrame(0x80|opPing, []byte("ping"))...)
	b = append(b, serverFrame(0, nil)...)
	b = append(b, serverFrame(0x80, []byte("parts"))...)
	b = append(b, serverFrame(0x80|opText, nil)...)
	b = append(b, serverFrame(0x80|opText, long)...)
	b = append(b, serverFrame(0x80|opClose, []byte("\x03\xe8"))...)
	want := []string{"1:hello", "9:ping", "2:in parts", "1:", "1:" + string(long), "8:\x03\xe8"}
	for i := range b {
		for j := i; j < len(b); j += 7 {
			got, err := messagesOf(&frames{}, b[:i], b[i:j], b[j:])
			if err != nil || !slices.Equal(got, want) {
				t.Fatalf("cut at %d and %d: %q, %v", i, j, got, err)
			}
		}
	}
}

// What a server must not send ends the connection.
func TestWrongFrames(t *testing.T) {
	for name, b := range map[string][]byte{
		"a reserved bit":        {0xc1, 0},
		"masked":                {0x81, 0x81, 0, 0, 0, 0, 'x'},
		"a reserved opcode":     {0x83, 0},
		"a reserved control":    {0x8b, 0},
		"a long ping":           append([]byte{0x89, 126, 0, 126}, make([]byte, 126)...),
		"a ping in parts":       {0x09, 0},
		"nothing to continue":   {0x80, 0},
		"one within another":    {0x01, 0, 0x81, 0},
		"continued and started": {0x01, 0, 0x80, 0, 0x80, 0},
	} {
		if got, err := messagesOf(&frames{}, b); err == nil {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func FuzzFrames(f *testing.F) {
	f.Add([]byte("\x81\x05hello\x01\x01a\x89\x00\x80\x01b\x88\x02\x03\xe8"), 3)
	f.Add([]byte("\x82\x7e\x00\x80"), 1)
	f.Add([]byte("\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00"), 5)
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		cut = min(max(cut, 0), len(b))
		whole, err1 := messagesOf(&frames{}, b)
		parts, err2 := messagesOf(&frames{}, b[:cut], b[cut:])
		if !slices.Equal(whole, parts) || (err1 == nil) != (err2 == nil) {
			t.Errorf("whole %q, %v; cut %q, %v", whole, err1, parts, err2)
		}
	})
}

// bodiesOf takes answers apart.
func bodiesOf(r *responses, parts ...[]byte) (list []string, err error) {
	var body []byte
	for _, b := range parts {
		for len(b) > 0 {
			piece, rest, err := r.next(b)
			if err != nil {
				return list, err
			}
			if len(rest) >= len(b) {
				return list, fmt.Errorf("nothing was taken of %d bytes", len(b))
			}
			b = rest
			body = append(body, piece...)
			if r.ends {
				list = append(list, fmt.Sprintf("%d:%s", r.status, body))
				body = body[:0]
			}
		}
	}
	return list, nil
}

// Answers are the same however what comes is cut.
func TestResponses(t *testing.T) {
	b := []byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello" +
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n" +
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0a;x=y\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n" +
		"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 429 Too Many Requests\r\nContent-Length: 4\r\n\r\nslow")
	want := []string{"200:hello", "201:", "200:abc0123456789", "204:", "429:slow"}
	for i := range b {
		for j := i; j < len(b); j += 5 {
			got, err := bodiesOf(&responses{}, b[:i], b[i:j], b[j:])
			if err != nil || !slices.Equal(got, want) {
				t.Fatalf("cut at %d and %d: %q, %v", i, j, got, err)
			}
		}
	}
}

func TestWrongResponses(t *testing.T) {
	for name, text := range map[string]string{
		"not HTTP":               "SSH-2.0-OpenSSH_9.2\r\n\r\n\r\n",
		"no status":              "HTTP/1.1 abc OK\r\n\r\n",
		"a negative length":      "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"a huge length":          "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
		"a chunk without a size": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
		"a chunk that goes on":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
		"a head without an end":  "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", maxHead/6+1),
	} {
		if got, err := bodiesOf(&responses{}, []byte(text)); err == nil {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func FuzzResponses(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 204 x\r\n\r\n"), 20)
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"), 50)
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		cut = min(max(cut, 0), len(b))
		whole, err1 := bodiesOf(&responses{}, b)
		parts, err2 := bodiesOf(&responses{}, b[:cut], b[cut:])
		if !slices.Equal(whole, parts) || (err1 == nil) != (err2 == nil) {
			t.Errorf("whole %q, %v; cut %q, %v", whole, err1, parts, err2)
		}
	})
}

// Stamps are found wherever what comes is cut, once each.
func TestFinder(t *testing.T) {
	mark := newMark()
	make1 := func(s stamp) string {
		b := filler(stampSize + 5)
		s.put(b, mark)
		return string(b)
	}
	want := []stamp{{1, 2, 3}, {maxStreams - 1, 1<<32 - 1, 1<<48 - 1}, {4, 5, 6}, {7, 8, 9}}
	text := string(mark) + " a mark alone " + string(mark[:5]) + make1(want[0]) + make1(want[1]) + `{"data":"` + make1(want[2]) + `"}` + string(mark) + make1(want[3]) + string(mark[:7])
	for i := range text {
		for j := i; j < len(text); j += 3 {
			f := finder{mark: mark}
			var got []stamp
			for _, part := range []string{text[:i], text[i:j], text[j:]} {
				f.find([]byte(part), func(s stamp) { got = append(got, s) })
			}
			if !slices.Equal(got, want) {
				t.Fatalf("cut at %d and %d: %v", i, j, got)
			}
		}
	}
	f := finder{mark: mark}
	var got []stamp
	for i := range text { // byte by byte
		f.find([]byte(text[i:i+1]), func(s stamp) { got = append(got, s) })
	}
	if !slices.Equal(got, want) {
		t.Errorf("byte by byte: %v", got)
	}
}

// A tracker is right about any order of anything.
func TestTracker(t *testing.T) {
	var tr tracker
	var fresh, late, twice int
	for _, n := range []uint32{0, 1, 1, 4, 2, 2, 5, 0, 9, 3} {
		switch isFresh, isLate := tr.take(n); {
		case !isFresh:
			twice++
		case isLate:
			late++
		default:
			fresh++
		}
	}
	if fresh != 5 || late != 2 || twice != 3 || tr.got != 7 || len(tr.missing) != 3 {
		t.Errorf("%d, %d late, %d twice, %+v", fresh, late, twice, tr)
	}
	tr = tracker{}
	if tr.take(1 << 31); len(tr.missing) > maxMissing {
		t.Errorf("%d are remembered", len(tr.missing))
	}
}
