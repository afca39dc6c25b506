package natsbroker_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"baro.dev/channel"
	"baro.dev/internal/testkit"
)

// feed remembers what it is handed, and what is wrong with that.
type feed struct {
	mu       sync.Mutex
	at       channel.Position
	messages []*channel.Message
	lost     []channel.Saved
	wrong    string
	slow     chan struct{} // not nil: it waits for this to be closed
}

func (f *feed) Messages(messages []*channel.Message) {
	f.mu.Lock()
	slow := f.slow
	f.mu.Unlock()
	if slow != nil {
		<-slow
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range messages {
		if m.Epoch == f.at.Epoch && m.Offset <= f.at.Offset {
			continue
		}
		if m.Epoch != f.at.Epoch || m.Offset != f.at.Offset+1 {
			f.wrong = fmt.Sprintf("after %s came %s", f.at, m.Position())
		}
		f.at = m.Position()
		f.messages = append(f.messages, m)
	}
}

func (f *feed) Lost(saved channel.Saved) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lost = append(f.lost, saved)
	f.at = channel.Position{Epoch: saved.Epoch, Offset: saved.Offset}
}

func follow(t *testing.T, b channel.Broker, name string) *feed {
	t.Helper()
	f := &feed{}
	f.mu.Lock()
	defer f.mu.Unlock() // what comes early waits
	saved, err := b.Follow(name, many, f)
	if err != nil {
		t.Fatal(err)
	}
	f.at = channel.Position{Epoch: saved.Epoch, Offset: saved.Offset}
	return f
}

// until waits until the feed is at a position, and gives what it was handed.
func (f *feed) until(t *testing.T, p channel.Position) []*channel.Message {
	t.Helper()
	eventually(t, "the feed comes to "+p.String(), func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.wrong != "" {
			t.Fatal(f.wrong)
		}
		return f.at.Epoch == p.Epoch && f.at.Offset >= p.Offset
	})
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.messages
}

func (f *feed) timesLost() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.lost)
}

func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for start := time.Now(); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Since(start) > testkit.Patience {
			t.Fatalf("waited for this: %s", what)
		}
	}
}

var many = channel.Keep{Count: 10_000, Bytes: 64 << 20, Age: time.Hour}

type answer struct {
	channel.Appended
	err error
}

func start(b channel.Broker, name string, m *channel.Message, keep channel.Keep) <-chan answer {
	c := make(chan answer, 2)
	b.Append(name, m, keep, func(a channel.Appended, err error) { c <- answer{a, err} })
	return c
}

func put(t *testing.T, b channel.Broker, name string, m *channel.Message) channel.Appended {
	t.Helper()
	a := testkit.Within(t, "an answer", start(b, name, m, many))
	if a.err != nil {
		t.Fatal(a.err)
	}
	return a.Appended
}

func text(format string, args ...any) *channel.Message {
	return &channel.Message{Data: fmt.Appendf(nil, format, args...)}
}

// A proxy is a way to a server that a test can block.
type proxy struct {
	url string
	l   net.Listener
	to  string

	mu    sync.Mutex
	conns []net.Conn
	down  chan struct{} // not nil: nothing comes from the server until it is closed
	spoil string        // what is published where this is in the subject goes to nobody
	ended sync.WaitGroup
}

func newProxy(t *testing.T, url string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{url: "nats://" + l.Addr().String(), l: l, to: strings.TrimPrefix(url, "nats://")}
	p.ended.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close()
		p.open()
		p.cut()
		p.ended.Wait()
	})
	return p
}

func (p *proxy) accept() {
	for {
		client, err := p.l.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.to)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, client, server)
		p.mu.Unlock()
		p.ended.Go(func() {
			p.send(server, client)
			_ = server.Close()
		})
		p.ended.Go(func() {
			p.deliver(client, server)
			_ = client.Close()
		})
	}
}

// send brings to the server what a client sends, one message after the other.
func (p *proxy) send(server, client net.Conn) {
	from := bufio.NewReader(client)
	for {
		line, err := from.ReadBytes('\n')
		if err != nil {
			return
		}
		if words := bytes.Fields(line); len(words) > 2 && bytes.HasSuffix(bytes.ToUpper(words[0]), []byte("PUB")) {
			p.mu.Lock()
			if p.spoil != "" && bytes.Contains(words[1], []byte(p.spoil)) {
				line = bytes.Replace(line, []byte(p.spoil), []byte(strings.Repeat("x", len(p.spoil))), 1)
			}
			p.mu.Unlock()
			n, err := strconv.Atoi(string(words[len(words)-1]))
			if err != nil {
				return
			}
			payload := make([]byte, n+len("\r\n"))
			if _, err := io.ReadFull(from, payload); err != nil {
				return
			}
			line = append(line, payload...)
		}
		if _, err := server.Write(line); err != nil {
			return
		}
	}
}

// lose has what is published go to nobody where a word is in the subject; "": no more.
func (p *proxy) lose(word string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spoil = word
}

func (p *proxy) deliver(client, server net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := server.Read(buffer)
		if err != nil {
			return
		}
		p.mu.Lock()
		down := p.down
		p.mu.Unlock()
		if down != nil {
			<-down
		}
		if _, err := client.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// block has nothing come from the server any more.
func (p *proxy) block() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = make(chan struct{})
}

func (p *proxy) open() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down != nil {
		close(p.down)
		p.down = nil
	}
}

// cut ends all connections; what was on its way is lost.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.conns = nil
}
