//go:build linux

package load

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// A payload is found wherever what has come is cut, and once.
func TestFindPayloads(t *testing.T) {
	payload := []byte("abcaabca")
	whole := []byte(`x{"data":"abcaabca"}abcaabcaabcab {"data":"abcaabca"}` + "\n")
	want := bytes.Count(whole, payload)
	for first := range whole {
		for second := first; second < len(whole); second++ {
			c := &channels{payload: payload, parts: make([][]byte, 1)}
			got := c.find(0, whole[:first]) + c.find(0, whole[first:second]) + c.find(0, whole[second:])
			if got != want {
				t.Fatalf("cut at %d and %d: %d payloads, want %d", first, second, got, want)
			}
		}
	}
}

func TestAnswerBody(t *testing.T) {
	for _, c := range []struct{ answer, body, err string }{
		{"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "abc", ""},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0b\r\nhello world\r\n0\r\n\r\n", "abchello world", ""},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", "", "size of a chunk"},
		{"HTTP/1.1 429 Too Many Requests\r\nTransfer-Encoding: chunked\r\n\r\n", "", "refused"},
	} {
		body, length, err := answerBody([]byte(c.answer))
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%q: %v", c.answer, err)
			}
			continue
		}
		if err != nil || string(body) != c.body || length != len(c.answer) {
			t.Errorf("%q: %q, %d, %v", c.answer, body, length, err)
		}
		for n := range len(c.answer) {
			if _, length, err := answerBody([]byte(c.answer[:n])); length != 0 || err != nil {
				t.Fatalf("%d bytes of %q: %d, %v", n, c.answer, length, err)
			}
		}
	}
}

// What was not published is not counted as published.
func TestPublishCheck(t *testing.T) {
	p := Publish{Done: `"offset":`, BatchDone: `"ok"`, Body: func(s string) string { return s }}
	for _, c := range []struct {
		body  string
		count int
		ok    bool
	}{
		{`{"offset":1}`, 1, true}, {`{"error":{}}`, 1, false}, {`["ok","ok"]`, 2, true}, {`["ok",{"error":1}]`, 2, false},
	} {
		if err := p.check([]byte(c.body), c.count); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.body, err)
		}
	}
	got := p.request(Target{}, "hello", 1)
	if want := fmt.Sprintf("Content-Length: %d\r\n\r\nhello", 5); !bytes.HasSuffix(got, []byte(want)) {
		t.Errorf("%q", got)
	}
}
