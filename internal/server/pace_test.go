package server

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"baro.dev/channel"
	"baro.dev/ws"
)

// A connection goes on at its rate after a burst, whether messages or bytes are what it has too many of.
func TestKeepPace(t *testing.T) {
	for name, test := range map[string]struct {
		config Config
		sizes  []int // of messages that come at once
		took   time.Duration
	}{
		"below":          {Config{MessageRate: 10, ByteRate: 1000}, []int{100, 100, 100}, 0},
		"messages":       {Config{MessageRate: 10}, make([]int, 50), 3 * time.Second},
		"bytes":          {Config{ByteRate: 1000}, []int{1000, 1000, 1000, 500}, 1500 * time.Millisecond},
		"both":           {Config{MessageRate: 1, ByteRate: 1000}, []int{1000, 1000, 1000, 0, 0}, 3 * time.Second},
		"a huge one":     {Config{ByteRate: 1000}, []int{1 << 20}, maxPaceWait},
		"and what comes": {Config{ByteRate: 1000}, []int{1 << 20, 1000}, maxPaceWait + time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t, test.config)
				defer s.Close()
				p := new(pace)
				begin := time.Now()
				for _, size := range test.sizes {
					if !s.keepPace(p, size, nil) {
						t.Fatal("it is too fast")
					}
				}
				if took := time.Since(begin); took < test.took-time.Millisecond || took > test.took+time.Millisecond {
					t.Errorf("it took %v, want %v", took, test.took)
				}
			})
		})
	}
}

// Who has to wait for every message for longer than the silence of a client lasts is too fast; who pauses once is not. A connection that
// ends, and a server that stops, waits for nothing.
func TestTooFast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Config{MessageRate: 1, Heartbeat: 25 * time.Second, WriteTimeout: 20 * time.Second})
		defer s.Close()
		p := new(pace)
		begin := time.Now()
		for s.keepPace(p, 1, nil) {
			if time.Since(begin) > time.Minute {
				t.Fatal("it may go on")
			}
		}
		if took := time.Since(begin); took < 45*time.Second {
			t.Errorf("it was too fast after %v", took)
		}
		p = new(pace)
		for i := range 200 {
			if i%20 == 0 {
				time.Sleep(2 * time.Second)
			}
			if !s.keepPace(p, 1, nil) {
				t.Fatalf("too fast at message %d", i)
			}
		}
		ended := make(chan struct{})
		close(ended)
		begin = time.Now()
		for range 10 {
			s.keepPace(p, 1, ended)
		}
		s.drain()
		for range 10 {
			s.keepPace(p, 1, nil)
		}
		if took := time.Since(begin); took != 0 {
			t.Errorf("nobody was there, and it took %v", took)
		}
	})
}

// senders send messages to the channel a over a connection that may.
var senders = map[string]func(t *testing.T, s *Server, texts []string) error{
	"websocket": func(t *testing.T, s *Server, texts []string) error {
		c, _, err := ws.Dial(t.Context(), s.url("/c/a"), nil)
		if err != nil {
			return err
		}
		t.Cleanup(func() { c.CloseNow() })
		for _, text := range texts {
			if err := c.Write(t.Context(), ws.Text, []byte(text)); err != nil {
				return err
			}
		}
		return readUntilClosed(t, c)
	},
	"ws": func(t *testing.T, s *Server, texts []string) error {
		c, _, err := ws.Dial(t.Context(), s.url("/ws"), nil)
		if err != nil {
			return err
		}
		t.Cleanup(func() { c.CloseNow() })
		for _, text := range texts {
			if err := c.Write(t.Context(), ws.Text, fmt.Appendf(nil, `{"publish":{"channel":"a","data":%q}}`, text)); err != nil {
				return err
			}
		}
		return readUntilClosed(t, c)
	},
	"socket.io": func(t *testing.T, s *Server, texts []string) error {
		c := dialSocketIO(t, s.url(""))
		for _, text := range texts {
			if err := c.Write(t.Context(), ws.Text, fmt.Appendf(nil, `42["publish","a",%q]`, text)); err != nil {
				return err
			}
		}
		return readUntilClosed(t, c.Conn)
	},
	"polling": func(t *testing.T, s *Server, texts []string) error {
		_, hello := request(t, "GET", s.url("/socket.io/?EIO=4&transport=polling"), "")
		_, sid, _ := strings.Cut(hello, `"sid":"`)
		sid, _, _ = strings.Cut(sid, `"`)
		url := s.url("/socket.io/?EIO=4&transport=polling&sid=" + sid)
		request(t, "POST", url, "40")
		if _, body := request(t, "GET", url, ""); !strings.HasPrefix(body, "40") {
			return fmt.Errorf("not connected: %s", body)
		}
		var packets []string
		for _, text := range texts {
			packets = append(packets, fmt.Sprintf(`42["publish","a",%q]`, text))
		}
		if response, body := request(t, "POST", url, strings.Join(packets, "\x1e")); response.StatusCode != http.StatusOK {
			return fmt.Errorf("status %d, %s", response.StatusCode, body)
		}
		for {
			response, err := client(t).Get(url)
			if err != nil {
				return err
			}
			body, _ := io.ReadAll(response.Body)
			response.Body.Close()
			if response.StatusCode != http.StatusOK || strings.HasSuffix(string(body), "1") && len(body) < 3 {
				return fmt.Errorf("status %d, %s", response.StatusCode, body)
			}
		}
	},
}

// readUntilClosed reads until the connection ends.
func readUntilClosed(t *testing.T, c *ws.Conn) error {
	for {
		if _, err := c.Read(t.Context()); err != nil {
			return err
		}
	}
}

// Over every transport a connection that sends too much is read more slowly, and nothing of it is lost, or out of order. The
// others notice nothing.
func TestRates(t *testing.T) {
	const rate, messages = 40, 120
	for name, send := range senders {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, Config{MessageRate: rate})
			var texts []string
			for i := range messages {
				texts = append(texts, fmt.Sprint(i))
			}
			begin := time.Now()
			go func() { _ = send(t, s, texts) }()
			n := 0
			err := readNDJSON(t.Context(), client(t), s.url("/c/a"), "", func(m channel.Message) bool {
				if got := string(m.Data); got != fmt.Sprint(n) {
					t.Errorf("%s came, want %d", got, n)
				}
				if n == messages/2 { // another connection has its own rate
					if _, err := s.Hub().Publish("b", channel.Message{Data: []byte("x")}); err != nil {
						t.Error(err)
					}
				}
				n++
				return n < messages
			})
			if err != nil {
				t.Fatal(err)
			}
			if took, least := time.Since(begin), time.Second*(messages-paceBurst*rate)/rate; took < least*9/10 {
				t.Errorf("%d messages in %v, want %v at least", messages, took, least)
			}
		})
	}
}

// Who sends without end is cut at last, and told to come back, and a log line says why.
func TestFlood(t *testing.T) {
	for name, send := range senders {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, Config{MessageRate: 20, Heartbeat: 250 * time.Millisecond, WriteTimeout: 250 * time.Millisecond})
			texts := make([]string, 5000)
			err := send(t, s, texts)
			if err == nil {
				t.Fatal("it was not cut")
			}
			if code := ws.CloseStatus(err); (name == "websocket" || name == "ws") && code != 4005 && code != ws.StatusAbnormalClosure {
				t.Errorf("it was cut with %v", err)
			}
			eventually(t, "it is gone", func() bool { return s.used() == 0 })
			if info, err := s.Hub().Info("a"); err == nil && info.Position.Offset > 500 {
				t.Errorf("%d messages came through", info.Position.Offset)
			}
		})
	}
}
