package record_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"baro.dev/internal/cli/connection"
	"baro.dev/internal/cli/exit"
	"baro.dev/internal/cli/record"
	"baro.dev/internal/cli/target"
	"baro.dev/internal/testkit"
	"baro.dev/socketio"
	"baro.dev/ws"
)

// serve is a server of WebSocket that does with each connection what a test wants.
func serve(t *testing.T, handle func(context.Context, *ws.Conn)) string {
	t.Helper()
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := ws.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		ctx, cancel := context.WithTimeout(context.Background(), testkit.Patience)
		defer cancel()
		handle(ctx, c)
	}))
	t.Cleanup(site.Close)
	return site.URL
}

// answer answers each message, a text with a JSON object of a number that is another each time, until the client closes.
func answer(ctx context.Context, c *ws.Conn) {
	for m, err := range c.Messages(ctx) {
		switch {
		case err != nil:
			return
		case string(m.Data) == "bye":
			_ = c.Close(ctx, 4001, "as you like")
			return
		case m.Type == ws.Binary || bytes.HasPrefix(m.Data, []byte("raw")):
			_ = c.Write(ctx, m.Type, m.Data)
		default:
			_ = c.Write(ctx, ws.Text, fmt.Appendf(nil, `{"echo": %q, "at": {"time": %d}}`, m.Data, time.Now().UnixNano()))
		}
	}
}

func connect(t *testing.T, url string, p connection.Protocol, header ...string) (connection.Connection, *target.Target) {
	t.Helper()
	to, err := (&target.Options{Proxy: "none", Headers: header}).Target(url)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience)
	defer cancel()
	c, err := connection.Dial(ctx, &connection.Options{Target: to, Protocol: p})
	if err != nil {
		t.Fatal(err)
	}
	return c, to
}

// memory is a file that takes so many bytes; 0: all.
type memory struct {
	bytes.Buffer
	most int
}

func (m *memory) Write(p []byte) (int, error) {
	if m.most == 0 || m.Len()+len(p) <= m.most {
		return m.Buffer.Write(p)
	}
	n, _ := m.Buffer.Write(p[:m.most-m.Len()])
	return n, syscall.ENOSPC
}

func (m *memory) Truncate(n int64) error { m.Buffer.Truncate(int(n)); return nil }
func (m *memory) Sync() error            { return nil }
func (m *memory) Close() error           { return nil }

// recorded records what is said, and gives the recording.
func recorded(t *testing.T, url string, p connection.Protocol, in string, header ...string) string {
	t.Helper()
	c, to := connect(t, url, p, header...)
	file := new(memory)
	w, err := record.NewWriter(file, record.NewHeader(c.Info(), time.Now()), record.NewRedactor(to.Header, nil))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(in, "\n")
	source, more := io.Pipe()
	next := func(*connection.Message) error { // each message waits for the answer to the one before
		line := lines[0]
		lines = lines[1:]
		go func() { _, _ = io.WriteString(more, line) }()
		return nil
	}
	_ = next(nil)
	r := record.Recorder{Connection: c, Writer: w, In: source, Show: next, Count: len(lines), Timeout: testkit.Patience}
	if err := r.Run(t.Context()); err != nil && exit.Code(err) != exit.Broken {
		t.Fatal(err)
	}
	more.Close()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file.String()
}

func replay(t *testing.T, url, recording string, change func(*record.Replayer)) (record.Result, []string, error) {
	t.Helper()
	reader, err := record.NewReader(strings.NewReader(recording))
	if err != nil {
		t.Fatal(err)
	}
	c, _ := connect(t, url, reader.Header.Protocol)
	var all []string
	r := &record.Replayer{Connection: c, Reader: reader, Patience: 10 * time.Second, Comparer: record.Comparer{Mode: record.JSON}, Differ: func(d record.Difference) error {
		all = append(all, fmt.Sprintf("%d: %s", d.Line, d.What))
		return nil
	}}
	change(r)
	result, err := r.Replay(t.Context())
	return result, all, err
}

// What was recorded plays again, in every way to compare; what is different is found.
func TestReplay(t *testing.T) {
	testkit.NoLeaks(t)
	url := serve(t, answer)
	session := recorded(t, url, connection.WebSocket, "one\nraw <two>\n메\nbye\n")
	if lines := strings.Split(strings.TrimSpace(session), "\n"); len(lines) != 10 || !strings.HasSuffix(lines[9], `"dir":"in","type":"close","code":4001,"reason":"as you like"}`) {
		t.Fatal(session)
	}
	short := strings.Join(strings.SplitAfter(session, "\n")[:4], "")
	for name, c := range map[string]struct {
		recording string
		change    func(*record.Replayer)
		code      int
		want      []string
	}{
		"ignoring":         {session, func(r *record.Replayer) { r.Ignore = []string{"time"} }, 0, nil},
		"as it was":        {session, func(r *record.Replayer) { r.Ignore, r.Speed = []string{"/at/*"}, 1 }, 0, nil},
		"count":            {session, func(r *record.Replayer) { r.Mode = record.Count }, 0, nil},
		"none":             {session, func(r *record.Replayer) { r.Mode, r.Speed = record.None, 10 }, 0, nil},
		"json":             {session, func(*record.Replayer) {}, exit.Unmet, []string{"4: /at/time is another", "8: /at/time is another"}},
		"exact":            {short, func(r *record.Replayer) { r.Mode = record.Exact }, exit.Unmet, []string{"4: from byte"}},
		"another code":     {strings.Replace(session, `"code":4001`, `"code":4002`, 1), func(r *record.Replayer) { r.Ignore = []string{"at"} }, exit.Unmet, []string{"10: the server closes with 4001 instead of 4002"}},
		"a mode":           {session, func(r *record.Replayer) { r.Mode = "roughly" }, exit.Usage, nil},
		"ignoring no JSON": {session, func(r *record.Replayer) { r.Mode, r.Ignore = record.Exact, []string{"a"} }, exit.Usage, nil},
	} {
		t.Run(name, func(t *testing.T) {
			result, all, err := replay(t, url, c.recording, c.change)
			if exit.Code(err) != c.code || len(all) != len(c.want) {
				t.Fatalf("%v (%d), %q, %+v", err, exit.Code(err), all, result)
			}
			for i, want := range c.want {
				if !strings.HasPrefix(all[i], want) {
					t.Errorf("%q instead of %q", all[i], want)
				}
			}
			if c.code == 0 && (result.Sent != 4 || result.Lines != 9) {
				t.Errorf("%+v", result)
			}
		})
	}
}

// Messages that are missing or too many do not make all others different.
// stalled is a connection whose server takes a message only when its answers to that have been read.
type stalled struct {
	connection.Connection // nil: nothing else is called
	answers               chan string
	each                  int
	closed                chan struct{}
}

func (s *stalled) Send(ctx context.Context, m connection.Message) error {
	for i := range s.each {
		select {
		case s.answers <- fmt.Sprintf("%s %d", m.Data, i):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

func (s *stalled) Receive(ctx context.Context) (connection.Message, error) {
	select {
	case text := <-s.answers:
		return connection.Message{Data: []byte(text)}, nil
	case <-s.closed:
		return connection.Message{}, connection.ErrClosed
	case <-ctx.Done():
		return connection.Message{}, context.Cause(ctx)
	}
}

func (s *stalled) Close(context.Context, int, string) error { close(s.closed); return nil }

// What comes while a message is sent is taken: a server that nobody reads takes no more itself.
func TestPipelined(t *testing.T) {
	const each = 1000
	lines := `{"baro":"recording","version":1,"protocol":"ws"}` + "\n"
	for _, data := range []string{"one", "two"} {
		lines += `{"t":0,"dir":"out","type":"text","data":"` + data + `"}` + "\n"
	}
	for _, data := range []string{"one", "two"} {
		for i := range each {
			lines += fmt.Sprintf(`{"t":0,"dir":"in","type":"text","data":"%s %d"}`, data, i) + "\n"
		}
	}
	for _, mode := range []record.Mode{record.Exact, record.None} {
		reader, err := record.NewReader(strings.NewReader(lines))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience)
		c := &stalled{answers: make(chan string), each: each, closed: make(chan struct{})}
		r := record.Replayer{Connection: c, Reader: reader, Patience: testkit.Patience, Comparer: record.Comparer{Mode: mode}}
		result, err := r.Replay(ctx)
		if err != nil || result.Sent != 2 || mode == record.Exact && result.Received != 2*each {
			t.Errorf("%s: %+v, %v", mode, result, err)
		}
		cancel()
	}
}

func TestMissingAndTooMany(t *testing.T) {
	t.Parallel()
	url := serve(t, func(ctx context.Context, c *ws.Conn) {
		for _, text := range []string{"1", "extra", "2", "4", "behind"} {
			_ = c.Write(ctx, ws.Text, []byte(text))
		}
		_, _ = c.Read(ctx)
	})
	recording := `{"baro":"recording","version":1,"protocol":"ws","started":"2026-01-02T15:04:05Z"}` + "\n"
	for i := 1; i <= 4; i++ {
		recording += fmt.Sprintf(`{"t":0,"dir":"in","type":"text","data":"%d"}`+"\n", i)
	}
	result, all, err := replay(t, url, recording, func(r *record.Replayer) { r.Settle = time.Second })
	want := []string{"0: it is not in the recording", "4: it is missing", "0: it is not in the recording"}
	if !slices.Equal(all, want) || exit.Code(err) != exit.Unmet || result.Different != 3 || result.Received != 5 {
		t.Errorf("%q, %v, %+v", all, err, result)
	}
	_, all, err = replay(t, url, recording+`{"t":0,"dir":"in","type":"text","data":"behind"}`+"\n"+`{"t":0,"dir":"in","type":"text","data":"no more"}`+"\n", func(r *record.Replayer) { r.Patience = 100 * time.Millisecond })
	if len(all) != 3 || all[2] != "7: nothing came" || exit.Code(err) != exit.Unmet {
		t.Errorf("%q, %v", all, err)
	}
}

// Secrets are not in a recording, wherever they were; one is sent in their place.
func TestSecrets(t *testing.T) {
	url := serve(t, func(ctx context.Context, c *ws.Conn) {
		for m, err := range c.Messages(ctx) {
			if err != nil {
				return
			}
			_ = c.Write(ctx, m.Type, m.Data)
		}
	})
	in := `{"id":1,"connect":{"Access-Token":"geheim-1","n":[{"password":"geheim-2","deep":{"token":{"a":"kept"}}}]}}` + "\n" +
		"my words are geheim-3 and geheim-4 and geheim-5\n" + `40/admin,{"token":"geheim-6"}` + "\n"
	session := recorded(t, url+"/?access_token=geheim-7", connection.WebSocket, in, "Authorization: Bearer geheim-3", "Cookie: a=geheim-4", "X-Api-Key: geheim-5")
	if strings.Contains(session, "geheim") || strings.Count(session, `"redacted":true`) != 6 || !strings.Contains(session, "kept") {
		t.Error(session)
	}
	if _, all, err := replay(t, url, session, func(*record.Replayer) {}); exit.Code(err) != exit.Failed || !strings.Contains(err.Error(), "line 3") {
		t.Errorf("%v, %q", err, all)
	}
	for _, mode := range record.Modes {
		if _, all, err := replay(t, url, session, func(r *record.Replayer) { r.Secret, r.Mode = "another", mode }); err != nil {
			t.Errorf("%s: %v, %q", mode, err, all)
		}
	}
	about, err := record.Check(strings.NewReader(session))
	if err != nil || about.Secrets != 3 {
		t.Errorf("%+v, %v", about, err)
	}
}

func TestSocketIO(t *testing.T) {
	server := socketio.NewServer(nil)
	server.OnConnection(func(s *socketio.Socket) {
		s.On("ask", func(e *socketio.Event) { _ = s.Emit("said", json.RawMessage(`{"b":2,"a":[1.0]}`), "x") })
	})
	site := httptest.NewServer(server)
	t.Cleanup(site.Close)
	t.Cleanup(func() { _ = server.Close(context.Background()) })
	session := recorded(t, site.URL, connection.SocketIO, `["ask", {"a": "b"}]`+"\n")
	if !strings.Contains(session, `"type":"event","event":"said","args":[{"b":2,"a":[1.0]},"x"]`) {
		t.Fatal(session)
	}
	session = strings.Replace(session, `{"b":2,"a":[1.0]}`, `{"a":[1],"b":2}`, 1)
	if result, all, err := replay(t, site.URL, session, func(*record.Replayer) {}); err != nil || result.Received != 1 {
		t.Errorf("%v, %q", err, all)
	}
	session = strings.Replace(session, `"said"`, `"sung"`, 1)
	if _, all, err := replay(t, site.URL, session, func(*record.Replayer) {}); exit.Code(err) != exit.Unmet || len(all) != 1 || !strings.Contains(all[0], "the event") {
		t.Errorf("%v, %q", err, all)
	}
}

// Acknowledgements go in both directions, are recorded with the event that wants them, and compared, wherever between events they come.
func TestAcknowledgements(t *testing.T) {
	server := socketio.NewServer(nil)
	server.OnConnection(func(s *socketio.Socket) {
		s.On("ask", func(e *socketio.Event) {
			_ = e.Ack(map[string]any{"token": "geheim", "n": 1})
			_ = s.EmitFunc("question", func(a socketio.Args, err error) {
				if err == nil {
					_ = s.Emit("thanks", a.Args()...)
				}
			}, "how")
		})
	})
	site := httptest.NewServer(server)
	t.Cleanup(site.Close)
	t.Cleanup(func() { _ = server.Close(context.Background()) })
	session := recorded(t, site.URL, connection.SocketIO, `{"event":"ask","args":[1],"ack":true}`+"\n"+`{"ack":1,"args":["fine"]}`+"\n")
	for _, line := range []string{
		`"dir":"out","type":"event","event":"ask","args":[1],"ack":1}`, `"dir":"in","type":"ack","args":[{"n":1,"token":"REDACTED"}],"ack":1,"redacted":true}`,
		`"dir":"in","type":"event","event":"question","args":["how"],"ack":1}`, `"dir":"out","type":"ack","args":["fine"],"ack":1}`,
		`"dir":"in","type":"event","event":"thanks","args":["fine"]}`,
	} {
		if !strings.Contains(session, line) {
			t.Errorf("there is no %s in\n%s", line, session)
		}
	}
	if result, all, err := replay(t, site.URL, session, func(*record.Replayer) {}); err != nil || result.Sent != 2 || result.Received != 3 {
		t.Errorf("%+v, %v, %q", result, err, all)
	}
	lines := strings.SplitAfter(session, "\n") // the acknowledgement came last: that is no difference
	ack := slices.IndexFunc(lines, func(l string) bool { return strings.Contains(l, `"in","type":"ack"`) })
	late := regexp.MustCompile(`"t":[0-9.]+`)
	last := slices.IndexFunc(lines, func(l string) bool { return strings.Contains(l, `"thanks"`) })
	moved := late.ReplaceAllString(lines[ack], late.FindString(lines[last]))
	other := slices.Insert(slices.Clone(lines), last+1, moved)
	other = slices.Delete(other, ack, ack+1)
	if _, all, err := replay(t, site.URL, strings.Join(other, ""), func(*record.Replayer) {}); err != nil {
		t.Errorf("%v, %q", err, all)
	}
	changed := strings.Replace(session, `"n":1,"token"`, `"n":2,"token"`, 1)
	if _, all, err := replay(t, site.URL, changed, func(*record.Replayer) {}); exit.Code(err) != exit.Unmet || len(all) != 1 {
		t.Errorf("%v, %q", err, all)
	}
	for _, line := range []string{
		`{"t":0,"dir":"in","type":"ack","args":[]}`, `{"t":0,"dir":"in","type":"ack","ack":1}`, `{"t":0,"dir":"in","type":"ack","ack":-1,"args":[]}`,
		`{"t":0,"dir":"in","type":"text","data":"","ack":1}`,
	} {
		if _, err := record.Check(strings.NewReader(lines[0] + line + "\n")); err == nil {
			t.Errorf("%s is taken", line)
		}
	}
}

// What is said wrong of an acknowledgement ends the recording, with what it must be.
func TestWrongAcknowledgements(t *testing.T) {
	server := socketio.NewServer(nil)
	site := httptest.NewServer(server)
	t.Cleanup(site.Close)
	t.Cleanup(func() { _ = server.Close(context.Background()) })
	for line, says := range map[string]string{
		`{"ack":1,"args":[]}`: "no event waits", `{"ack":"x"}`: `"ack": NUMBER`, `{"args":[]}`: "neither", `{"event":"a","args":{}}`: "array", `{"event"`: "no event",
	} {
		c, to := connect(t, site.URL, connection.SocketIO)
		w, err := record.NewWriter(new(memory), record.NewHeader(c.Info(), time.Now()), record.NewRedactor(to.Header, nil))
		if err != nil {
			t.Fatal(err)
		}
		r := record.Recorder{Connection: c, Writer: w, In: strings.NewReader(line + "\n"), Timeout: testkit.Patience}
		if err := r.Run(t.Context()); exit.Code(err) != exit.Usage || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", line, err)
		}
	}
}

// The server goes before its time.
func TestEndsEarly(t *testing.T) {
	recording := recorded(t, serve(t, answer), connection.WebSocket, "raw\nraw\nraw\n")
	for name, c := range map[string]struct {
		end  func(context.Context, *ws.Conn)
		code int
	}{
		"closed": {func(ctx context.Context, c *ws.Conn) { _ = c.Close(ctx, 1000, "") }, exit.Unmet},
		"broken": {func(_ context.Context, c *ws.Conn) { _ = c.CloseNow() }, exit.Broken},
	} {
		url := serve(t, func(ctx context.Context, conn *ws.Conn) {
			if m, err := conn.Read(ctx); err == nil {
				_ = conn.Write(ctx, m.Type, m.Data)
			}
			c.end(ctx, conn)
		})
		if _, all, err := replay(t, url, recording, func(*record.Replayer) {}); exit.Code(err) != c.code {
			t.Errorf("%s: %v (%d), %q", name, err, exit.Code(err), all)
		}
	}
}

// The disk is full: what was written is whole, and is said to be so.
func TestFullDisk(t *testing.T) {
	url := serve(t, answer)
	for most := 100; most < 800; most += 97 {
		c, to := connect(t, url, connection.WebSocket)
		file := &memory{most: most}
		w, err := record.NewWriter(file, record.NewHeader(c.Info(), time.Now()), record.NewRedactor(to.Header, nil))
		if err == nil {
			r := record.Recorder{Connection: c, Writer: w, In: strings.NewReader(strings.Repeat("raw message\n", 30)), Wait: -1}
			err = r.Run(t.Context())
		} else {
			_ = c.Close(t.Context(), 0, "")
		}
		if !errors.Is(err, syscall.ENOSPC) || exit.Code(err) != exit.Failed || !strings.Contains(err.Error(), "the recording ends after") {
			t.Errorf("%d bytes: %v", most, err)
		}
		if file.Len() == 0 {
			continue // not even the header fits
		}
		if about, err := record.Check(strings.NewReader(file.String())); err != nil {
			t.Errorf("%d bytes: %+v, %v", most, about, err)
		}
	}
	if runtime.GOOS != "linux" {
		return
	}
	f, err := record.Create("/dev/full", false)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := record.NewWriter(f, record.Header{}, record.NewRedactor(nil, nil)); !errors.Is(err, syscall.ENOSPC) {
		t.Error(err)
	}
}

func TestCreate(t *testing.T) {
	name := filepath.Join(t.TempDir(), "r")
	if err := os.WriteFile(name, []byte("precious"), 0o644); err != nil { //nolint:gosec // it becomes another mode
		t.Fatal(err)
	}
	if _, err := record.Create(name, false); err == nil || !strings.Contains(err.Error(), "--force") {
		t.Error(err)
	}
	f, err := record.Create(name, true)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Size() != 0 || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

// Each line is whole as soon as it is written: a reader beside sees all that was.
func TestWholeLines(t *testing.T) {
	name := filepath.Join(t.TempDir(), "r")
	f, err := record.Create(name, false)
	if err != nil {
		t.Fatal(err)
	}
	w, err := record.NewWriter(f, record.NewHeader(connection.Info{}, time.Now()), record.NewRedactor(nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for i := range 20 {
		if err := w.Write(record.NewEntry(record.In, &connection.Message{Kind: connection.Binary, Data: bytes.Repeat([]byte{byte(i)}, i*1000)})); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if about, err := record.Check(bytes.NewReader(text)); err != nil || about.Lines != i+1 {
			t.Fatalf("%+v, %v", about, err)
		}
	}
}

const first = `{"baro":"recording","version":1,"started":"2026-01-02T15:04:05Z"}` + "\n"

func TestDamaged(t *testing.T) {
	message := `{"t":1,"dir":"in","type":"text","data":"x"}` + "\n"
	for name, c := range map[string]struct {
		text string
		line int
		says string
	}{
		"nothing":          {"", 1, "empty"},
		"another file":     {"hello\n", 1, "not as it should be"},
		"other JSON":       {"{}\n", 1, "no recording"},
		"a later version":  {strings.Replace(first, `n":1`, `n":2`, 1), 1, "version 2"},
		"a protocol":       {strings.Replace(first, `n":1`, `n":1,"protocol":"gopher"`, 1), 1, "gopher"},
		"cut":              {first + message + message[:20], 3, "cut off"},
		"cut in the first": {first[:20], 1, "cut off"},
		"an empty line":    {first + "\n", 2, "not as it should be"},
		"no UTF-8":         {first + "{\"t\":1,\"dir\":\"in\",\"type\":\"text\",\"data\":\"\xff\"}\n", 2, "UTF-8"},
		"back in time":     {first + message + strings.Replace(message, "1", "0.5", 1), 3, "behind"},
		"a time":           {first + strings.Replace(message, "1", "-1", 1), 2, "year"},
		"no number":        {first + strings.Replace(message, "1", "1e999", 1), 2, "not as it should be"},
		"a direction":      {first + strings.Replace(message, "in", "up", 1), 2, "up"},
		"a type":           {first + strings.Replace(message, "text", "smell", 1), 2, "smell"},
		"no data":          {first + `{"t":1,"dir":"in","type":"text"}` + "\n", 2, "data"},
		"both":             {first + `{"t":1,"dir":"in","type":"text","data":"a","base64":"AA=="}` + "\n", 2, "either"},
		"base64":           {first + `{"t":1,"dir":"in","type":"binary","base64":"!"}` + "\n", 2, "not as it should be"},
		"an event":         {first + `{"t":1,"dir":"in","type":"event","event":"a","args":{}}` + "\n", 2, "array"},
		"a code":           {first + `{"t":1,"dir":"in","type":"close","code":70000}` + "\n", 2, "closes"},
		"deep":             {first + strings.Repeat("[", 100_000) + "\n", 2, "not as it should be"},
		"two in a line":    {first + strings.TrimSpace(message) + message, 2, "not as it should be"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := record.Check(strings.NewReader(c.text))
			damaged := new(record.DamagedError)
			if !errors.As(err, &damaged) || damaged.Line != c.line || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v", err)
			}
		})
	}
	if _, err := record.Check(strings.NewReader(first + message)); err != nil {
		t.Error(err)
	}
}

var manyX = strings.Repeat("x", 64<<10)

// endless is a line without an end.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, manyX)
	e.read += n
	return n, nil
}

func TestLineWithoutEnd(t *testing.T) {
	e := new(endless)
	_, err := record.Check(io.MultiReader(strings.NewReader(first), e))
	if err == nil || !strings.Contains(err.Error(), "line 2 of the recording: it is longer than") || e.read > record.MaxLine+1<<20 {
		t.Errorf("%v after %d bytes", err, e.read)
	}
}

// Whatever is read, what is a recording can be written, and read again as the same.
func FuzzReader(f *testing.F) {
	f.Add([]byte(first + `{"t":0,"dir":"in","type":"open"}` + "\n" + `{"t":0.5,"dir":"out","type":"text","data":"a","redacted":true}` + "\n" + `{"t":1,"dir":"in","type":"close","code":1000}` + "\n"))
	f.Add([]byte(first + `{"t":1,"dir":"in","type":"event","event":"a","args":[{"token":"b"}],"id":"7"}` + "\n" + `{"t":1,"dir":"in","type":"binary","base64":"/w=="}` + "\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := record.NewReader(bytes.NewReader(text))
		if err != nil {
			return
		}
		file := new(memory)
		w, err := record.NewWriter(file, r.Header, record.NewRedactor(nil, nil))
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for {
			e, err := r.Next()
			if err != nil {
				break
			}
			n++
			e.Show(10)
			if err := w.Write(e); err != nil {
				t.Fatal(err)
			}
		}
		if about, err := record.Check(strings.NewReader(file.String())); err != nil || about.Lines != n {
			t.Errorf("%+v of %d, %v: %q", about, n, err, file.String())
		}
	})
}
