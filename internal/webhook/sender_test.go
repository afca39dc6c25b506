package webhook_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"baro.dev/internal/testkit"
	"baro.dev/internal/webhook"
)

func TestSend(t *testing.T) {
	testkit.NoLeaks(t)
	got := make(chan request, 10)
	backend := site(t, got, nil)
	s := newSender(t, webhook.Config{Endpoints: []webhook.Endpoint{{
		URL: backend.URL + "/hook?key=k", Headers: map[string]string{"X-Site": "a", "user-agent": "mine"},
	}}})
	at := time.Date(2026, 1, 2, 15, 4, 5, 123456789, time.FixedZone("", 3600))
	s.Send(webhook.Event{Type: "published", ID: "e1", Time: at, Data: about{
		Channel: "rooms/1", Client: "c1", User: "ana", Message: json.RawMessage(`{"offset":1,"data":"안녕"}`),
	}})
	s.Send(webhook.Event{Type: "of \"another\" kind"})
	flush(t, s)

	r := testkit.Within(t, "the request", got)
	if r.header.Get("X-Site") != "a" || r.header.Get("User-Agent") != "mine" || r.header.Get("Accept-Encoding") != "" {
		t.Errorf("headers %v", r.header)
	}
	if len(r.events) != 2 {
		t.Fatalf("body %s", r.body)
	}
	first := `{"id":"e1","type":"published","time":"2026-01-02T14:04:05.123Z","data":` +
		`{"channel":"rooms/1","client":"c1","user":"ana","message":{"offset":1,"data":"안녕"}}}`
	if !strings.HasPrefix(string(r.body), `{"events":[`+first+`,{"id":"evt_`) {
		t.Errorf("body %s", r.body)
	}
	if e := r.events[1]; len(e.ID) < 20 || e.Type != "of \"another\" kind" || string(e.Data) != "null" || time.Since(e.Time).Abs() > time.Hour {
		t.Errorf("an event without id, time and data is %+v", e)
	}
	if stats := s.Stats(); len(stats) != 1 || stats[0] != (webhook.Stats{URL: backend.URL + "/hook", Sent: 2, Requests: 1}) {
		t.Errorf("stats %+v", stats)
	}
}

func TestTypes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := &fake{t: t, answer: statusOf(204)}
		some := &fake{t: t, answer: statusOf(204)}
		both := webhook.Config{
			Endpoints: []webhook.Endpoint{{URL: "http://all"}, {URL: "http://some", Types: []string{"occ*", "vacated"}}},
			Transport: byHost{"all": all, "some": some},
		}
		s := newSender(t, both)
		for _, kind := range []string{"occupied", "vacated", "vacated2", "o", "connected", "occ"} {
			if !s.Send(webhook.Event{Type: kind, ID: kind}) {
				t.Errorf("%s is not taken", kind)
			}
		}
		flush(t, s)
		if got := ids(some.got()); !slices.Equal(got, []string{"occupied", "vacated", "occ"}) {
			t.Errorf("some: %v", got)
		}
		if got := ids(all.got()); len(got) != 6 {
			t.Errorf("all: %v", got)
		}
	})
}

// byHost is a network of fakes.
type byHost map[string]http.RoundTripper

func (b byHost) RoundTrip(r *http.Request) (*http.Response, error) {
	return b[r.URL.Hostname()].RoundTrip(r)
}

func TestBatches(t *testing.T) {
	for name, test := range map[string]struct {
		endpoint webhook.Endpoint
		events   int
		after    []time.Duration // when the requests come
		sizes    []int           // how many events they have
	}{
		"few wait for more":    {webhook.Endpoint{}, 3, []time.Duration{100 * time.Millisecond}, []int{3}},
		"many do not wait":     {webhook.Endpoint{BatchEvents: 3}, 7, []time.Duration{0, 0, 100 * time.Millisecond}, []int{3, 3, 1}},
		"large ones neither":   {webhook.Endpoint{BatchBytes: 300}, 5, []time.Duration{0, 0, 100 * time.Millisecond}, []int{2, 2, 1}},
		"larger than a batch":  {webhook.Endpoint{BatchBytes: 10}, 2, []time.Duration{0, 0}, []int{1, 1}},
		"as long as is wanted": {webhook.Endpoint{BatchDelay: time.Second}, 1, []time.Duration{time.Second}, []int{1}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				backend := &fake{t: t, answer: statusOf(200)}
				s := newSender(t, webhook.Config{Endpoints: []webhook.Endpoint{test.endpoint}, Transport: backend})
				start := time.Now()
				send(t, s, test.events)
				time.Sleep(time.Minute)
				synctest.Wait()
				var after []time.Duration
				var sizes []int
				for _, r := range backend.got() {
					after = append(after, r.at.Sub(start))
					sizes = append(sizes, len(r.events))
				}
				if !slices.Equal(after, test.after) || !slices.Equal(sizes, test.sizes) || !slices.Equal(ids(backend.got()), upTo(test.events)) {
					t.Errorf("requests after %v with %v events: %v", after, sizes, ids(backend.got()))
				}
			})
		})
	}
}

// While a batch is under way, others wait: for their turn, and not for BatchDelay besides.
func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend := &fake{t: t, answer: func(*http.Request, int) (*http.Response, error) {
			time.Sleep(time.Second)
			return reply(200, "")
		}}
		s := newSender(t, webhook.Config{Endpoints: []webhook.Endpoint{{BatchEvents: 10}}, Transport: backend})
		start := time.Now()
		send(t, s, 35)
		time.Sleep(time.Minute)
		synctest.Wait()
		got := backend.got()
		if !slices.Equal(ids(got), upTo(35)) || len(got) != 4 {
			t.Fatalf("%d requests: %v", len(got), ids(got))
		}
		for i, r := range got {
			if after := r.at.Sub(start); after != time.Duration(i)*time.Second {
				t.Errorf("request %d after %v", i, after)
			}
		}
	})
}

func TestConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend := &fake{t: t, answer: hang}
		s := newSender(t, webhook.Config{Endpoints: []webhook.Endpoint{{BatchEvents: 1, Concurrency: 3}}, Transport: backend})
		send(t, s, 10)
		synctest.Wait()
		if n := len(backend.got()); n != 3 {
			t.Errorf("%d requests at a time", n)
		}
		err := closeNow(s)
		if left, ok := errors.AsType[*webhook.UndeliveredError](err); !ok || left.Events != 10 {
			t.Errorf("Close: %v", err)
		}
	})
}

func TestSlowEndpointDelaysNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		quick := &fake{t: t, answer: statusOf(200)}
		s := newSender(t, webhook.Config{
			Endpoints: []webhook.Endpoint{{URL: "http://slow"}, {URL: "http://quick", BatchEvents: 1}},
			Transport: byHost{"slow": &fake{t: t, answer: hang}, "quick": quick},
		})
		start := time.Now()
		for i := range 100 {
			s.Send(numbered(i))
			synctest.Wait()
			if n := len(quick.got()); n != i+1 || time.Since(start) != 0 {
				t.Fatalf("event %d: %d have arrived after %v", i, n, time.Since(start))
			}
		}
	})
}

// What cannot be encoded is said at once, and nothing comes of it.
func TestInvalidEvent(t *testing.T) {
	var log logged
	backend := &fake{t: t, answer: statusOf(200)}
	s := newSender(t, webhook.Config{Endpoints: []webhook.Endpoint{{}}, Transport: backend, Log: log.logger()})
	for range 5 {
		if s.Send(webhook.Event{Type: "published", Data: json.RawMessage(`{`)}) {
			t.Error("taken")
		}
	}
	flush(t, s)
	if len(backend.got()) != 0 || log.count("cannot be encoded") != 1 {
		t.Errorf("%d requests; log: %s", len(backend.got()), log.String())
	}
}

func TestQueueBounds(t *testing.T) {
	for name, c := range map[string]webhook.Config{
		"events": {QueueEvents: 20},
		"bytes":  {QueueBytes: 3400},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log logged
				up := make(chan struct{})
				backend := &fake{t: t, answer: func(r *http.Request, n int) (*http.Response, error) {
					select {
					case <-up:
						return reply(200, "")
					default:
						return hang(r, n)
					}
				}}
				c.Endpoints, c.Transport, c.Log = []webhook.Endpoint{{BatchEvents: 5}}, backend, log.logger()
				s := newSender(t, c)
				taken := 0
				for i := range 50_000 {
					if s.Send(numbered(i)) {
						taken++
					}
					if i%100 == 99 {
						time.Sleep(100 * time.Millisecond)
					}
				}
				stats := s.Stats()[0]
				if taken != 20 || stats.Queued != 20 || stats.Dropped != 50_000-20 || stats.Bytes > 3400 {
					t.Errorf("%d events are taken; %+v", taken, stats)
				}
				// In 50 s the log may tell of it once.
				if n := log.count("the queue is full"); n != 1 {
					t.Errorf("the log tells of it %d times", n)
				}
				time.Sleep(time.Minute)
				s.Send(numbered(0))
				if n := log.count("the queue is full"); n != 2 || log.count("events=49980 ") != 1 {
					t.Errorf("the log, a minute later: %s", log.String())
				}

				// What was taken is sent all the same, before it is too old, and there is room again.
				close(up)
				time.Sleep(time.Minute)
				if !s.Send(numbered(0)) {
					t.Error("there is no room")
				}
				flush(t, s)
				if stats := s.Stats()[0]; stats.Sent != 21 || stats.Queued != 0 || stats.Bytes != 0 {
					t.Errorf("%+v", stats)
				}
			})
		})
	}
}

func TestClose(t *testing.T) {
	t.Run("sends what waits, at once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			backend := &fake{t: t, answer: statusOf(200)}
			s := newSender(t, webhook.Config{Endpoints: []webhook.Endpoint{{BatchDelay: time.Hour}}, Transport: backend})
			start := time.Now()
			send(t, s, 250)
			flush(t, s)
			if got := ids(backend.got()); !slices.Equal(got, upTo(250)) || time.Since(start) != 0 {
				t.Errorf("after %v: %v", time.Since(start), got)
			}
			if s.Send(numbered(0)) {
				t.Error("an event is taken after Close")
			}
			flush(t, s) // again
		})
	})
	t.Run("tries what failed once more at once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			backend := &fake{t: t, answer: func(_ *http.Request, n int) (*http.Response, error) {
				if n == 0 {
					return reply(503, "", "Retry-After: 200")
				}
				return reply(200, "")
			}}
			s := newSender(t, webhook.Config{Endpoints: []webhook.Endpoint{{}}, Transport: backend})
			send(t, s, 1)
			time.Sleep(time.Second)
			start := time.Now()
			flush(t, s)
			if len(backend.got()) != 2 || time.Since(start) != 0 {
				t.Errorf("%d requests, closed after %v", len(backend.got()), time.Since(start))
			}
		})
	})
	t.Run("keeps trying what fails, no faster than before", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			backend := &fake{t: t, answer: statusOf(503)}
			s := newSender(t, webhook.Config{Endpoints: []webhook.Endpoint{{}}, Transport: backend})
			send(t, s, 3)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if left, ok := errors.AsType[*webhook.UndeliveredError](s.Close(ctx)); !ok || left.Events != 3 {
				t.Errorf("undelivered: %v", left)
			}
			if n := len(backend.got()); n < 3 || n > 50 {
				t.Errorf("%d requests in a minute", n)
			}
		})
	})
	t.Run("ends with its context", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			backend := &fake{t: t, answer: hang}
			s := newSender(t, webhook.Config{
				Endpoints: []webhook.Endpoint{{URL: "http://a", BatchEvents: 4}, {URL: "http://b", Types: []string{"none"}}}, Transport: backend,
			})
			send(t, s, 11)
			start := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), 12*time.Second)
			defer cancel()
			err := s.Close(ctx)
			if left, ok := errors.AsType[*webhook.UndeliveredError](err); !ok || left.Events != 11 || time.Since(start) != 12*time.Second {
				t.Errorf("Close: %v after %v", err, time.Since(start))
			}
			// Attempts of 5 s each, and no more than a backoff of 1 s in between.
			if n := len(backend.got()); n < 2 || n > 3 {
				t.Errorf("%d requests", n)
			}
			if stats := s.Stats()[0]; stats.Dropped != 11 || stats.Queued != 0 || stats.Bytes != 0 {
				t.Errorf("%+v", stats)
			}
			if again := s.Close(t.Context()); again == nil || again.Error() != err.Error() {
				t.Errorf("Close again: %v", again)
			}
		})
	})
}

func TestConfig(t *testing.T) {
	ok := func() webhook.Endpoint {
		return webhook.Endpoint{URL: "https://example.com/", Secrets: []string{secret}}
	}
	for name, change := range map[string]func(*webhook.Endpoint){
		"no URL":                    func(e *webhook.Endpoint) { e.URL = "" },
		"another scheme":            func(e *webhook.Endpoint) { e.URL = "ftp://u:hunter2@example.com/" },
		"no host":                   func(e *webhook.Endpoint) { e.URL = "http://:80/" },
		"no URL at all":             func(e *webhook.Endpoint) { e.URL = "http://u:hunter2@[::1/" },
		"metadata":                  func(e *webhook.Endpoint) { e.URL = "http://169.254.169.254/latest?hunter2" },
		"metadata in IPv6":          func(e *webhook.Endpoint) { e.URL = "http://[fd00:ec2::254]/" },
		"metadata as IPv4 in IPv6":  func(e *webhook.Endpoint) { e.URL = "http://[::ffff:169.254.169.254]/" },
		"no secret":                 func(e *webhook.Endpoint) { e.Secrets = nil },
		"a bad secret":              func(e *webhook.Endpoint) { e.Secrets = []string{"hunter2"} },
		"a bad pattern":             func(e *webhook.Endpoint) { e.Types = []string{"*ed"} },
		"an empty pattern":          func(e *webhook.Endpoint) { e.Types = []string{""} },
		"a negative time":           func(e *webhook.Endpoint) { e.Timeout = -1 },
		"a negative size":           func(e *webhook.Endpoint) { e.BatchBytes = -1 },
		"much concurrency":          func(e *webhook.Endpoint) { e.Concurrency = 1000 },
		"a header that is ours":     func(e *webhook.Endpoint) { e.Headers = map[string]string{"webhook-ID": "hunter2"} },
		"a header that is the wire": func(e *webhook.Endpoint) { e.Headers = map[string]string{"content-length": "hunter2"} },
		"a header's bad name":       func(e *webhook.Endpoint) { e.Headers = map[string]string{"X Y": "hunter2"} },
		"a header's bad value":      func(e *webhook.Endpoint) { e.Headers = map[string]string{"X": "hunter2\r\nY: z"} },
	} {
		t.Run(name, func(t *testing.T) {
			e := ok()
			change(&e)
			_, err := webhook.New(webhook.Config{Endpoints: []webhook.Endpoint{ok(), e}})
			if err == nil || !strings.Contains(err.Error(), "endpoint 2") || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("New: %v", err)
			}
		})
	}
	if _, err := webhook.New(webhook.Config{QueueEvents: -1}); err == nil {
		t.Error("a negative queue is fine")
	}
	s, err := webhook.New(webhook.Config{})
	if err != nil || !s.Send(numbered(0)) || s.Close(t.Context()) != nil {
		t.Errorf("no endpoints: %v", err)
	}
}
