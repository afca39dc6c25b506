package interactive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"baro.dev/internal/cli/connection"
	"baro.dev/internal/cli/terminal"
)

// paper is a ui that nobody types on.
type paper struct {
	mu sync.Mutex
	bytes.Buffer
	prompt string
}

func (p *paper) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.Buffer.Write(b)
}

func (p *paper) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.Buffer.String()
}

func (p *paper) ReadLine(ctx context.Context) (string, error) {
	<-ctx.Done()
	return "", ctx.Err()
}

func (p *paper) ReadSecret(context.Context, string) (string, error) { return "", nil }

func (p *paper) SetPrompt(prompt string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.prompt = prompt
}

func (p *paper) SetMultiline(bool) {}
func (p *paper) Clear()            {}

// still is a connection over which nothing moves.
type still struct {
	connection.Connection
	info connection.Info
}

func (s *still) Info() connection.Info { return s.info }

func (s *still) Send(ctx context.Context, _ connection.Message) error {
	<-ctx.Done()
	return ctx.Err()
}

func newStill(columns int) (*session, *paper) {
	s := newSession(Options{NoTimes: true})
	p := new(paper)
	s.ui, s.conn, s.typed, s.began = p, &still{info: connection.Info{CanSend: true, Protocol: connection.WebSocket}}, new(terminal.History), true
	s.size = func() (int, int) { return columns, 24 }
	return s, p
}

// A server that takes nothing stops nobody from typing, and what waits is bounded.
func TestServerThatTakesNothing(t *testing.T) {
	s, _ := newStill(80)
	for i := range maxWaiting {
		if err := s.entered(t.Context(), fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.entered(t.Context(), "one more"); err == nil || !strings.Contains(err.Error(), "64 messages wait") {
		t.Error(err)
	}
	s.conn = &still{}
	if err := s.entered(t.Context(), "over an event stream"); !errors.Is(err, connection.ErrReadOnly) {
		t.Error(err)
	}
}

// What is large is shown in part, and kept whole.
func TestLargeMessages(t *testing.T) {
	s, p := newStill(80)
	text := strings.Repeat("안", 100_000)
	s.incoming(connection.Message{Kind: connection.Text, Data: []byte(text), At: time.Now()})
	shown := p.String()
	if len(shown) > maxText+100 || !strings.Contains(shown, "안\n  ... 300,000 bytes in all; /save FILE keeps them") {
		t.Errorf("%d bytes, %q", len(shown), shown[max(0, len(shown)-100):])
	}
	file := filepath.Join(t.TempDir(), "message")
	if err := s.entered(t.Context(), "/save "+file); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != text {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	if err := s.entered(t.Context(), "/save "+file); !errors.Is(err, os.ErrExist) {
		t.Error(err)
	}
	p.Reset()
	s.incoming(connection.Message{Kind: connection.Binary, Data: make([]byte, 1<<20), At: time.Now()})
	if got := p.String(); strings.Count(got, "\n") != 2+maxBinary/8 || !strings.Contains(got, "1,048,576 bytes in all") {
		t.Errorf("%d lines", strings.Count(got, "\n"))
	}
	p.Reset()
	s.incoming(connection.Message{Kind: connection.Event, Event: strings.Repeat("\x1b", 1000), Data: []byte("[]"), At: time.Now()})
	if got := p.String(); len(got) > 500 || strings.Contains(got, "\x1b") {
		t.Errorf("%q", got)
	}
}

// What a server sends, or says as it goes, cannot command the terminal, on no terminal.
func FuzzShow(f *testing.F) {
	f.Add([]byte("\x1b[2J\u009b31m\u202e"), "na\x1bme", 20, byte(0))
	f.Add([]byte(`["\u001b", "`+"\x7f"+`"]`), "e", 80, byte(2))
	f.Add([]byte("\x00\xff"), "", 1, byte(1))
	f.Fuzz(func(t *testing.T, data []byte, event string, columns int, kind byte) {
		s, p := newStill(max(1, columns%300))
		s.incoming(connection.Message{Kind: connection.Kind(kind % 3), Event: event, Data: data, At: time.Now(), Ack: func([]byte) error { return nil }})
		s.stateChanged(connection.State{Kind: connection.Disconnected, Err: errors.New(event)})
		s.framePassed(connection.Frame{Opcode: 8, Payload: data})
		s.frames.Store(true)
		s.framePassed(connection.Frame{Opcode: 8, Payload: data, Length: int64(len(data))})
		for _, r := range p.String() {
			if r != '\n' && r != '\t' && (r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069) {
				t.Fatalf("%U in %q", r, p.String())
			}
		}
	})
}

func TestCompletionOfArguments(t *testing.T) {
	s, _ := newStill(80)
	dir := t.TempDir()
	for _, name := range []string{"one.bin", "two.bin", ".hidden"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, event := range []string{"chat", "two words", "chat", strings.Repeat("x", 1000)} {
		s.incoming(connection.Message{Kind: connection.Event, Event: event, Data: []byte("[]"), At: time.Now()})
	}
	sep := string(filepath.Separator)
	for before, want := range map[string]string{
		"":                                  "",
		"hello /":                           "",
		"//":                                "",
		"/nothing ":                         "",
		"/cl":                               "/clear /close",
		"/json ":                            "/json on, /json off",
		"/close 101":                        "/close 1011",
		"/emit ":                            `/emit chat, /emit "two words"`,
		"/call c":                           "/call chat",
		"/send-binary @" + dir + sep:        "/send-binary @" + dir + sep + "folder" + sep + ", /send-binary @" + dir + sep + "one.bin, /send-binary @" + dir + sep + "two.bin",
		"/save " + dir + sep + ".":          "/save " + dir + sep + ".hidden",
		"/send " + dir + sep:                "",
		"/save " + filepath.Join(dir, "no"): "",
	} {
		from, all := s.complete(before)
		var got []string
		for _, c := range all {
			got = append(got, before[:from]+c.Text)
		}
		if joined := strings.Join(got, ", "); joined != want && strings.Join(got, " ") != want {
			t.Errorf("complete(%q) = %s; want %s", before, joined, want)
		}
	}
}

func TestPrompt(t *testing.T) {
	s, p := newStill(80)
	s.latency = 12345 * time.Microsecond
	s.setPrompt()
	if p.prompt != "12ms> " {
		t.Errorf("%q", p.prompt)
	}
	s.stateChanged(connection.State{Kind: connection.Waiting, Err: errors.New("x"), Attempt: 2, Delay: time.Second})
	if p.prompt != "offline> " || !strings.Contains(p.String(), "* Attempt 2 in 1.0s.") {
		t.Errorf("%q, %s", p.prompt, p.String())
	}
	s.stateChanged(connection.State{Kind: connection.Connected, Recovered: true})
	if p.prompt != "> " || !strings.Contains(p.String(), "Nothing was missed.") {
		t.Errorf("%q, %s", p.prompt, p.String())
	}
}
