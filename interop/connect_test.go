package interop

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"regexp"
	"strings"
	"testing"

	command "baro.dev/internal/cli/connect"
	"baro.dev/internal/cli/connection"
	"baro.dev/internal/cli/target"
	"baro.dev/ws"
)

// piped is baro connect between two pipes.
type piped struct {
	in    *io.PipeWriter
	out   *bufio.Reader
	notes bytes.Buffer // to be read when it has ended
	ended chan error
}

func pipe(t *testing.T, url string, to target.Options, o command.Options) *piped {
	t.Helper()
	to.Proxy = "none"
	target, err := to.Target(url)
	if err != nil {
		t.Fatal(err)
	}
	if o.Connection == nil {
		o.Connection = new(connection.Options)
	}
	o.Connection.Target = target
	stdin, in := io.Pipe()
	out, stdout := io.Pipe()
	p := &piped{in: in, out: bufio.NewReader(out), ended: make(chan error, 1)}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	go func() {
		p.ended <- command.Run(ctx, &o, stdin, stdout, &p.notes)
		stdout.Close()
	}()
	return p
}

func (p *piped) say(t *testing.T, line string) {
	t.Helper()
	if _, err := io.WriteString(p.in, line+"\n"); err != nil {
		t.Fatal(err)
	}
}

func (p *piped) hear(t *testing.T, want string) {
	t.Helper()
	if line, err := p.out.ReadString('\n'); err != nil || line != want+"\n" {
		t.Fatalf("got %q (%v), want %q", line, err, want)
	}
}

// baro connect in a pipe, with the servers of ws for Node.js and websockets for Python.
func TestConnect(t *testing.T) {
	certificate := newCertificate(t)
	for name, listen := range map[string]func(t *testing.T, o options) *peer{
		"ws":         func(t *testing.T, o options) *peer { return node(t, "node.mjs", o) },
		"websockets": python,
	} {
		for kind, o := range map[string]options{
			"plain": {}, "deflate": {Deflate: &deflate{Takeover: true}}, "TLS": {Cert: certificate.cert, Key: certificate.key}, "subprotocol": {Subprotocols: []string{"chat"}},
		} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				t.Parallel()
				o.Role = "server"
				server := listen(t, o)
				url := await(t, "server", server, "listening").URL
				p := pipe(t, url, target.Options{CAFile: o.Cert}, command.Options{Verbose: true, Stats: true, Wait: -1, Connection: &connection.Options{
					Subprotocols: o.Subprotocols, Compression: ws.Compression{Enabled: o.Deflate != nil, ContextTakeover: true},
				}})
				long := strings.Repeat("long ", 50_000)
				await(t, "server", server, "open")
				for _, line := range []string{"hello", "", "\xea\xb0\x80", long} {
					p.say(t, line)
					awaitMessage(t, "server", server, "text", []byte(line))
					server.send("text", []byte(line))
					p.hear(t, line)
				}
				server.send("binary", []byte("\xff"))
				p.hear(t, "\xff")
				server.close(1000, "done")
				if err := <-p.ended; err != nil {
					t.Error(err)
				}
				told := map[string]string{"plain": "HTTP/1.1", "deflate": `permessage-deflate(.|\n)*on the wire`, "TLS": "TLS 1.3", "subprotocol": "subprotocol chat"}[kind]
				if !regexp.MustCompile(told).MatchString(p.notes.String()) {
					t.Errorf("%q is not told: %s", told, &p.notes)
				}
			})
		}
	}
}

// baro connect with the official server of Socket.IO.
func TestConnectSocketIO(t *testing.T) {
	url := await(t, "server", node(t, "socketio/server.mjs", map[string]string{"role": "socketio5"}), "listening").URL
	for _, transports := range [][]string{nil, {"websocket"}, {"polling"}} {
		p := pipe(t, url, target.Options{}, command.Options{Wait: -1, Count: 4, Connection: &connection.Options{Transports: transports, Auth: []byte(`{"a":"b"}`)}})
		p.hear(t, `["auth",{"a":"b"}]`)
		for in, out := range map[string]string{
			"hello": `["message-back","hello"]`, `["message",1,{"c":[true]}]`: `["message-back",1,{"c":[true]}]`, `["message"]`: `["message-back"]`,
		} {
			p.say(t, in)
			p.hear(t, out)
		}
		if err := <-p.ended; err != nil {
			t.Error(err)
		}
	}
}

// baro connect through nginx: over each transport of a channel, and with Socket.IO.
func TestConnectProxied(t *testing.T) {
	server := startServer(t)
	address := proxies[0].start(t, nil, server.address)
	for _, protocol := range []connection.Protocol{connection.Auto, connection.SSE, connection.NDJSON, connection.LongPolling} {
		p := pipe(t, "http://"+address+"/c/proxied-"+string(protocol), target.Options{}, command.Options{Wait: -1, Count: 2, Connection: &connection.Options{Protocol: protocol}})
		p.say(t, "one")
		p.hear(t, "one")
		p.say(t, "two")
		p.hear(t, "two")
		if err := <-p.ended; err != nil {
			t.Errorf("%s: %v", protocol, err)
		}
	}
	p := pipe(t, "http://"+address, target.Options{}, command.Options{Format: command.JSON, Connection: &connection.Options{}})
	p.say(t, `{"event":"publish","args":["demo","hello"],"ack":true}`)
	line, err := p.out.ReadString('\n')
	if err != nil || !strings.Contains(line, `"type":"ack"`) || !strings.Contains(line, `"offset":1`) {
		t.Errorf("got %q (%v)", line, err)
	}
	p.in.Close()
	if err := <-p.ended; err != nil {
		t.Error(err)
	}
}
