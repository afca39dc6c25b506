package webhook_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"baro.dev/internal/webhook"
)

// at is a configuration of endpoints at these URLs.
func at(f *fake, t *testing.T, urls ...string) webhook.Config {
	c := webhook.Config{Transport: f, Log: testLog(t)}
	for _, url := range urls {
		c.Endpoints = append(c.Endpoints, webhook.Endpoint{URL: url, Secrets: []string{secret}})
	}
	return c
}

func mustReplace(t *testing.T, s *webhook.Sender, c webhook.Config) {
	t.Helper()
	if err := s.Replace(c); err != nil {
		t.Fatal(err)
	}
}

// What is queued for an endpoint that stays arrives, in order and once, however often and while whatever is replaced.
func TestReplaceKeepsQueues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const events = 5000
		f := &fake{t: t, answer: func(*http.Request, int) (*http.Response, error) {
			time.Sleep(rand.N(20 * time.Millisecond))
			if rand.IntN(10) == 0 {
				return reply(503, "")
			}
			return reply(200, "")
		}}
		s := newSender(t, at(f, t, "http://backend/a?key=1"))
		var replacing sync.WaitGroup
		stop := make(chan struct{})
		replacing.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				case <-time.After(rand.N(50 * time.Millisecond)):
				}
				c := at(f, t, fmt.Sprintf("http://name:password%d@backend/a?key=%d", i, i))
				c.Endpoints[0].BatchEvents = 1 + rand.IntN(50)
				c.Endpoints[0].BatchDelay = rand.N(100*time.Millisecond) + 1
				if err := s.Replace(c); err != nil {
					t.Error(err)
				}
				wrong := at(f, t, "http://backend/b", "not a URL")
				if err := s.Replace(wrong); err == nil || !strings.Contains(err.Error(), "endpoint 2") {
					t.Errorf("a wrong one: %v", err)
				}
			}
		})
		for i := range events {
			if !s.Send(numbered(i)) {
				t.Fatalf("event %d is not taken", i)
			}
			time.Sleep(rand.N(time.Millisecond))
		}
		close(stop)
		replacing.Wait()
		mustReplace(t, s, at(f, t, "http://backend/a"))
		time.Sleep(time.Minute) // until what had to be tried again has been
		flush(t, s)
		var got []string
		for _, r := range f.got() { // what was tried again comes again
			for _, e := range r.events {
				if !slices.Contains(got[max(0, len(got)-100):], e.ID) {
					got = append(got, e.ID)
				}
			}
		}
		if !slices.Equal(got, upTo(events)) {
			t.Errorf("%d events came, or not in order", len(got))
		}
	})
}

// One that goes gets what is queued, and nothing else; one that comes gets what comes.
func TestReplaceEndpoints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		byPath := map[string][]string{}
		var mu sync.Mutex
		f := &fake{t: t}
		f.answer = func(r *http.Request, n int) (*http.Response, error) {
			mu.Lock()
			defer mu.Unlock()
			byPath[r.URL.Path] = append(byPath[r.URL.Path], ids(f.got()[n:n+1])...)
			return reply(200, "")
		}
		s := newSender(t, at(f, t, "http://backend/a", "http://backend/b"))
		s.Send(numbered(0))
		mustReplace(t, s, at(f, t, "http://backend/b", "http://backend/c"))
		s.Send(numbered(1))
		time.Sleep(time.Minute)
		if stats := s.Stats(); len(stats) != 2 || stats[0].URL != "http://backend/b" || stats[0].Sent != 2 || stats[1].Sent != 1 {
			t.Errorf("%+v", stats)
		}
		mustReplace(t, s, at(f, t))
		s.Send(numbered(2))
		flush(t, s)
		if got, want := fmt.Sprint(byPath), "map[/a:[0] /b:[0 1] /c:[1]]"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		if err := s.Replace(at(f, t)); err == nil {
			t.Error("it is closed")
		}
	})
}

// What is under way is tried again by the new terms; one that was gone is asked anew; more at a time takes effect at once.
func TestReplaceTerms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		status := 503
		f := &fake{t: t, answer: func(r *http.Request, _ int) (*http.Response, error) {
			if r.Header.Get("X-New") != "" {
				return reply(200, "")
			}
			return reply(status, "")
		}}
		c := at(f, t, "http://backend/a")
		s := newSender(t, c)
		s.Send(numbered(0))
		time.Sleep(10 * time.Second)
		if len(f.got()) < 2 {
			t.Fatal("it is not tried again")
		}
		renewed := at(f, t, "http://backend/a")
		renewed.Endpoints[0].Headers = map[string]string{"X-New": "1"}
		mustReplace(t, s, renewed)
		time.Sleep(time.Minute)
		if stats := s.Stats()[0]; stats.Sent != 1 || stats.Queued != 0 {
			t.Errorf("%+v", stats)
		}
		status = 410
		mustReplace(t, s, c)
		s.Send(numbered(1))
		time.Sleep(time.Minute)
		if stats := s.Stats()[0]; !stats.Disabled {
			t.Errorf("%+v", stats)
		}
		mustReplace(t, s, renewed)
		s.Send(numbered(2))
		time.Sleep(time.Minute)
		if stats := s.Stats()[0]; stats.Disabled || stats.Sent != 1 {
			t.Errorf("%+v", stats)
		}
	})

	synctest.Test(t, func(t *testing.T) {
		f := &fake{t: t, answer: hang}
		c := at(f, t, "http://backend/a")
		c.Endpoints[0].BatchEvents, c.Endpoints[0].Timeout = 1, time.Hour
		s := newSender(t, c)
		send(t, s, 10)
		synctest.Wait()
		if n := len(f.got()); n != 1 {
			t.Errorf("%d requests at a time", n)
		}
		c.Endpoints[0].Concurrency = 4
		mustReplace(t, s, c)
		synctest.Wait()
		if n := len(f.got()); n != 4 {
			t.Errorf("%d requests at a time, want 4", n)
		}
	})
}
