package webhook_test

import (
	"bytes"
	"cmp"
	"errors"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"baro.dev/internal/webhook"
)

// A request that fails is made again: the same bytes under the same id, signed anew, after a random time within bounds.
func TestRetry(t *testing.T) {
	for name, answer := range map[string]func(*http.Request, int) (*http.Response, error){
		"500":      statusOf(500),
		"503":      statusOf(503),
		"408":      statusOf(408),
		"425":      statusOf(425),
		"429":      statusOf(429),
		"redirect": statusOf(302, "Location: http://elsewhere/"),
		"101":      statusOf(101),
		"no more":  func(*http.Request, int) (*http.Response, error) { return nil, errors.New("reset") },
		"silence":  hang,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const failures = 12
				var log logged
				backend := &fake{t: t, answer: func(r *http.Request, n int) (*http.Response, error) {
					if n < failures {
						return answer(r, n)
					}
					return reply(200, "")
				}}
				s := newSender(t, webhook.Config{Endpoints: []webhook.Endpoint{{}}, Transport: backend, Log: log.logger()})
				send(t, s, 2)
				time.Sleep(10 * time.Minute)
				synctest.Wait()

				got := backend.got()
				if len(got) != failures+1 {
					t.Fatalf("%d requests", len(got))
				}
				bound, waited := 500*time.Millisecond, time.Duration(0)
				for i, r := range got[1:] {
					if !bytes.Equal(r.body, got[0].body) || r.header.Get(webhook.HeaderID) != got[0].header.Get(webhook.HeaderID) {
						t.Errorf("request %d differs: %s", i+1, r.body)
					}
					wait := r.at.Sub(got[i].at)
					if name == "silence" {
						wait -= 5 * time.Second
					}
					if wait < 0 || wait >= bound {
						t.Errorf("request %d comes after %v", i+1, wait)
					}
					waited += wait
					bound = min(2*bound, 30*time.Second)
				}
				if waited < time.Second { // of 200 that it may be: the chance of that is next to nothing
					t.Errorf("%v between all requests", waited)
				}
				first, last := got[0].header, got[failures].header
				if first.Get(webhook.HeaderTimestamp) == last.Get(webhook.HeaderTimestamp) || first.Get(webhook.HeaderSignature) == last.Get(webhook.HeaderSignature) {
					t.Error("the last request has the timestamp of the first")
				}
				if stats := s.Stats()[0]; stats.Sent != 2 || stats.Requests != failures+1 || stats.Failures != 0 {
					t.Errorf("%+v", stats)
				}
				if log.count("endpoint fails") != 1 || log.count("works again") != 1 {
					t.Errorf("log: %s", log.String())
				}
			})
		})
	}
}

// What is refused is not tried again, and what comes after it is sent.
func TestRefused(t *testing.T) {
	for _, status := range []int{400, 401, 403, 404, 409, 413, 422, 451, 499} {
		synctest.Test(t, func(t *testing.T) {
			var log logged
			backend := &fake{t: t, answer: func(_ *http.Request, n int) (*http.Response, error) {
				if n == 0 {
					return reply(status, "no", "Retry-After: 1")
				}
				return reply(200, "")
			}}
			s := newSender(t, webhook.Config{Endpoints: []webhook.Endpoint{{BatchEvents: 2}}, Transport: backend, Log: log.logger()})
			start := time.Now()
			send(t, s, 4)
			synctest.Wait()
			stats := s.Stats()[0]
			if len(backend.got()) != 2 || stats.Failed != 2 || stats.Sent != 2 || time.Since(start) != 0 {
				t.Errorf("%d: %d requests, %+v", status, len(backend.got()), stats)
			}
			if log.count("are lost") != 1 || log.count("events=2") != 1 {
				t.Errorf("%d: log: %s", status, log.String())
			}
		})
	}
}

func TestGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logged
		well := &fake{t: t, answer: statusOf(200)}
		gone := &fake{t: t, answer: func(*http.Request, int) (*http.Response, error) {
			time.Sleep(time.Second)
			return reply(410, "")
		}}
		s := newSender(t, webhook.Config{
			Endpoints: []webhook.Endpoint{{URL: "http://gone", BatchEvents: 2}, {URL: "http://well"}},
			Transport: byHost{"gone": gone, "well": well}, Log: log.logger(),
		})
		send(t, s, 5)
		time.Sleep(2 * time.Second)
		send(t, s, 5)
		flush(t, s)
		stats := s.Stats()
		if len(gone.got()) != 1 || !stats[0].Disabled || stats[0].Failed != 5 || stats[0].Dropped != 0 || stats[0].Queued != 0 || stats[0].Bytes != 0 {
			t.Errorf("%d requests, %+v", len(gone.got()), stats[0])
		}
		if stats[1].Sent != 10 {
			t.Errorf("the other endpoint: %+v", stats[1])
		}
		if log.count("is gone") != 1 {
			t.Errorf("log: %s", log.String())
		}
	})
}

// With several requests under way, the one that learns that the endpoint is gone ends the others.
func TestGoneConcurrently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend := &fake{t: t, answer: func(r *http.Request, n int) (*http.Response, error) {
			if n < 2 {
				return hang(r, n)
			}
			time.Sleep(time.Second) // until all events are queued
			return reply(410, "")
		}}
		s := newSender(t, webhook.Config{Endpoints: []webhook.Endpoint{{BatchEvents: 1, Concurrency: 3}}, Transport: backend})
		send(t, s, 6)
		start := time.Now()
		flush(t, s)
		if stats := s.Stats()[0]; time.Since(start) != time.Second || stats.Failed != 6 || len(backend.got()) != 3 {
			t.Errorf("after %v: %+v", time.Since(start), stats)
		}
	})
}

func TestRetryAfter(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"90":                            90 * time.Second,
		"100000000":                     5 * time.Minute,
		"Sat, 01 Jan 2000 00:02:00 GMT": 2*time.Minute - 100*time.Millisecond, // synctest begins at midnight
		"Sat, 01 Jan 2050 00:00:00 GMT": 5 * time.Minute,
		"Fri, 31 Dec 1999 00:00:00 GMT": 0,
		"-90":                           0,
		"99999999999999999999":          0,
		"soon":                          0,
		"":                              0,
	} {
		for _, status := range []int{429, 503} {
			synctest.Test(t, func(t *testing.T) {
				backend := &fake{t: t, answer: func(_ *http.Request, n int) (*http.Response, error) {
					if n == 0 {
						return reply(status, "", "Retry-After: "+value)
					}
					return reply(200, "")
				}}
				s := newSender(t, webhook.Config{Endpoints: []webhook.Endpoint{{}}, Transport: backend})
				send(t, s, 1)
				time.Sleep(9 * time.Minute)
				got := backend.got()
				if len(got) != 2 {
					t.Fatalf("%q: %d requests", value, len(got))
				}
				wait := got[1].at.Sub(got[0].at)
				if want == 0 && wait >= 500*time.Millisecond || want != 0 && wait != want {
					t.Errorf("%q: tried again after %v", value, wait)
				}
			})
		}
	}
}

// Of several requests under way, the one that is told to come back later speaks for all.
func TestRetryAfterConcurrently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend := &fake{t: t, answer: func(_ *http.Request, n int) (*http.Response, error) {
			switch n {
			case 0:
				time.Sleep(time.Second)
				return reply(503, "", "Retry-After: 100")
			case 1:
				time.Sleep(2 * time.Second)
				return reply(500, "")
			}
			return reply(200, "")
		}}
		s := newSender(t, webhook.Config{Endpoints: []webhook.Endpoint{{BatchEvents: 1, Concurrency: 2}}, Transport: backend})
		start := time.Now()
		send(t, s, 2)
		time.Sleep(5 * time.Minute)
		got := backend.got()
		if len(got) != 4 {
			t.Fatalf("%d requests", len(got))
		}
		if after := got[2].at.Sub(start); after < 100*time.Second {
			t.Errorf("the third after %v", after)
		}
	})
}

// A batch that always fails is not tried the more often for others that succeed beside it.
func TestPoison(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend := &fake{t: t}
		backend.answer = func(_ *http.Request, n int) (*http.Response, error) {
			if backend.got()[n].events[0].ID == "0" {
				return reply(500, "")
			}
			return reply(200, "")
		}
		s := newSender(t, webhook.Config{Endpoints: []webhook.Endpoint{{BatchEvents: 1, Concurrency: 2}}, Transport: backend})
		const events = 6000
		for i := range events {
			s.Send(numbered(i))
			time.Sleep(10 * time.Millisecond)
		}
		if stats := s.Stats()[0]; stats.Requests > events+50 {
			t.Errorf("%+v", stats)
		}
		time.Sleep(10 * time.Minute)
		if stats := s.Stats()[0]; stats.Sent != events-1 || stats.Failed != 1 || stats.Queued != 0 {
			t.Errorf("%+v", stats)
		}
	})
}

// An endpoint that is down for longer than events may be old loses those, and only those.
func TestTooOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logged
		start := time.Now()
		const down = 25 * time.Minute
		backend := &fake{t: t, answer: func(*http.Request, int) (*http.Response, error) {
			if time.Since(start) < down {
				return reply(502, "")
			}
			return reply(200, "")
		}}
		s := newSender(t, webhook.Config{Endpoints: []webhook.Endpoint{{BatchEvents: 10}}, Transport: backend, Log: log.logger()})
		const events = 1500 // one a second
		for i := range events {
			s.Send(numbered(i))
			time.Sleep(time.Second)
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		var arrived []string
		requests := 0
		for _, r := range backend.got() {
			if r.at.Sub(start) >= down {
				arrived = append(arrived, ids([]request{r})...)
			} else {
				requests++
			}
		}
		// Those of the last 10 min, but for what grew too old until the next attempt; and the batch that was under way.
		const sure = 600 - 30
		n := len(arrived)
		if n < sure || n > 600+10 || !slices.Equal(arrived[n-sure:], upTo(events)[events-sure:]) {
			t.Errorf("%d events arrive: %v", n, arrived)
		}
		if !slices.IsSortedFunc(arrived, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) }) {
			t.Errorf("out of order: %v", arrived)
		}
		// A request every 15 s on average, whatever the number of batches.
		if requests < 50 || requests > 200 {
			t.Errorf("%d requests in %v", requests, down)
		}
		stats := s.Stats()[0]
		if stats.Sent+stats.Failed != events || stats.Dropped != 0 || int(stats.Sent) != len(arrived) {
			t.Errorf("%+v", stats)
		}
		if n := log.count("are lost"); n < 1 || n > 16 {
			t.Errorf("the log tells of losses %d times", n)
		}
	})
}
