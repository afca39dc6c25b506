package handshake

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
)

func readResponse(r io.Reader, limit int64) (*http.Response, *bufio.Reader, error) {
	br := bufio.NewReaderSize(r, 64)
	resp, err := ReadResponse(br, &http.Request{Method: "GET"}, limit)
	return resp, br, err
}

func TestReadResponseKeepsFrames(t *testing.T) {
	const frames = "\x81\x02hi\x88\x00"
	readers := map[string]func(io.Reader) io.Reader{
		"at once":            func(r io.Reader) io.Reader { return r },
		"byte by byte":       iotest.OneByteReader,
		"data with the EOF":  iotest.DataErrReader,
		"in halves":          iotest.HalfReader,
		"large in one piece": func(r io.Reader) io.Reader { return bufio.NewReaderSize(r, 1<<16) },
	}
	headers := map[string]string{
		"short":       "HTTP/1.1 101 Switching Protocols\r\n\r\n",
		"no reason":   "HTTP/1.1 101 \r\n\r\n",
		"usual":       upgradeResponse + "\r\n",
		"bare LF":     strings.ReplaceAll(upgradeResponse, "\r", "") + "\n", // RFC 9112 2.2: MAY be recognised
		"folded line": upgradeResponse + "X-Long: a\r\n\tb\r\n\r\n",         // RFC 9112 5.2: MUST be replaced by spaces
		"after 103":   "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + upgradeResponse + "\r\n",
		"after 100":   "HTTP/1.1 100 Continue\r\n\r\n" + upgradeResponse + "\r\n",
		"long line":   upgradeResponse + "X-Long: " + strings.Repeat("x", 10000) + "\r\n\r\n",
		"4096 bytes":  "HTTP/1.1 101 OK\r\nX: " + strings.Repeat("x", 4096-24) + "\r\n\r\n",
		"4095 bytes":  "HTTP/1.1 101 OK\r\nX: " + strings.Repeat("x", 4095-24) + "\r\n\r\n",
		"4097 bytes":  "HTTP/1.1 101 OK\r\nX: " + strings.Repeat("x", 4097-24) + "\r\n\r\n",
	}
	for how, wrap := range readers {
		for name, header := range headers {
			t.Run(name+" "+how, func(t *testing.T) {
				resp, br, err := readResponse(wrap(strings.NewReader(header+frames)), 1<<16)
				if err != nil || resp.StatusCode != 101 {
					t.Fatalf("%+v, %v", resp, err)
				}
				if rest, err := io.ReadAll(br); string(rest) != frames || err != nil {
					t.Errorf("%q is left, %v", rest, err)
				}
			})
		}
	}
}

func TestReadResponseCut(t *testing.T) {
	response := "HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n" + upgradeResponse + "\r\n"
	for i := range len(response) {
		if _, _, err := readResponse(strings.NewReader(response[:i]), 1<<16); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut at %d: %v", i, err)
		}
	}
	reset := errors.New("connection reset")
	r := io.MultiReader(strings.NewReader(upgradeResponse), iotest.ErrReader(reset))
	if _, _, err := readResponse(r, 1<<16); !errors.Is(err, reset) {
		t.Errorf("%v, want the reader's own error", err)
	}
}

// endless repeats a text and counts what was taken.
type endless struct {
	text  string
	taken int
}

func (e *endless) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		n += copy(p[n:], e.text[(e.taken+n)%len(e.text):])
	}
	e.taken += n
	return n, nil
}

func TestReadResponseBounded(t *testing.T) {
	const limit = 16 << 10
	tests := []struct{ name, first, repeated string }{
		{"endless line", "HTTP/1.1 101 OK\r\nX: ", "x"},
		{"endless status", "HTTP/1.1 101 ", "x"},
		{"no status at all", "", "x"},
		{"endless headers", "HTTP/1.1 101 OK\r\n", "A: b\r\n"},
		{"endless tiny headers", "HTTP/1.1 101 OK\r\n", "a:\n"},
		{"endless fold", "HTTP/1.1 101 OK\r\nX: y\r\n", " \n"},
		{"endless interim responses", "", "HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			source := &endless{text: tt.repeated}
			resp, _, err := readResponse(io.MultiReader(strings.NewReader(tt.first), source), limit)
			if err == nil {
				t.Fatalf("%+v", resp)
			}
			if source.taken > limit+64 { // 64 is the size of the buffer
				t.Errorf("%d bytes taken", source.taken)
			}
			if tt.name != "endless interim responses" && !errors.Is(err, ErrHeaderTooLarge) {
				t.Errorf("%v", err)
			}
		})
	}

	// To the byte.
	response := upgradeResponse + "\r\n"
	if _, _, err := readResponse(strings.NewReader(response), int64(len(response))); err != nil {
		t.Error(err)
	}
	if _, _, err := readResponse(strings.NewReader(response), int64(len(response))-1); !errors.Is(err, ErrHeaderTooLarge) {
		t.Error(err)
	}
	if _, _, err := readResponse(strings.NewReader(response), 0); !errors.Is(err, ErrHeaderTooLarge) {
		t.Error(err)
	}
}

func TestReadResponseMalformed(t *testing.T) {
	for _, response := range []string{
		"\r\n",
		"HTTP/1.1\r\n\r\n",
		"HTTP/1.1 1x1 OK\r\n\r\n",
		"HTTP/1.1 1010 OK\r\n\r\n",
		"SMTP/1.1 101 OK\r\n\r\n",
		"220 mail.example.com ESMTP\r\n\r\n",
		"HTTP/1.1 101 OK\r\n: no name\r\n\r\n",
		"HTTP/1.1 101 OK\r\nno colon \x1b[31m\r\n\r\n",
		"HTTP/1.1 101 OK\r\n" + strings.Repeat("x", 10000) + "\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
	} {
		resp, _, err := readResponse(strings.NewReader(response), 1<<16)
		if err == nil {
			t.Errorf("%.60q: %+v", response, resp)
		} else if s := err.Error(); len(s) > 256 || strings.ContainsAny(s, "\x1b\r\n") {
			t.Errorf("%.60q: error %q", response, s)
		}
	}
}

func TestReadResponseBody(t *testing.T) {
	resp, _, err := readResponse(strings.NewReader("HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nno!\nrest"), 1<<16)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(resp.Body); string(body) != "no!\n" || err != nil {
		t.Errorf("body %q, %v", body, err)
	}
}
