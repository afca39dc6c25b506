package interop

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// options are what the programs in peers/ take as their argument.
type options struct {
	Role         string   `json:"role"`
	Browser      string   `json:"browser,omitempty"`
	URL          string   `json:"url,omitempty"`
	Page         string   `json:"page,omitempty"`
	Subprotocols []string `json:"subprotocols,omitempty"`
	Deflate      *deflate `json:"deflate,omitempty"`
	CA           string   `json:"ca,omitempty"`
	Cert         string   `json:"cert,omitempty"`
	Key          string   `json:"key,omitempty"`

	http2 bool // ours only
}

// deflate is what one end offers, or agrees to, of permessage-deflate.
type deflate struct {
	Takeover bool `json:"takeover,omitempty"` // otherwise neither end may take its context over
	Bits     int  `json:"bits,omitempty"`     // of its own window
	PeerBits int  `json:"peerBits,omitempty"` // of the other end's window
}

// A peer is an end that runs as a process: one of the programs in peers/.
type peer struct {
	t     *testing.T
	stdin *json.Encoder
	seen  chan event
}

// An order is a line that a peer reads.
type order struct {
	Order  string   `json:"order"`
	Kind   string   `json:"kind,omitempty"`
	Parts  [][]byte `json:"parts,omitempty"`
	Code   int      `json:"code,omitempty"`
	Reason string   `json:"reason"`
}

// startPeer runs a program of peers/ until the end of the test.
func startPeer(t *testing.T, o any, command string, args ...string) *peer {
	t.Helper()
	argument, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(command, append(args, string(argument))...)
	cmd.Stderr = t.Output()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &peer{t: t, stdin: json.NewEncoder(stdin), seen: make(chan event, 4096)}
	read := make(chan error, 1)
	go func() { read <- p.read(stdout) }()
	t.Cleanup(func() {
		stdin.Close() // which ends the program
		kill := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		defer kill.Stop()
		if err := <-read; err != nil {
			t.Errorf("%s: %v", args[0], err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v", args[0], err)
		}
	})
	return p
}

func (p *peer) read(stdout io.Reader) error {
	defer close(p.seen)
	events := json.NewDecoder(bufio.NewReader(stdout))
	for {
		var ev event
		if err := events.Decode(&ev); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		p.seen <- ev
	}
}

func (p *peer) order(o order) {
	p.t.Helper()
	if err := p.stdin.Encode(o); err != nil {
		p.t.Fatalf("order %q: %v", o.Order, err)
	}
}

func (p *peer) send(kind string, parts ...[]byte) {
	for i, part := range parts {
		if part == nil {
			parts[i] = []byte{} // JSON tells them apart
		}
	}
	p.order(order{Order: "send", Kind: kind, Parts: parts})
}

func (p *peer) ping() { p.order(order{Order: "ping"}) }

func (p *peer) close(code int, reason string) {
	p.order(order{Order: "close", Code: code, Reason: reason})
}

func (p *peer) events() <-chan event { return p.seen }

// lacks ends a test that needs a program which is not here: it fails in CI and is skipped elsewhere.
func lacks(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("needs %s: run make setup", what)
	}
	t.Skipf("needs %s: run make setup", what)
}

func node(t *testing.T, script string, o any) *peer {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		lacks(t, "node")
	}
	if _, err := os.Stat("node_modules/ws"); err != nil {
		lacks(t, "the npm packages of interop/")
	}
	return startPeer(t, o, "node", "peers/"+script)
}

func python(t *testing.T, o options) *peer {
	t.Helper()
	const interpreter = "/usr/bin/python3" // the one that Debian's packages are for
	if exec.Command(interpreter, "-c", "import websockets").Run() != nil {
		lacks(t, "websockets for "+interpreter)
	}
	return startPeer(t, o, interpreter, "peers/python.py")
}

// browsers are where Debian has them.
var browsers = map[string]string{"chromium": "/usr/bin/chromium", "firefox": "/usr/bin/firefox-esr"}

// browser runs a program that opens a page in the browser of that name, which it finds among its options.
func browser(t *testing.T, name, script string, o any) *peer {
	t.Helper()
	path := cmp.Or(os.Getenv(strings.ToUpper(name)), browsers[name])
	if _, err := os.Stat(path); err != nil {
		lacks(t, name)
	}
	return node(t, script, o)
}
