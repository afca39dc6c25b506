package connect_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"baro.dev/internal/cli/connect"
	"baro.dev/internal/cli/connection"
	"baro.dev/internal/cli/exit"
	"baro.dev/internal/cli/target"
	"baro.dev/internal/testkit"
	"baro.dev/ws"
)

// echo answers each message by itself; "close CODE" closes, "cut" cuts the connection.
func echo(w http.ResponseWriter, r *http.Request) {
	c, err := ws.Accept(w, r, &ws.AcceptOptions{Compression: ws.Compression{Enabled: true}, Limits: ws.Limits{MaxMessageSize: 16 << 20}})
	if err != nil {
		return
	}
	defer c.CloseNow()
	for m, err := range c.Messages(r.Context()) {
		var code int
		if n, _ := fmt.Sscanf(m.String(), "close %d", &code); n == 1 {
			c.Close(r.Context(), ws.StatusCode(code), "\x1b[31masked")
			return
		}
		if err != nil || m.String() == "cut" {
			return
		}
		c.Write(r.Context(), m.Type, m.Data)
	}
}

func serve(t *testing.T, h http.HandlerFunc) string {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// text is a buffer that may be written and read at the same time.
type text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *text) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *text) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// run runs the command, and gives what it wrote and its exit code.
func run(t *testing.T, url, input string, o connect.Options) (out, notes string, code int) {
	t.Helper()
	testkit.NoLeaks(t)
	return talk(t, url, input, 0, o)
}

// attempt runs the command with little patience, and no input.
func attempt(t *testing.T, url string, o connect.Options) (out, notes string, code int) {
	t.Helper()
	return talk(t, url, "", 2*time.Second, o)
}

func talk(t *testing.T, url, input string, timeout time.Duration, o connect.Options) (out, notes string, code int) {
	t.Helper()
	to, err := (&target.Options{Proxy: "none", Timeout: timeout}).Target(url)
	if err != nil {
		t.Fatal(err)
	}
	if o.Connection == nil {
		o.Connection = &connection.Options{}
	}
	o.Connection.Target = to
	var stdout, stderr text
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience)
	defer cancel()
	err = connect.Run(ctx, &o, strings.NewReader(input), &stdout, &stderr)
	if ctx.Err() != nil {
		t.Fatal("it does not end")
	}
	notes = stderr.String()
	if err != nil {
		notes += err.Error()
	}
	return stdout.String(), notes, exit.Code(err)
}

// Lines go in and out in every format.
func TestFormats(t *testing.T) {
	url := serve(t, echo)
	for name, c := range map[string]struct {
		o        connect.Options
		in, want string
	}{
		"text":      {connect.Options{}, "a\r\n\n\xea\xb0\x80\nlast", "a\n\n\xea\xb0\x80\nlast\n"},
		"null":      {connect.Options{Null: true}, "a\nb\x00\x00c\r", "a\nb\x00\x00c\r\x00"},
		"binary":    {connect.Options{Format: connect.Binary}, "\xff\n\n", "\xff\n\n"},
		"base64":    {connect.Options{Format: connect.Base64}, "/w==\n\n", "/w==\n\n"},
		"hex":       {connect.Options{Format: connect.Hex}, "ff00\nFE\n", "ff00\nfe\n"},
		"json":      {connect.Options{Format: connect.JSON}, "{\"data\":\"a\\nb\"}\n{\"base64\":\"/w==\"}\n{\"data\":\"\"}\n", "{\"type\":\"text\",\"data\":\"a\\nb\",AT\n{\"type\":\"binary\",\"base64\":\"/w==\",AT\n{\"type\":\"text\",\"data\":\"\",AT\n"},
		"times":     {connect.Options{Timestamps: true}, "a\n", "TIME a\n"},
		"messages":  {connect.Options{Messages: []string{"a", "", "b\nc"}}, "ignored\n", "a\n\nb\nc\n"},
		"long":      {connect.Options{}, strings.Repeat("a", 300_000) + "\nb\n", strings.Repeat("a", 300_000) + "\nb\n"},
		"jsonsend":  {connect.Options{Format: connect.JSON, Messages: []string{`{"data":"a"}`, `{"base64":"/w=="}`}}, "", "{\"type\":\"text\",\"data\":\"a\",AT\n{\"type\":\"binary\",\"base64\":\"/w==\",AT\n"},
		"manyLines": {connect.Options{}, strings.Repeat("0123456789\n", 20_000), strings.Repeat("0123456789\n", 20_000)},
	} {
		t.Run(name, func(t *testing.T) {
			c.o.Count = int64(strings.Count(c.want, "\n"))
			if c.o.Null {
				c.o.Count = int64(strings.Count(c.want, "\x00"))
			} else if name == "messages" {
				c.o.Count = 3
			}
			out, notes, code := run(t, url, c.in, c.o)
			out = regexp.MustCompile(`"at":"[^"]+"}`).ReplaceAllString(out, "AT")
			out = regexp.MustCompile(`(?m)^2.*Z `).ReplaceAllString(out, "TIME ")
			if out != c.want || code != exit.OK || notes != "" {
				t.Errorf("got %.200q (%d, %q), want %.200q", out, code, notes, c.want)
			}
		})
	}
}

func TestMistakes(t *testing.T) {
	url := serve(t, echo)
	for _, c := range []struct {
		o        connect.Options
		in, says string
	}{
		{connect.Options{}, "a\n\xff\n", "line 2 of the input: it is not UTF-8"},
		{connect.Options{Format: connect.Base64}, "?\n", "line 1 of the input"},
		{connect.Options{Format: connect.Hex}, "0\n", "line 1 of the input"},
		{connect.Options{Format: connect.JSON}, "{\"data\":\"\"}\nnonsense\n", "line 2 of the input: it is no object"},
		{connect.Options{Format: connect.JSON}, "{\"data\":\"\",\"base64\":\"\"}\n", "one of"},
		{connect.Options{Format: connect.JSON}, "{\"event\":\"a\",\"args\":[]}\n", "line 1 of the input: the message was not sent"},
		{connect.Options{Format: connect.JSON, Messages: []string{`{"data":"a"}`, "hello"}}, "", `--message 2: it is no object of JSON`},
		{connect.Options{Format: connect.JSON, Messages: []string{"1"}}, "", `but number (with --json a message is an object, as {"data":"text"})`},
		{connect.Options{Format: connect.Hex, Messages: []string{"0"}}, "", "--message 1"},
		{connect.Options{Connection: &connection.Options{MaxMessage: 3}}, "abc\nabcd\n", "line 2 of the input: it has more than 3 bytes"},
		{connect.Options{Connection: &connection.Options{MaxMessage: 1 << 20}}, strings.Repeat("a", 100<<20), "line 1 of the input: it has more than 1048576 bytes"},
	} {
		if _, notes, code := run(t, url, c.in, c.o); code != exit.Failed || !strings.Contains(notes, c.says) {
			t.Errorf("%.20q: %q (%d), want %q", c.in, notes, code, c.says)
		}
	}
}

// What is waited for decides about the exit code.
func TestEnds(t *testing.T) {
	url := serve(t, echo)
	pattern := func(all ...string) (list []*regexp.Regexp) {
		for _, s := range all {
			list = append(list, regexp.MustCompile(s))
		}
		return list
	}
	for name, c := range map[string]struct {
		o    connect.Options
		in   string
		code int
		says string
	}{
		"quiet":          {connect.Options{Wait: 100 * time.Millisecond}, "a\n", exit.OK, ""},
		"closed":         {connect.Options{Wait: -1}, "a\nclose 1000\n", exit.OK, ""},
		"closed badly":   {connect.Options{Wait: -1}, "close 4000\n", exit.Broken, "4000"},
		"cut":            {connect.Options{Wait: -1}, "cut\n", exit.Broken, "1006"},
		"expected":       {connect.Options{Expect: pattern("^b$", "c")}, "c\nb\nc\n", exit.OK, ""},
		"not expected":   {connect.Options{Expect: pattern("b", "c"), Timeout: 2 * time.Second}, "c\nb\n", exit.Unmet, `"c"`},
		"closed before":  {connect.Options{Expect: pattern("b")}, "close 1000\n", exit.Unmet, "the server has closed"},
		"none in count":  {connect.Options{Expect: pattern("b"), Count: 2}, "a\na\nb\n", exit.Unmet, `"b"`},
		"counted":        {connect.Options{Count: 2}, "a\nb\nc\n", exit.OK, ""},
		"too few":        {connect.Options{Count: 2, Timeout: 2 * time.Second}, "a\n", exit.Unmet, "1 of 2"},
		"for some time":  {connect.Options{Wait: -1, Timeout: 200 * time.Millisecond}, "a\n", exit.OK, ""},
		"without input":  {connect.Options{Timeout: 2 * time.Second, Stats: true}, "", exit.OK, "in 2"},
		"nothing is due": {connect.Options{}, "a\n", exit.OK, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, notes, code := run(t, url, c.in, c.o); code != c.code || !strings.Contains(notes, c.says) || strings.Contains(notes, "\x1b") && code == exit.OK {
				t.Errorf("%d, %q; want %d, %q", code, notes, c.code, c.says)
			}
		})
	}
}

// Frames, and what compression does, are told beside the output.
func TestNotes(t *testing.T) {
	input := strings.Repeat("hello ", 50) + "\n"
	out, notes, code := run(t, serve(t, echo), input, connect.Options{
		Frames: true, Verbose: true, Stats: true, Count: 1, Connection: &connection.Options{Compression: ws.Compression{Enabled: true}},
	})
	if out != input || code != exit.OK {
		t.Errorf("%q, %d", out, code)
	}
	for _, want := range []string{"connected to http://", "permessage-deflate", " > text fin rsv1 masked length=", " < text fin rsv1 length=", " > close fin masked length=2 code=1000", "sent 1 messages, 300 bytes (", "on the wire"} {
		if !strings.Contains(notes, want) {
			t.Errorf("%q is not told: %s", want, notes)
		}
	}
}

// gone is an output that nobody reads, or that is full.
type gone struct{ err error }

func (g gone) Write([]byte) (int, error) { return 0, g.err }

func TestOutputGone(t *testing.T) {
	testkit.NoLeaks(t)
	to, err := (&target.Options{Proxy: "none"}).Target(serve(t, echo))
	if err != nil {
		t.Fatal(err)
	}
	for err, code := range map[error]int{&os.PathError{Op: "write", Err: syscall.EPIPE}: exit.OK, syscall.ENOSPC: exit.Failed} {
		input, feed := io.Pipe()
		go io.WriteString(feed, "a\n")
		e := connect.Run(t.Context(), &connect.Options{Connection: &connection.Options{Target: to}, Wait: -1}, input, gone{err}, io.Discard)
		if exit.Code(e) != code {
			t.Errorf("%v: %v (%d)", err, e, exit.Code(e))
		}
		feed.Close()
	}
}

// Who has read enough may go though nothing more comes.
func TestReaderGone(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("nobody tells it there")
	}
	testkit.NoLeaks(t)
	to, err := (&target.Options{Proxy: "none"}).Target(serve(t, echo))
	if err != nil {
		t.Fatal(err)
	}
	out, stdout, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdout.Close()
	ended := make(chan error, 1)
	go func() {
		ended <- connect.Run(t.Context(), &connect.Options{Connection: &connection.Options{Target: to}, Wait: -1}, strings.NewReader("a\n"), stdout, io.Discard)
	}()
	if _, err := io.ReadFull(out, make([]byte, 2)); err != nil {
		t.Fatal(err)
	}
	out.Close()
	if err := testkit.Within(t, "the end", ended); err != nil {
		t.Error(err)
	}
}

// Whoever is interrupted says goodbye.
func TestInterrupted(t *testing.T) {
	testkit.NoLeaks(t)
	codes := make(chan ws.StatusCode, 1)
	to, err := (&target.Options{Proxy: "none"}).Target(serve(t, func(w http.ResponseWriter, r *http.Request) {
		c, err := ws.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		c.Write(r.Context(), ws.Text, []byte("hello"))
		_, err = c.Read(r.Context())
		codes <- ws.CloseStatus(err)
	}))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	out, reads := io.Pipe()
	go func() {
		io.ReadFull(out, make([]byte, 6))
		cancel()
	}()
	e := connect.Run(ctx, &connect.Options{Connection: &connection.Options{Target: to, Protocol: connection.WebSocket}}, strings.NewReader(""), reads, io.Discard)
	if code := testkit.Within(t, "the goodbye", codes); exit.Code(e) != exit.Interrupted || !errors.Is(e, context.Canceled) || code != ws.StatusGoingAway {
		t.Errorf("%v, %v", e, code)
	}
}
