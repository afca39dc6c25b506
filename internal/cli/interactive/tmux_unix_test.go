//go:build unix

package interactive_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"baro.dev/internal/testkit/pane"
	"baro.dev/socketio"
	"baro.dev/ws"
)

func TestSession(t *testing.T) {
	t.Parallel()
	p, c := newPeer(t).open(t, 80, 24)
	p.Type("hello 안녕")
	p.Press("Enter")
	hear(t, c, "hello 안녕")
	p.Shows("> hello 안녕")

	// What comes stands above what is typed.
	p.Type("half a li")
	p.Ends("> half a li")
	say(t, c, "above")
	p.Shows("< above\n", "> half a li")
	p.Type("ne")
	p.Press("Enter")
	hear(t, c, "half a line")

	// What was typed comes back.
	p.Press("Up", "Up", "Enter")
	hear(t, c, "hello 안녕")

	// A terminal that becomes narrow, and wide again, while one types.
	p.Type("longer-than-twenty-columns")
	for _, columns := range []int{20, 30, 80} {
		p.Resize(columns, 24)
		p.Until("the line once", func(screen string) bool {
			screen = strings.ReplaceAll(screen, "\n", "")
			return strings.HasSuffix(screen, "> longer-than-twenty-columns") && strings.Count(screen, "twenty") == 1
		})
	}
	p.Ends("> longer-than-twenty-columns") // on one row: the program knows of the last size
	p.Press("C-c")
	p.Ends(">")

	// Several lines, pasted.
	p.Paste("one\ntwo\n  three")
	p.Ends("> one\n| two\n|   three")
	p.Press("Enter")
	hear(t, c, "one\ntwo\n  three")

	// Escape sequences do nothing.
	say(t, c, "\x1b[2J\x1b]0;owned\x07\u009b31m\u202eback\r")
	p.Shows(`< \x1b[2J\x1b]0;owned\x07\u009b31m\u202eback\x0d`, "< above")

	say(t, c, `{"id":7,"names":["kim","lee"],"text":"a sentence that is too long for what is left of the line","ok":true}`)
	p.Shows("< {\n             \"id\": 7,\n", "             \"names\": [\"kim\", \"lee\"],\n")
	if err := c.Write(t.Context(), ws.Binary, []byte("\x00\x01\x02hello\xff\x1b[2J")); err != nil {
		t.Fatal(err)
	}
	p.Shows("< 13 bytes\n", "00000000  00 01 02 68 65 6c 6c 6f  |...hello|")

	// Completion.
	p.Type("/cl")
	p.Press("Tab")
	p.Shows("/clear                    empty the terminal", "/close  [CODE [REASON]]   close")
	p.Type("o")
	p.Press("Tab")
	p.Ends("> /close")
	p.Type("4001 enough")
	p.Press("Enter")
	hearClose(t, c, 4001, "enough")
	p.Shows("4 received, 4 sent.", "[ended 0, restored]")
}

func TestEnds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		end  func(t *testing.T, p *pane.Pane, c *ws.Conn)
		want []string
	}{
		{"Ctrl-C", func(t *testing.T, p *pane.Pane, c *ws.Conn) {
			p.Type("typed")
			p.Press("C-c") // clears the line
			p.Press("C-c")
			hearClose(t, c, ws.StatusGoingAway, "")
		}, []string{"0 received, 0 sent.", "[ended 130, restored]"}},
		{"Ctrl-D", func(t *testing.T, p *pane.Pane, c *ws.Conn) {
			p.Press("C-d")
			hearClose(t, c, ws.StatusNormalClosure, "")
		}, []string{"[ended 0, restored]"}},
		{"the server closes", func(t *testing.T, p *pane.Pane, c *ws.Conn) {
			p.Type("not sent yet")
			p.Ends("> not sent yet")
			_ = c.Close(t.Context(), ws.StatusNormalClosure, "")
		}, []string{"> not sent yet\n", "* The server has closed the connection.", "[ended 0, restored]"}},
		{"the server closes with an error", func(t *testing.T, p *pane.Pane, c *ws.Conn) {
			_ = c.Close(t.Context(), 4003, "go \x1b[31maway")
		}, []string{"4003", "[ended 5, restored]"}},
		{"the connection breaks", func(t *testing.T, p *pane.Pane, c *ws.Conn) {
			c.CloseNow()
		}, []string{"error:", "[ended 5, restored]"}},
		{"TERM, twice", func(t *testing.T, p *pane.Pane, c *ws.Conn) {
			signalTo(t, p, syscall.SIGTERM)
			signalTo(t, p, syscall.SIGTERM)
			hearClose(t, c, ws.StatusGoingAway, "")
		}, []string{"error: terminated", "[ended 1, restored]"}},
		{"HUP", func(t *testing.T, p *pane.Pane, c *ws.Conn) {
			signalTo(t, p, syscall.SIGHUP)
			hearClose(t, c, ws.StatusGoingAway, "")
		}, []string{"[ended 130, restored]"}},
		{"INT", func(t *testing.T, p *pane.Pane, c *ws.Conn) {
			signalTo(t, p, syscall.SIGINT)
			hearClose(t, c, ws.StatusGoingAway, "")
		}, []string{"[ended 130, restored]"}},
		{"a panic", func(t *testing.T, p *pane.Pane, c *ws.Conn) {
			say(t, c, "panic")
		}, []string{"\ngoroutine", "[ended 2, restored]"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p, conn := newPeer(t).open(t, 100, 60)
			c.end(t, p, conn)
			p.Shows(c.want...)
		})
	}
}

// signalTo sends a signal to the program on a pane.
func signalTo(t *testing.T, p *pane.Pane, signal syscall.Signal) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(p.Home, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(string(b))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, signal); err != nil {
		t.Fatal(err)
	}
}

func TestTwentyColumns(t *testing.T) {
	t.Parallel()
	p, c := newPeer(t).open(t, 20, 40)
	say(t, c, `{"id":7,"name":"kim"}`)
	p.Shows("< {\n   \"id\": 7,\n   \"name\": \"kim\"\n  }\n")
	if err := c.Write(t.Context(), ws.Binary, []byte("hello\x00")); err != nil {
		t.Fatal(err)
	}
	p.Shows("< 6 bytes\n  0000  68 65 6c\n  0003  6c 6f 00\n")
	p.Type("twenty columns are few")
	say(t, c, "meanwhile")
	p.Shows("< meanwhile\n")
	p.Until("the line once", func(screen string) bool {
		return strings.HasSuffix(strings.ReplaceAll(screen, "\n", ""), "twenty columns are few") && strings.Count(screen, "twenty") == 1
	})
	p.Press("Enter")
	hear(t, c, "twenty columns are few")
	p.Press("C-d")
	p.Shows("restored]")
}

// On a dumb terminal there is no escape sequence, and no editing but its own.
func TestDumbTerminal(t *testing.T) {
	t.Parallel()
	p, c := newPeer(t).open(t, 80, 24, "TERM=dumb")
	p.Type("hello")
	p.Press("Enter")
	hear(t, c, "hello")
	p.Type("/multi")
	p.Press("Enter")
	for _, line := range []string{"one", "two", "."} {
		p.Type(line)
		p.Press("Enter")
	}
	hear(t, c, "one\ntwo")
	say(t, c, "\x1b[31mred")
	p.Shows(`< \x1b[31mred`)
	p.Press("C-d")
	hearClose(t, c, ws.StatusNormalClosure, "")
	p.Shows("[ended 0, restored]")
	b, err := os.ReadFile(filepath.Join(p.Home, "output"))
	if err != nil {
		t.Fatal(err)
	}
	if len(b) == 0 || bytes.ContainsRune(b, 0x1b) {
		t.Errorf("the terminal got %q", b)
	}
}

// A connection that breaks is made again while one types, and what a token is stays between the two.
func TestReconnect(t *testing.T) {
	t.Parallel()
	peer := newPeer(t)
	p, c := peer.open(t, 100, 40, "RECONNECT=1")
	p.Type("/token")
	p.Press("Enter")
	p.Ends("token:")
	p.Type("hush-hush")
	p.Press("Enter")
	p.Shows("with this token.")
	p.Type("/token hush-hush")
	p.Press("Enter")
	p.Type("half a li")
	p.Ends("> half a li")
	c.CloseNow()
	c = <-peer.conns
	defer c.CloseNow()
	p.Shows("! the connection is lost", "* Attempt 1 in ", "> half a li")
	p.Type("ne")
	p.Press("Enter")
	hear(t, c, "half a line")
	if got := peer.authorization.Load(); got != "Bearer hush-hush" {
		t.Errorf("the second connection's Authorization is %v", got)
	}
	p.Press("C-d")
	p.Shows("[ended 0, restored]")
	b, err := os.ReadFile(filepath.Join(p.Home, "history"))
	if err != nil || string(b) != "\"half a line\"\n" {
		t.Errorf("the history has %q, %v", b, err)
	}
	info, err := os.Stat(filepath.Join(p.Home, "history"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestCommands(t *testing.T) {
	t.Parallel()
	p, c := newPeer(t).open(t, 100, 60)
	go func() { // which has pings answered
		for {
			if _, err := c.Read(t.Context()); err != nil {
				return
			}
		}
	}()
	for _, step := range []struct {
		line string
		want []string
	}{
		{"/frames on", []string{"* On."}},
		{"frame", []string{">> text fin masked 5 bytes"}},
		{"/frames off", []string{"* Off."}},
		{"/ping", []string{"* The server answers after "}},
		{"/send-binary 00ff 41", []string{"> 3 bytes\n", "00000000  00 ff 41 "}},
		{"/send-binary base64:aGVsbG8=", []string{"|hello|"}},
		{"/send-binary what is that", []string{"! this is neither hexadecimal nor base64"}},
		{"/send-binary @/nowhere/at/all", []string{"! stat /nowhere/at/all: no such file or directory"}},
		{"//slash", []string{"> /slash"}},
		{"/send /slash too", []string{"> /slash too"}},
		{"/emit chat", []string{"! events are of Socket.IO; this is ws"}},
		{"/ack", []string{"! no event waits"}},
		{"/close 99", []string{"! 99 is no close code"}},
		{"/save x", []string{"! no message has come yet"}},
		{"/nothing", []string{"! there is no command /nothing"}},
		{"/info", []string{"protocol", "sent", "latency"}},
		{"/help", []string{"/send-binary HEX|BASE64|@FILE", "Ctrl-D leaves."}},
	} {
		p.Type(step.line)
		p.Press("Enter")
		p.Shows(step.want...)
	}
	p.Type("/quit")
	p.Press("Enter")
	p.Shows("[ended 0, restored]")
}

func TestSocketIO(t *testing.T) {
	t.Parallel()
	options := &socketio.Options{}
	options.Engine.Logger = slog.New(slog.DiscardHandler)
	server := socketio.NewServer(options)
	server.OnConnection(func(c *socketio.Socket) {
		c.OnAny(func(e *socketio.Event) {
			switch e.Name() {
			case "ask":
				_ = c.EmitFunc("question", func(a socketio.Args, err error) { _ = c.Emit("answered", a.Args()...) }, "what?")
			case "sum":
				_ = e.Ack("sum", e.Len())
			default:
				_ = c.Emit("got "+e.Name(), e.Data().Args()...)
			}
		})
	})
	site := httptest.NewServer(server)
	t.Cleanup(func() {
		_ = server.Close(context.Background())
		site.Close()
	})
	p := connect(t, site.URL, 100, 60, "PROTOCOL=socketio")
	p.Shows("* Connected (socketio, ")
	for _, step := range []struct {
		line string
		want []string
	}{
		{"hello", []string{`> message ["hello"]`, `< got message ["hello"]`}},
		{`/emit chat kim {"text": "hi",  "n": [1]} 7`, []string{`> chat ["kim", {"text": "hi", "n": [1]}, 7]`, `< got chat ["kim", {"text": "hi", "n": [1]}, 7]`}},
		{`/emit "two words" [1]`, []string{`< got two words [[1]]`}},
		{"/call sum 1 2", []string{`> sum [1, 2]`, `< sum (ack, `, `): ["sum", 2]`}},
		{"/emit ask", []string{`< question ["what?"]  (/ack 1 answers)`}},
		{"/ack 1 42", []string{`> (ack 1): [42]`, `< answered [42]`}},
		{"/emit chat {oops", []string{"! this is not JSON"}},
		{"/ping", []string{"! this connection cannot ping"}},
		{"/info", []string{"transport", "namespace"}},
	} {
		p.Type(step.line)
		p.Press("Enter")
		p.Shows(step.want...)
	}
	p.Type("/emit an")
	p.Press("Tab")
	p.Ends("> /emit answered")
	p.Press("C-c", "C-d")
	p.Shows("[ended 0, restored]")
}
