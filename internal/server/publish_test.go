package server

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"baro.dev/channel"
)

func TestPublish(t *testing.T) {
	s := start(t, Config{Channels: channel.Options{MaxMessageBytes: 1000}})
	tests := []struct {
		name, contentType, body string
		status                  int
		binary                  bool
	}{
		{"text", "text/plain", "메세지", 200, false},
		{"text with charset", "text/plain; charset=UTF-8", "메세지", 200, false},
		{"markup", "text/html", "<p>", 200, false},
		{"JSON", "application/json", `{"a":[1]}`, 200, false},
		{"a kind of JSON", "application/vnd.api+json", `{}`, 200, false},
		{"curl -d", "application/x-www-form-urlencoded", "a=1&b=%20", 200, false},
		{"binary", "application/octet-stream", "\x00\xff", 200, true},
		{"binary that could be text", "application/octet-stream", "abc", 200, true},
		{"image", "image/png", "\x89PNG", 200, true},
		{"multipart", "multipart/form-data; boundary=x", "--x--", 200, true},
		{"no type, text", "", "abc", 200, false},
		{"no type, binary", "", "\xff", 200, true},
		{"empty", "text/plain", "", 200, false},
		{"as long as allowed", "text/plain", strings.Repeat("x", 1000), 200, false},
		{"too long", "text/plain", strings.Repeat("x", 1001), 413, false},
		{"far too long", "text/plain", strings.Repeat("x", 5<<20), 413, false},
		{"text that is not UTF-8", "text/plain", "abc\xff", 400, false},
		{"JSON that is not UTF-8", "application/json", "\"\xed\xa0\x80\"", 400, false},
		{"other charset", "text/plain; charset=iso-8859-1", "abc", 415, false},
		{"malformed type", "text/", "abc", 400, false},
	}
	for i, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			header := []string{"Content-Type", test.contentType}
			if test.contentType == "" {
				header = nil
			}
			name := fmt.Sprint("channel-", i)
			response, body := request(t, "POST", s.url("/c/"+name), test.body, header...)
			if response.StatusCode != test.status {
				t.Fatalf("status %d, %s; want %d", response.StatusCode, body, test.status)
			}
			batch, err := s.Hub().Read(name, channel.Oldest(), 0)
			if err != nil {
				t.Fatal(err)
			}
			if test.status != 200 {
				if len(batch.Messages) != 0 {
					t.Error("it was published nevertheless")
				}
				return
			}
			m := batch.Messages[0]
			if string(m.Data) != test.body || m.Binary != test.binary {
				t.Errorf("published %q, binary %v; want %q, %v", m.Data, m.Binary, test.body, test.binary)
			}
			var answer published
			if err := json.Unmarshal([]byte(body), &answer); err != nil {
				t.Fatal(err)
			}
			if answer != (published{m.Offset, m.Epoch, m.ID}) || answer.Offset != 1 || answer.Epoch == "" || answer.ID == "" {
				t.Errorf("answered %s", body)
			}
		})
	}
}

func TestPublishEventAndID(t *testing.T) {
	s := start(t, Config{})
	if response, body := request(t, "POST", s.url("/c/a?event=price%20of&id=%EA%B0%80"), "x"); response.StatusCode != http.StatusOK || !strings.Contains(body, `"id":"가"`) {
		t.Errorf("status %d, %s", response.StatusCode, body)
	}
	batch, _ := s.Hub().Read("a", channel.Oldest(), 0)
	if m := batch.Messages[0]; m.Event != "price of" || m.ID != "가" {
		t.Errorf("published %+v", m)
	}
	bad := map[string]string{
		"event=baro.reset":                     "invalid_event",
		"event=a;base64":                       "invalid_query", // net/url takes no semicolons
		"event=a%3Bbase64":                     "invalid_event",
		"event=a%0Adata:%20forged":             "invalid_event",
		"event=" + strings.Repeat("e", 129):    "invalid_event",
		"id=%00":                               "invalid_id",
		"id=" + strings.Repeat("i", 129):       "invalid_id",
		"id=a&id=b":                            "invalid_query",
		"event=%ff":                            "invalid_event",
		"id=%E2%80%A8":                         "invalid_id",
		"event=a%0D%0Aid:%20forged:1%0D%0A%0D": "invalid_event",
	}
	for query, code := range bad {
		response, body := request(t, "POST", s.url("/c/a?"+query), "x")
		wantError(t, response, body, 400, code)
	}
}

// Nothing is unpacked, so that nothing small becomes large.
func TestPublishCompressed(t *testing.T) {
	s := start(t, Config{})
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, _ = io.CopyN(z, zeros{}, 1<<20)
	z.Close()
	for _, encoding := range []string{"gzip", "deflate, gzip", "zstd"} {
		response, body := request(t, "POST", s.url("/c/a"), bomb.String(), "Content-Encoding", encoding)
		wantError(t, response, body, 415, "unsupported_encoding")
	}
	if response, _ := request(t, "POST", s.url("/c/a"), "x", "Content-Encoding", "identity"); response.StatusCode != http.StatusOK {
		t.Errorf("identity: status %d", response.StatusCode)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestPublishMalformedBodies(t *testing.T) {
	s := start(t, Config{Channels: channel.Options{MaxMessageBytes: 1000}})
	head := "POST /c/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: text/plain\r\n"
	chunked := head + "Transfer-Encoding: chunked\r\n\r\n"
	tests := []struct {
		name, request string
		status        int
	}{
		{"chunks", chunked + "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", 200},
		{"chunks beyond the limit", chunked + strings.Repeat("64\r\n"+strings.Repeat("x", 100)+"\r\n", 20) + "0\r\n\r\n", 413},
		{"declared beyond the limit", head + "Content-Length: 1073741824\r\n\r\n", 413},
		{"chunk size overflow", chunked + "ffffffffffffffffff\r\nabc", 400},
		{"negative chunk size", chunked + "-1\r\nabc", 400},
		{"negative length", head + "Content-Length: -1\r\n\r\n", 400},
		{"two lengths", head + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400},
		{"two hosts", "POST /c/a HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400},
		{"space before the colon", "POST /c/a HTTP/1.1\r\nHost : x\r\n\r\n", 400},
		{"folded header", "GET /c/a HTTP/1.1\r\nHost: x\r\nA: b\r\n\tc\r\nConnection: close\r\n\r\n", 200}, // unfolded by net/http
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if response, body := raw(t, s, test.request); response.StatusCode != test.status {
				t.Errorf("status %d, %s; want %d", response.StatusCode, body, test.status)
			}
		})
	}
}
