package webhook_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"baro.dev/internal/testkit"
	"baro.dev/internal/webhook"
)

func newAsker(t testing.TB, c webhook.AskerConfig) *webhook.Asker {
	t.Helper()
	if c.URL == "" {
		c.URL = "http://backend/ask"
	}
	c.Secrets = []string{secret}
	if c.Log == nil {
		c.Log = testLog(t)
	}
	a, err := webhook.NewAsker(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return a
}

func rpc(ctx context.Context, a *webhook.Asker) (rpcAnswer, error) {
	var answer rpcAnswer
	err := a.Ask(ctx, "rpc", rpcQuestion{Client: "c", Method: "sum", Data: json.RawMessage(`[1,2]`)}, &answer)
	return answer, err
}

func TestAsk(t *testing.T) {
	testkit.NoLeaks(t)
	got := make(chan request, 10)
	backend := site(t, got, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"user":"ana","info":{"name":"Ana"},"channels":["a"],"rights":{"publish":["rooms/*"]},"expires":1700000000.5,"more":1}`)
	})
	a := newAsker(t, webhook.AskerConfig{URL: backend.URL, Headers: map[string]string{"X-Site": "a"}})
	question := connectQuestion{"c1", "tok"}
	var answer connectAnswer
	if err := a.Ask(t.Context(), "connect", question, &answer); err != nil {
		t.Fatal(err)
	}
	if answer.User != "ana" || string(answer.Info) != `{"name":"Ana"}` || answer.Channels[0] != "a" || answer.Expires != 1700000000.5 {
		t.Errorf("answer %+v", answer)
	}
	r := testkit.Within(t, "the question", got)
	var asked struct {
		ID, Type string
		Time     time.Time
		Data     connectQuestion
	}
	if err := json.Unmarshal(r.body, &asked); err != nil || asked.ID != r.header.Get(webhook.HeaderID) || !strings.HasPrefix(asked.ID, "qst_") ||
		asked.Type != "connect" || asked.Time.IsZero() || fmt.Sprint(asked.Data) != fmt.Sprint(question) || r.header.Get("X-Site") != "a" {
		t.Errorf("question %s, %v", r.body, err)
	}
	if err := a.Ask(t.Context(), "x", make(chan int), nil); err == nil || errors.Is(err, webhook.ErrUnavailable) {
		t.Errorf("a question that cannot be encoded: %v", err)
	}
	if stats := a.Stats(); stats != (webhook.AskerStats{Answered: 1}) {
		t.Errorf("%+v", stats)
	}
}

// What a backend may answer, and what it means.
func TestAnswers(t *testing.T) {
	long := strings.Repeat("가", 400)
	for name, test := range map[string]struct {
		status int
		body   string
		want   error
		data   string
	}{
		"an answer":                {200, `{"data":{"a":1}}`, nil, `{"a":1}`},
		"an empty answer":          {200, `{}`, nil, ""},
		"nothing":                  {200, ``, webhook.ErrUnavailable, ""},
		"no JSON":                  {200, `<html>`, webhook.ErrUnavailable, ""},
		"two values":               {200, `{}{}`, webhook.ErrUnavailable, ""},
		"a list":                   {200, `[]`, webhook.ErrUnavailable, ""},
		"cut off":                  {200, `{"data":`, webhook.ErrUnavailable, ""},
		"not UTF-8":                {200, "{\"data\":\"\xff\"}", webhook.ErrUnavailable, ""},
		"deep":                     {200, `{"data":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + `}`, webhook.ErrUnavailable, ""},
		"1 MiB":                    {200, `{"data":"` + strings.Repeat("x", 1<<20-11) + `"}`, nil, `"` + strings.Repeat("x", 1<<20-11) + `"`},
		"1 MiB and a byte":         {200, `{"data":"` + strings.Repeat("x", 1<<20-10) + `"}`, webhook.ErrUnavailable, ""},
		"10 MB":                    {200, strings.Repeat(" ", 10_000_000), webhook.ErrUnavailable, ""},
		"201":                      {201, `{}`, webhook.ErrUnavailable, ""},
		"204":                      {204, ``, webhook.ErrUnavailable, ""},
		"101":                      {101, ``, webhook.ErrUnavailable, ""},
		"302":                      {302, `{}`, webhook.ErrUnavailable, ""},
		"500":                      {500, `{"error":{"code":"no","message":"no"}}`, webhook.ErrUnavailable, ""},
		"503":                      {503, ``, webhook.ErrUnavailable, ""},
		"999":                      {999, ``, webhook.ErrUnavailable, ""},
		"a refusal":                {403, `{"error":{"code":"banned","message":"아니"}}`, &webhook.RefusedError{Status: 403, Code: "banned", Message: "아니"}, ""},
		"a refusal without why":    {400, `{"error":{"code":"no.such-Method_1"}}`, &webhook.RefusedError{Status: 400, Code: "no.such-Method_1"}, ""},
		"a refusal of many words":  {429, `{"error":{"code":"slow","message":"` + long + `"}}`, &webhook.RefusedError{Status: 429, Code: "slow", Message: long[:1023]}, ""},
		"a refusal without a code": {403, `{"error":{"message":"no"}}`, webhook.ErrUnavailable, ""},
		"a refusal of another way": {403, `{"error":"no"}`, webhook.ErrUnavailable, ""},
		"a code with a line break": {403, `{"error":{"code":"a\nb"}}`, webhook.ErrUnavailable, ""},
		"a long code":              {403, `{"error":{"code":"` + strings.Repeat("a", 65) + `"}}`, webhook.ErrUnavailable, ""},
		"a page that is not there": {404, `404 page not found`, webhook.ErrUnavailable, ""},
		"a refusal of 10 MB":       {403, strings.Repeat(" ", 10_000_000), webhook.ErrUnavailable, ""},
	} {
		t.Run(name, func(t *testing.T) {
			backend := &fake{t: t, answer: func(*http.Request, int) (*http.Response, error) { return reply(test.status, test.body) }}
			a := newAsker(t, webhook.AskerConfig{Transport: backend})
			answer, err := rpc(t.Context(), a)
			if want, ok := errors.AsType[*webhook.RefusedError](test.want); ok {
				if got, _ := errors.AsType[*webhook.RefusedError](err); got == nil || *got != *want {
					t.Errorf("Ask: %v, want %v", err, want)
				}
			} else if !errors.Is(err, test.want) {
				t.Errorf("Ask: %v, want %v", err, test.want)
			}
			if err == nil && string(answer.Data) != test.data {
				t.Errorf("answer %.100s", answer.Data)
			}
			if n := len(backend.got()); n != 1 {
				t.Errorf("asked %d times", n)
			}
		})
	}
}

// A length that is declared too large is not waited for.
func TestDeclaredLength(t *testing.T) {
	testkit.NoLeaks(t)
	url, _ := den(t, 1, func(c net.Conn) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n{")
		silent(c)
	})
	a := newAsker(t, webhook.AskerConfig{URL: url, Timeout: time.Hour})
	if _, err := rpc(t.Context(), a); !errors.Is(err, webhook.ErrUnavailable) {
		t.Error(err)
	}
	a.Close()
}

// Whatever a backend does, there is an answer in time, and the next question finds it well.
func TestHostileBackends(t *testing.T) {
	run := func(name string, r rogue) {
		t.Run(name, func(t *testing.T) {
			testkit.NoLeaks(t)
			url, got := den(t, 1, r)
			timeout := 200 * time.Millisecond
			a := newAsker(t, webhook.AskerConfig{URL: url, Timeout: timeout})
			if _, err := rpc(t.Context(), a); !errors.Is(err, webhook.ErrUnavailable) {
				t.Errorf("Ask: %v", err)
			}
			for { // a machine that stands still may need several
				// It has read the question and says 200 and nothing: no answer, but not the rogue's.
				if _, err := rpc(t.Context(), a); !errors.Is(err, webhook.ErrUnavailable) {
					t.Fatalf("Ask: %v", err)
				}
				if len(got) > 0 {
					break
				}
			}
			a.Close()
		})
	}
	for name, r := range rogues {
		run(name, r)
	}
	for name, r := range wellDone { // though none of them is an answer
		run(name, r)
	}
}

func TestAskTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend := &fake{t: t, answer: hang}
		a := newAsker(t, webhook.AskerConfig{Transport: backend})
		start := time.Now()
		if _, err := rpc(t.Context(), a); !errors.Is(err, webhook.ErrUnavailable) || time.Since(start) != 5*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		// The caller's own end is not the backend's fault.
		for range 100 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			if _, err := rpc(ctx, a); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, webhook.ErrUnavailable) {
				t.Errorf("Ask: %v", err)
			}
			cancel()
		}
		if stats := a.Stats(); stats.Failed != 1 || stats.Broken || stats.Asking != 0 {
			t.Errorf("%+v", stats)
		}
	})
}

func TestBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		backend := &fake{t: t, answer: func(*http.Request, int) (*http.Response, error) {
			<-release
			return reply(200, "{}")
		}}
		a := newAsker(t, webhook.AskerConfig{Transport: backend, Concurrency: 2, MaxWaiting: 3})
		var busy, answered atomic.Int64
		var all sync.WaitGroup
		for range 9 {
			all.Go(func() {
				switch _, err := rpc(t.Context(), a); {
				case err == nil:
					answered.Add(1)
				case errors.Is(err, webhook.ErrBusy):
					busy.Add(1)
				}
			})
		}
		synctest.Wait()
		if stats := a.Stats(); busy.Load() != 4 || stats.Asking != 2 || stats.Waiting != 3 || len(backend.got()) != 2 {
			t.Errorf("%d are told that it is busy: %+v", busy.Load(), stats)
		}
		close(release)
		all.Wait()
		if stats := a.Stats(); answered.Load() != 5 || stats.Busy != 4 || stats.Asking != 0 || stats.Waiting != 0 {
			t.Errorf("%d are answered: %+v", answered.Load(), stats)
		}
	})
}

// Whose turn does not come in time has not been asked.
func TestBusyInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend := &fake{t: t, answer: hang}
		a := newAsker(t, webhook.AskerConfig{Transport: backend, Concurrency: 1})
		go rpc(t.Context(), a)
		synctest.Wait()
		time.Sleep(time.Second)
		go rpc(t.Context(), a)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := rpc(ctx, a); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the caller's end while waiting: %v", err)
		}
		start := time.Now()
		a2 := newAsker(t, webhook.AskerConfig{Transport: &fake{t: t, answer: func(r *http.Request, _ int) (*http.Response, error) {
			time.Sleep(time.Hour) // and does not heed the context
			return reply(200, "{}")
		}}, Concurrency: 1})
		go rpc(t.Context(), a2)
		synctest.Wait()
		if _, err := rpc(t.Context(), a2); !errors.Is(err, webhook.ErrBusy) || time.Since(start) != 5*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		time.Sleep(2 * time.Hour)
	})
}

func TestBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logged
		var well atomic.Bool
		backend := &fake{t: t, answer: func(r *http.Request, n int) (*http.Response, error) {
			time.Sleep(100 * time.Millisecond)
			if well.Load() {
				return reply(403, `{"error":{"code":"no","message":"which is an answer"}}`)
			}
			return reply(500, "")
		}}
		a := newAsker(t, webhook.AskerConfig{Transport: backend, Log: log.logger()})
		ask := func(n int) {
			var all sync.WaitGroup
			for range n {
				all.Go(func() { rpc(t.Context(), a) })
			}
			all.Wait()
		}
		expect := func(requests int, broken bool) {
			t.Helper()
			if n := len(backend.got()); n != requests || a.Stats().Broken != broken {
				t.Fatalf("%d requests, want %d; broken %v", n, requests, a.Stats().Broken)
			}
		}
		for range 9 {
			ask(1)
		}
		expect(9, false)
		ask(1)
		expect(10, true)
		start := time.Now()
		ask(100)
		expect(10, true)
		if time.Since(start) != 0 {
			t.Errorf("told after %v", time.Since(start))
		}
		time.Sleep(2 * time.Second)
		ask(100) // one of them is the probe
		expect(11, true)
		ask(100)
		expect(11, true)

		// A caller who has lost interest in the probe says nothing of the backend.
		time.Sleep(2 * time.Second)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			time.Sleep(50 * time.Millisecond)
			cancel()
		}()
		rpc(ctx, a)
		expect(12, false) // the next may probe
		ask(1)
		expect(13, true)

		time.Sleep(2 * time.Second)
		well.Store(true)
		ask(1)
		expect(14, false)
		ask(100)
		expect(114, false)
		if log.count("is asked no more") != 1 || log.count("answers again") != 1 {
			t.Errorf("log: %s", log.String())
		}
	})
}

// A connection that fails before anything was sent is tried once more; one that fails later is not, for who knows.
func TestAskAgain(t *testing.T) {
	for name, test := range map[string]struct {
		failures  int
		err       error
		wantDials int32
		want      error
	}{
		"refused once":   {1, syscall.ECONNREFUSED, 2, nil},
		"refused twice":  {2, syscall.ECONNREFUSED, 2, webhook.ErrUnavailable},
		"reset once":     {1, syscall.ECONNRESET, 2, nil},
		"no such host":   {1, errors.New("no such host"), 1, webhook.ErrUnavailable},
		"there it is":    {0, nil, 1, nil},
		"unreachable":    {1, syscall.EHOSTUNREACH, 1, webhook.ErrUnavailable},
		"refused thrice": {3, syscall.ECONNREFUSED, 2, webhook.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			got := make(chan request, 10)
			backend := site(t, got, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") })
			transport := webhook.NewTransport(nil, 1)
			defer transport.CloseIdleConnections()
			dial := transport.DialContext
			var dials atomic.Int32
			transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
				if int(dials.Add(1)) <= test.failures {
					return nil, &net.OpError{Op: "dial", Net: network, Err: test.err}
				}
				return dial(ctx, network, address)
			}
			a := newAsker(t, webhook.AskerConfig{URL: backend.URL, Transport: transport})
			if _, err := rpc(t.Context(), a); !errors.Is(err, test.want) || dials.Load() != test.wantDials {
				t.Errorf("%d connections: %v", dials.Load(), err)
			}
		})
	}
	t.Run("reset after it was sent", func(t *testing.T) {
		var heard atomic.Int32
		url, got := den(t, 1, func(c net.Conn) {
			heard.Add(1)
			reset(c)
		})
		a := newAsker(t, webhook.AskerConfig{URL: url})
		if _, err := rpc(t.Context(), a); !errors.Is(err, webhook.ErrUnavailable) || heard.Load() != 1 || len(got) != 0 {
			t.Errorf("heard %d times: %v", heard.Load()+int32(len(got)), err)
		}
	})
}

func TestAskerClose(t *testing.T) {
	testkit.NoLeaks(t)
	url, _ := den(t, 100, silent)
	a := newAsker(t, webhook.AskerConfig{URL: url, Timeout: time.Hour})
	done := make(chan error, 10)
	for range 10 {
		go func() {
			_, err := rpc(context.Background(), a)
			done <- err
		}()
	}
	until(t, "the questions", func() bool { return a.Stats().Asking == 10 })
	a.Close()
	for range 10 {
		if err := testkit.Within(t, "an end", done); !errors.Is(err, webhook.ErrUnavailable) {
			t.Errorf("Ask: %v", err)
		}
	}
	if _, err := rpc(t.Context(), a); !errors.Is(err, webhook.ErrUnavailable) {
		t.Errorf("Ask after Close: %v", err)
	}
	a.Close()
}

func TestAskerConfig(t *testing.T) {
	for name, c := range map[string]webhook.AskerConfig{
		"no URL":     {Secrets: []string{secret}},
		"no secret":  {URL: "http://backend/"},
		"a bad size": {URL: "http://backend/", Secrets: []string{secret}, Concurrency: -1},
		"metadata":   {URL: "http://169.254.169.254/", Secrets: []string{secret}},
	} {
		if _, err := webhook.NewAsker(c); err == nil {
			t.Errorf("%s is fine", name)
		}
	}
}

// Whatever is answered, Ask returns an answer, a refusal fit for the client, or ErrUnavailable.
func FuzzAnswer(f *testing.F) {
	f.Add(200, []byte(`{"user":"ana","rights":{"publish":["a"]},"expires":1}`))
	f.Add(403, []byte(`{"error":{"code":"no","message":"\ud800"}}`))
	f.Add(101, []byte("x"))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		a := newAsker(t, webhook.AskerConfig{Transport: &fake{t: t, answer: func(*http.Request, int) (*http.Response, error) {
			return reply(status, string(body))
		}}})
		var answer connectAnswer
		err := a.Ask(t.Context(), "connect", connectQuestion{}, &answer)
		if refused, ok := errors.AsType[*webhook.RefusedError](err); ok {
			if status < 400 || status > 499 || refused.Code == "" || len(refused.Code) > 64 || len(refused.Message) > 1024 ||
				strings.ToValidUTF8(refused.Message, "") != refused.Message {
				t.Errorf("%d: %+v", status, refused)
			}
			return
		}
		if err == nil && (status != 200 || !json.Valid(body)) || err != nil && !errors.Is(err, webhook.ErrUnavailable) {
			t.Errorf("%d: %v", status, err)
		}
	})
}
