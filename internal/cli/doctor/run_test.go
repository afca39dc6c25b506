package doctor_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"baro.dev/internal/cli/doctor"
	"baro.dev/internal/cli/exit"
	"baro.dev/internal/cli/target"
	"baro.dev/internal/testkit"
)

// Whoever interrupts gets what is known by then.
func TestInterrupted(t *testing.T) {
	testkit.NoLeaks(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	address := answering(t, func(r *http.Request, conn net.Conn) {
		if r.Header.Get("Upgrade") == "" {
			_, _ = io.WriteString(conn, plain)
			return
		}
		cancel()
		_, _ = io.Copy(io.Discard, conn)
	})
	start := time.Now()
	r := examineWith(t, ctx, "http://"+address, nil)
	if !r.Interrupted || time.Since(start) > patience/2 {
		t.Errorf("%v, after %s", r.Interrupted, time.Since(start))
	}
	want(t, r, "http", doctor.OK)
	want(t, r, "handshake", doctor.Skipped, "interrupted")
	wantExit(t, r, exit.Interrupted)
}

// What takes its time, since something has to be waited for.
func TestWaiting(t *testing.T) {
	t.Parallel()
	atOnce(t, map[string]func(t *testing.T){
		"server": serving, "behind a proxy": behindProxy, "Socket.IO": socketIO, "events": events, "idle": idle, "idle server": idleServer,
		"slow lookup": slowLookup, "no HTTP": noHTTP, "deaf": deafWebSocket,
	})
}

// The form of the JSON is what docs/cli.md says.
func TestJSON(t *testing.T) {
	t.Parallel()
	r := examine(t, "http://"+upgrading(t, plain)+"/x", nil)
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var back struct {
		Schema      int
		URL, Kind   string
		Started     time.Time
		Took        *float64 `json:"took_ms"`
		Interrupted *bool
		Status      string
		Exit        int
		Results     []struct {
			Name, Status, Detail, Advice string
			Took                         *float64 `json:"took_ms"`
			Data                         json.RawMessage
		}
		Problems []string
	}
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if back.Schema != 1 || back.Kind != "ws" || back.Status != "fail" || back.Exit != exit.Refused || back.Interrupted == nil || back.Took == nil ||
		len(back.Problems) != 1 || back.Problems[0] != "handshake" || len(back.Results) != len(r.Results) || back.Results[0].Took == nil {
		t.Errorf("%s", text)
	}
	for i, d := range []doctor.Duration{0, 1500, 1_234_567, -5_000_000} {
		text, err := json.Marshal(d)
		if want := []string{"0", "0.002", "1.235", "-5"}[i]; err != nil || string(text) != want {
			t.Errorf("%d ns is %s, %v", d, text, err)
		}
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for _, o := range []doctor.Options{{Protocol: "gopher"}, {Idle: -1}, {Timeout: -1}, {Slow: -1}} {
		if o.Check() == nil {
			t.Errorf("%+v", o)
		}
	}
}

// pipe is a connection on which a server says the same to everybody.
type pipe struct{ net.Conn }

// FuzzAnswers has a server that says anything at all, on each connection, without looking at what it is asked.
func FuzzAnswers(f *testing.F) {
	for _, seed := range []string{
		"", plain, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n:\n\n",
		switching + "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n\x81\x05hello",
		"HTTP/1.1 200 OK\r\nBaro-Position: A:1\r\nContent-Length: 2\r\n\r\n{}",
		"HTTP/1.1 200 OK\r\nContent-Length: 96\r\n\r\n0{\"sid\":\"x\",\"upgrades\":[\"websocket\"],\"pingInterval\":1e300,\"pingTimeout\":-1,\"maxPayload\":1000000}",
		"HTTP/1.1 400 Bad Request\r\nContent-Length: 44\r\nDate: Mon, 23 Nov 2026 10:32:52 GMT\r\nAge: 99999999999999999999\r\n\r\n{\"code\":1,\"message\":\"Session ID unknown\"}   ",
		"HTTP/1.1 426 Upgrade Required\r\nAlt-Svc: h3=\":443\", h3=;\r\nSec-WebSocket-Version: 7, ,\r\nVia: \x1b\r\nSet-Cookie: =\r\nContent-Length: 0\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		to := target.Options{Proxy: "none"}
		where, err := to.Target("http://192.0.2.1/c/x")
		if err != nil {
			t.Fatal(err)
		}
		where.DialContext = func(context.Context, string, string) (net.Conn, error) {
			here, there := net.Pipe()
			go func() { _, _ = io.Copy(io.Discard, there) }()
			go func() {
				_, _ = there.Write(answer)
				there.Close()
			}()
			return pipe{here}, nil
		}
		r := doctor.Examine(t.Context(), &doctor.Options{Target: where, Timeout: patience, Slow: 5 * time.Second, Publish: true}, nil)
		if _, err := json.Marshal(r); err != nil {
			t.Error(err)
		}
		out := doctor.Text{Out: io.Discard, Verbose: true}
		for i := range r.Results {
			if r.Results[i].Name == "" || r.Results[i].Status == "" {
				t.Errorf("%+v", r.Results[i])
			}
			out.Result(&r.Results[i])
		}
		out.Conclusion(r)
	})
}
